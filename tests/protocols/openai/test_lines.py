"""Lines of batch files, in and out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.core.batches import BatchRules, LineFault, Tokens
from fallow.core.refusals import Code, Refusal
from fallow.core.words import JobState
from fallow.protocols.openai.answers import answered, tokens_of, unanswered
from fallow.protocols.openai.requests import RequestLines, model_of
from fallow.protocols.openai.status import status_of
from fallow.protocols.openai.windows import window_seconds

URL = "/v1/embeddings"
RULES = BatchRules(URL, "tiny", named=True, usable=True, lines_max=3, size_bytes_max=1000)
REQUEST = b'{"custom_id":"a\\u00e9","method":"POST","url":"/v1/embeddings","body":{"model":"tiny"}}'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def out(answer: object, *, failed: bool = False, item: int = 0) -> dict[str, Any]:
    published = answered("batch_1", item, REQUEST, json.dumps(answer).encode(), failed=failed)
    assert published.line.endswith(b"\n")
    assert published.line.count(b"\n") == 1
    return dict(json.loads(published.line))


def test_an_answer_in_the_form_of_the_contract_is_taken_as_it_is() -> None:
    response = {"status_code": 200, "request_id": "req_x", "body": {"a": [1.5, None], "b": "\u00e9"}}
    line = out({"custom_id": "not mine", "response": response})
    assert line == {"id": line["id"], "custom_id": "a\u00e9", "response": response, "error": None}
    assert line["id"].startswith("batch_req_")


def test_an_answer_without_a_request_id_gets_one() -> None:
    line = out({"response": {"status_code": 200, "body": 1}})
    assert line["response"]["request_id"].startswith("req_")


@given(JSON)
def test_any_json_value_is_a_body(value: object) -> None:
    line = out(value)
    assert list(line) == ["id", "custom_id", "response", "error"]
    assert line["response"]["body"] == value
    assert line["response"]["status_code"] == 200


@given(JSON)
def test_a_response_that_is_none_is_a_body_too(value: object) -> None:
    answer = {"response": value}
    line = out(answer)
    if not (isinstance(value, dict) and isinstance(value.get("status_code"), int)):
        assert line["response"]["body"] == answer


def test_a_failure_with_its_response_and_one_without() -> None:
    response = {"status_code": 429, "request_id": "r", "body": {"error": {"message": "slow down"}}}
    line = out({"error": {"code": "http_429", "message": "slow down"}, "response": response}, failed=True)
    assert (line["response"], line["error"]) == (response, None)
    line = out({"error": {"code": "timeout", "message": "too slow"}}, failed=True)
    assert (line["response"], line["error"]) == (None, {"code": "timeout", "message": "too slow"})


@given(JSON)
def test_a_failure_of_any_shape_is_told(value: object) -> None:
    line = out({"error": value}, failed=True)
    assert line["response"] is None
    assert sorted(line["error"]) == ["code", "message"]


def test_ids_are_made_of_batch_and_item() -> None:
    def ids(batch: str, item: int) -> str:
        return str(json.loads(answered(batch, item, REQUEST, b"1", failed=False).line)["id"])

    assert ids("batch_1", 0) == ids("batch_1", 0)
    assert len({ids("batch_1", 0), ids("batch_1", 1), ids("batch_2", 0)}) == 3


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (JobState.EXPIRED, "batch_expired"),
        (JobState.CANCELLED, "batch_cancelled"),
        (JobState.FAILED, "batch_failed"),
        (JobState.COMPLETED, "batch_failed"),
    ],
)
def test_a_request_that_never_ran(state: JobState, code: str) -> None:
    published = unanswered("batch_1", 3, REQUEST, state)
    line = json.loads(published.line)
    assert (line["custom_id"], line["response"], line["error"]["code"]) == ("a\u00e9", None, code)
    assert published.tokens is None


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}, Tokens(2, 0, 3, 0, 5)),
        ({"prompt_tokens": 2, "total_tokens": 2}, Tokens(2, 0, 0, 0, 2)),
        (
            {
                "input_tokens": 7,
                "output_tokens": 4,
                "input_tokens_details": {"cached_tokens": 1},
                "output_tokens_details": {"reasoning_tokens": 2},
            },
            Tokens(7, 1, 4, 2, 11),
        ),
        ({}, Tokens()),
        (None, None),
        ("many", None),
        ({"prompt_tokens": "two"}, None),
        ({"prompt_tokens_details": {"cached_tokens": None}}, Tokens()),
    ],
)
def test_what_an_answer_used(usage: object, tokens: Tokens | None) -> None:
    assert tokens_of(json.dumps({"usage": usage}).encode()) == tokens
    assert tokens_of(b"[1]") is None


def test_numbers_of_a_strange_server_can_be_added_up_and_read_again() -> None:
    """One with more than 4300 digits would be written down, and then read by nobody: not even with its batch."""
    line = b'{"usage":{"prompt_tokens":%s,"completion_tokens":-5,"prompt_tokens_details":{"cached_tokens":%s}}}'
    digits = b"9" * 4000
    tokens = tokens_of(line % (digits, digits))
    assert tokens == Tokens(input=2**33, cached=2**33, output=0, reasoning=0, total=2**33)


def test_tokens_add_up() -> None:
    assert Tokens(1, 2, 3, 4, 5).plus(Tokens(10, 20, 30, 40, 50)) == Tokens(11, 22, 33, 44, 55)


@pytest.mark.parametrize(
    ("head", "model"),
    [
        (REQUEST, "tiny"),
        (b"\n  \n" + REQUEST + b"\r\nnonsense", "tiny"),
        (b"\xef\xbb\xbf" + REQUEST, ""),
        (b"", ""),
        (b"nonsense\n" + REQUEST, ""),
        (b'{"body": {"model": 3}}', ""),
        (b'{"body": []}', ""),
        (b"[]", ""),
        (b"[" * 100_000, ""),
        (b'{"body": {}}', ""),
    ],
)
def test_the_model_of_the_first_line(head: bytes, model: str) -> None:
    assert model_of(head) == model


@given(st.lists(st.binary(max_size=40) | st.just(REQUEST), max_size=6))
def test_no_line_is_too_strange_to_be_judged(lines: list[bytes]) -> None:
    checker = RequestLines(RULES)
    items = [checker.take(line.replace(b"\n", b""), number) for number, line in enumerate(lines, start=1)]
    checker.finish()
    assert items.count(REQUEST) <= 1, "its custom_id may be there once"
    assert checker.faults or set(items) <= {REQUEST, None}
    assert all(fault.line is None or 1 <= fault.line <= len(lines) for fault in checker.faults)


def test_a_file_that_nothing_can_run_is_refused_whatever_it_holds() -> None:
    rules = BatchRules(URL, "", named=True, usable=False, lines_max=3, size_bytes_max=1000)
    checker = RequestLines(rules)
    checker.take(REQUEST, 1)
    checker.finish()
    assert checker.faults == [LineFault("model_not_found", "The model was not there when the batch was made.")]


def test_lines_of_a_container_name_no_model() -> None:
    checker = RequestLines(BatchRules(URL, "", named=False, usable=True, lines_max=3, size_bytes_max=1000))
    line = REQUEST.replace(b'{"model":"tiny"}', b'{"x":1}')
    assert checker.take(line, 1) == line
    checker.finish()
    assert checker.faults == []


@pytest.mark.parametrize(("text", "seconds"), [("24h", 86400), ("1m", 60), ("365d", 365 * 86400), ("90m", 5400)])
def test_windows(text: str, seconds: int) -> None:
    assert window_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "24", "h", "0h", "-1h", "1s", "1.5h", "24 h", "366d", "999999d", "\u0661h", "1h\n"]
)
def test_what_is_no_window(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        window_seconds(text)
    assert caught.value.code is Code.BAD_REQUEST


def test_every_state_of_a_job_is_one_of_the_words() -> None:
    found = {
        (state, validated, published): status_of(state, validated=validated, published=published)
        for state in JobState
        for validated in (False, True)
        for published in (False, True)
    }
    assert set(found.values()) == {
        "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled",
    }  # fmt: skip
    assert found[JobState.PLANNING, False, False] == "validating"
    assert found[JobState.PLANNING, True, False] == found[JobState.PAUSED, True, False] == "in_progress"
    assert found[JobState.FAILED, False, False] == "failed"
    assert found[JobState.FAILED, True, False] == "finalizing"
    assert found[JobState.EXPIRED, True, True] == "expired"
