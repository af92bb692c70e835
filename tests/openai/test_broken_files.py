"""Batch files that are broken: each batch ends as failed, with the right line; and files that only look odd."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.e2e.house import House, wait_until
from tests.openai.conftest import ENDPOINT, key_of

LINES_MAX = 50_000
OVER = {"completed", "failed", "expired", "cancelled"}


def line(number: int, **changes: Any) -> bytes:
    request = {
        "custom_id": f"r-{number}",
        "method": "POST",
        "url": ENDPOINT,
        "body": {"model": "echo", "input": "a"},
        **changes,
    }
    return json.dumps({name: value for name, value in request.items() if value is not None}).encode() + b"\n"


def body(**changes: Any) -> dict[str, Any]:
    said = {"model": "echo", "input": "a", **changes}
    return {name: value for name, value in said.items() if value is not None}


GOOD = line(1)
BROKEN: dict[str, tuple[bytes, list[tuple[int | None, str]]]] = {
    "empty": (b"", [(None, "empty_file")]),
    "blank": (b"\n \r\n\t\n", [(None, "empty_file")]),
    "bad json in line 3": (GOOD + line(2) + b"{nonsense\n" + line(4), [(3, "invalid_json_line")]),
    "bad json first": (b"nonsense\n" + GOOD, [(1, "invalid_json_line")]),
    "not utf-8": (GOOD + b'{"custom_id": "\xff\xfe"}\n', [(2, "invalid_json_line")]),
    "nan": (GOOD + line(2).replace(b'"a"', b"NaN"), [(2, "invalid_json_line")]),
    "nested too deeply": (GOOD + b"[" * 100_000 + b"\n", [(2, "invalid_json_line")]),
    "no object": (GOOD + b"[1]\n", [(2, "invalid_request")]),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, [(1, "invalid_json_line")]),
    "crlf, duplicate": ((GOOD + GOOD).replace(b"\n", b"\r\n"), [(2, "duplicate_custom_id")]),
    "no trailing newline, duplicate": ((GOOD + line(2) + GOOD)[:-1], [(3, "duplicate_custom_id")]),
    "blank lines count": (b"\n\n" + GOOD + b"\n" + GOOD, [(5, "duplicate_custom_id")]),
    "duplicates": (GOOD + line(2) + GOOD + line(2), [(3, "duplicate_custom_id"), (4, "duplicate_custom_id")]),
    "no custom_id": (GOOD + line(2, custom_id=None), [(2, "missing_required_parameter")]),
    "numeric custom_id": (GOOD + line(2, custom_id=7), [(2, "missing_required_parameter")]),
    "long custom_id": (GOOD + line(2, custom_id="x" * 513), [(2, "invalid_custom_id")]),
    "wrong method": (GOOD + line(2, method="GET"), [(2, "invalid_method")]),
    "wrong url": (GOOD + line(2, url="/v1/embeddings"), [(2, "mismatched_url")]),
    "no body": (GOOD + line(2, body=None), [(2, "missing_required_parameter")]),
    "body no object": (GOOD + line(2, body="x"), [(2, "invalid_request")]),
    "streamed": (GOOD + line(2, body=body(stream=True)), [(2, "invalid_request")]),
    "no model": (GOOD + line(2, body=body(model=None)), [(2, "missing_required_parameter")]),
    "no model first": (line(1, body=body(model=None)) + line(2), [(1, "missing_required_parameter")]),
    "two models": (GOOD + line(2, body=body(model="other")), [(2, "mismatched_model")]),
    "unknown model": (line(1, body=body(model="none")) + line(2, body=body(model="none")), [(1, "model_not_found")]),
    "one request too many": (
        b"".join(line(number) for number in range(LINES_MAX + 1)),
        [(LINES_MAX + 1, "too_many_requests")],
    ),
    "line too long": (GOOD + b'{"a": "' + b"x" * (17 << 20) + b'"}\n', [(2, "line_too_long")]),
    "several at once": (
        line(1, method="PUT", url="/x", body=body(stream=True)),
        [(1, "invalid_method"), (1, "mismatched_url"), (1, "invalid_request")],
    ),
    "more faults than are kept": (
        GOOD + b"x\n" * 150,
        [(number, "invalid_json_line") for number in range(2, 102)],
    ),
}
ODD: dict[str, bytes] = {
    "crlf": (GOOD + line(2)).replace(b"\n", b"\r\n"),
    "no trailing newline": (GOOD + line(2))[:-1],
    "blank lines": b"\n" + GOOD + b"\n \n" + line(2) + b"\n\n",
    "spaces round a line": b"  " + GOOD.strip() + b"  \n" + line(2),
    "members nobody knows": line(1, x_more=1) + line(2, body=body(user="me")),
    "escapes in custom_id": line(1, custom_id="\u00e9\u4e2d\n\u0007") + line(2),
}


@pytest.fixture(scope="module")
def client(openai_house: House) -> Iterator[httpx2.Client]:
    headers = {"authorization": f"Bearer {key_of(openai_house, 'breaker')}"}
    with httpx2.Client(base_url=openai_house.url + "/v1", headers=headers, timeout=60) as made:
        yield made


def ended(client: httpx2.Client, data: bytes) -> dict[str, Any]:
    file = client.post("/files", data={"purpose": "batch"}, files={"file": ("in.jsonl", data)})
    assert file.status_code == 200, file.text
    asked = {"input_file_id": file.json()["id"], "endpoint": ENDPOINT, "completion_window": "24h"}
    made = client.post("/batches", json=asked)
    assert made.status_code == 200, made.text

    def over() -> dict[str, Any] | None:
        found: dict[str, Any] = client.get(f"/batches/{made.json()['id']}").json()
        return found if found["status"] in OVER else None

    return dict(wait_until("the batch's end", over, 60))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_fails_its_batch_with_the_right_line(client: httpx2.Client, name: str) -> None:
    data, faults = BROKEN[name]
    batch = ended(client, data)
    assert batch["status"] == "failed"
    assert [(each["line"], each["code"]) for each in batch["errors"]["data"]] == faults
    assert batch["errors"]["object"] == "list"
    assert all(each["message"] for each in batch["errors"]["data"])
    assert batch["output_file_id"] is batch["error_file_id"] is None
    assert batch["request_counts"] == {"total": 0, "completed": 0, "failed": 0}, "nothing of it has run"


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_no_broken_one(client: httpx2.Client, name: str) -> None:
    batch = ended(client, ODD[name])
    assert batch["status"] == "completed", batch["errors"]
    assert batch["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
    content = client.get(f"/files/{batch['output_file_id']}/content").content
    wanted = [json.loads(each)["custom_id"] for each in ODD[name].split(b"\n") if each.strip()]
    assert [json.loads(each)["custom_id"] for each in content.splitlines()] == wanted


def test_a_file_larger_than_a_batch_may_be_is_refused_as_a_whole(client: httpx2.Client) -> None:
    batch = ended(client, b"\n" * (200 * 1024 * 1024 + 1))
    assert batch["status"] == "failed"
    assert [each["code"] for each in batch["errors"]["data"]] == ["file_too_large"]
