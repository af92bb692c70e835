"""When two answers say the same, and when enough do."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.core.agreement import Consensus, answers_needed, consensus, same_line, same_lines, voices
from fallow.core.chunk import Attempt
from fallow.core.job import Compare, Input, JobSpec, VerifyMethod, VerifyPolicy
from fallow.core.words import AttemptId, AttemptState, InputFormat, JobId
from tests.core.making import attempt, chunk

BIG = "1" + "0" * 400


def policy(compare: Compare, rtol: float = 1e-5, atol: float = 1e-8) -> VerifyPolicy:
    return VerifyPolicy(VerifyMethod.QUORUM, 2, compare, rtol, atol)


@pytest.mark.parametrize(
    ("first", "second", "exact", "as_json", "numeric"),
    [
        ('{"a": 1}', '{"a": 1}', True, True, True),
        ('{"a":1,"b":2}', '{"b": 2, "a": 1}', False, True, True),
        ("1", "1.0", False, True, True),
        ("1", "true", False, False, False),
        ("0", "false", False, False, False),
        ("[1]", "[true]", False, False, False),
        ("0", "null", False, False, False),
        ("1", '"1"', False, False, False),
        ("1.0", "1.000001", False, False, True),
        ("1.0", "1.1", False, False, False),
        ("0.0", "1e-9", False, False, True),
        ("-0.0", "0", False, True, True),
        ("[1, 2]", "[1, 2, 3]", False, False, False),
        ("[1, 2]", "[2, 1]", False, False, False),
        ('{"a": 1}', '{"a": 1, "b": null}', False, False, False),
        ('{"a": 1, "c": 1}', '{"a": 1, "b": 1}', False, False, False),
        ('{"a": [{"x": 1.0}]}', '{"a":[{"x":1.0000001}]}', False, False, True),
        ('{"a": "x"}', '{"a":"y"}', False, False, False),
        ('"\\u00e9"', '"é"', False, True, True),
        ("{}", "[]", False, False, False),
        (BIG, BIG + " ", False, True, True),
        (BIG, BIG[:-1] + "1", False, False, False),
        (BIG, "1.0", False, False, False),
        ("1e400", "1e999", False, False, False),
        ("[1e400]", "[1e400 ]", False, False, False),
        ("NaN", "NaN", True, True, True),
        ("NaN", "NaN ", False, False, False),
        ("[Infinity]", "[Infinity ]", False, False, False),
        ("not json", "not  json", False, False, False),
        ("not json", "not json", True, True, True),
        ("", " ", False, False, False),
    ],
)
def test_two_lines(first: str, second: str, exact: bool, as_json: bool, numeric: bool) -> None:
    pairs = [(Compare.EXACT, exact), (Compare.JSON, as_json), (Compare.NUMERIC, numeric)]
    for compare, expected in pairs:
        assert same_line(first.encode(), second.encode(), policy(compare)) is expected, compare
        assert same_line(second.encode(), first.encode(), policy(compare)) is expected, compare


@pytest.mark.parametrize("depth", [300, 450, 600, 990, 5000, 100_000])
@pytest.mark.parametrize("compare", list(Compare))
def test_a_line_nested_without_end_is_no_accident(depth: int, compare: Compare) -> None:
    """Any worker can send one; it may agree or not, but never break the verifier."""
    deep = b"[" * depth + b"]" * depth
    assert same_line(deep, deep + b" ", policy(compare)) in (True, False)
    assert not same_line(deep, b"[]", policy(compare))


def test_a_number_without_end_agrees_with_nothing() -> None:
    """Python refuses to parse it."""
    assert not same_line(b"1" * 5000, b"1" * 5000 + b" ", policy(Compare.JSON))


@pytest.mark.parametrize("junk", [b"\xff\xfe\x00", b"\xc3(", b"\x00"])
def test_bytes_that_are_no_text_agree_with_nothing(junk: bytes) -> None:
    assert not same_line(junk, b"1", policy(Compare.JSON))


def test_tolerances_are_the_policys() -> None:
    assert same_line(b"100", b"101", policy(Compare.NUMERIC, rtol=0.01, atol=0.0))
    assert not same_line(b"100", b"101", policy(Compare.NUMERIC, rtol=0.001, atol=0.0))
    assert same_line(b"0", b"0.5", policy(Compare.NUMERIC, rtol=0.0, atol=0.5))


def test_artifacts_of_different_length_never_agree() -> None:
    exact = policy(Compare.EXACT)
    assert same_lines([b"1", b"2"], [b"1", b"2"], exact)
    assert not same_lines([b"1", b"2"], [b"1"], exact)
    assert not same_lines([b"1"], [b"1", b""], exact)
    assert same_lines([], [], exact)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, VALUES)
def test_agreement_is_symmetric_and_grows_with_the_tolerance(left: object, right: object) -> None:
    first, second = json.dumps(left).encode(), json.dumps(right, indent=1).replace("\n", " ").encode()
    as_json, numeric = policy(Compare.JSON), policy(Compare.NUMERIC)
    assert same_line(first, second, as_json) == same_line(second, first, as_json)
    assert same_line(first, second, numeric) == same_line(second, first, numeric)
    assert same_line(first, second, numeric) or not same_line(first, second, as_json)
    assert same_line(first, json.dumps(left, indent=1).encode(), as_json)


def answers(*numbers: int) -> list[Attempt]:
    return [attempt(number, AttemptState.REPORTED) for number in numbers]


def tens(first: Attempt, second: Attempt) -> bool:
    """Attempts 10..19 say one thing, 20..29 another."""
    return first.attempt_id // 10 == second.attempt_id // 10


def found(canonical: int, agreeing: list[int], differing: list[int]) -> Consensus:
    return Consensus(
        AttemptId(canonical), tuple(AttemptId(n) for n in agreeing), tuple(AttemptId(n) for n in differing)
    )


@pytest.mark.parametrize(
    ("numbers", "quorum", "expected"),
    [
        ([10], 1, found(10, [10], [])),
        ([10, 20], 1, found(10, [10], [20])),
        ([10, 11], 2, found(10, [10, 11], [])),
        ([10, 20], 2, Consensus(None)),
        ([10, 20, 21], 2, found(20, [20, 21], [10])),
        ([10, 20, 21, 11], 2, found(10, [10, 11], [20, 21])),
        ([10, 20, 11, 30], 3, Consensus(None)),
        ([], 1, Consensus(None)),
    ],
)
def test_the_first_answer_with_enough_agreement_is_canonical(
    numbers: list[int], quorum: int, expected: Consensus
) -> None:
    assert consensus(answers(*numbers), quorum, tens) == expected


def test_tolerance_does_not_chain() -> None:
    """1 agrees with 2 and 2 with 3, but 1 not with 3: all who count agree with the canonical one itself."""
    near = consensus(answers(1, 2, 3), 3, lambda a, b: abs(a.attempt_id - b.attempt_id) <= 1)
    assert near == found(2, [1, 2, 3], [])


@pytest.mark.parametrize(
    ("adaptive", "quorum", "wanted", "needed"),
    [
        (False, 1, 1, 1),
        (False, 2, 2, 2),
        (False, 2, 3, 2),
        (True, 2, 1, 1),
        (True, 3, 1, 1),
        (True, 3, 3, 3),
        (True, 2, 4, 2),
    ],
)
def test_adaptive_replication_needs_one_answer_until_more_are_wanted(
    adaptive: bool, quorum: int, wanted: int, needed: int
) -> None:
    asked = VerifyPolicy(VerifyMethod.QUORUM, quorum, adaptive=adaptive)
    spec = JobSpec(JobId("job-1"), Input("file:///in.jsonl", InputFormat.JSONL), verify=asked)
    assert answers_needed(replace(chunk(), answers_wanted=wanted), spec) == needed


def test_answers_of_one_voice_count_once() -> None:
    answers = [attempt(n, AttemptState.REPORTED) for n in (1, 2, 3)]
    whose = {AttemptId(1): "a", AttemptId(2): "a", AttemptId(3): "b"}

    def voice(one: Attempt) -> object:
        return whose[one.attempt_id]

    assert (voices(answers, voice), voices(answers, None)) == (2, 3)
    assert consensus(answers[:2], 2, lambda _a, _b: True, voice).canonical is None
    assert consensus(answers, 2, lambda _a, _b: True, voice).agreeing == (1, 2, 3)
    assert consensus(answers[:2], 2, lambda _a, _b: True).canonical == 1
