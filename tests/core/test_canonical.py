"""Canonical JSON, held against the rfc8785 package."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from fallow.core.canonical import canonical_json

INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
PLAIN = st.floats(1e-4, 1e16, exclude_max=True)
DECIMALS = st.just(0.0) | st.just(-0.0) | PLAIN | PLAIN.map(lambda each: -each) | PLAIN.map(lambda each: round(each, 3))
DECIMALS = DECIMALS.filter(lambda each: each == 0 or 1e-4 <= abs(each) < 1e16)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | DECIMALS | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_it_spells_as_rfc8785_does(value: Any) -> None:
    spelled = canonical_json(value)
    assert spelled == rfc8785.dumps(value)
    assert json.loads(spelled) == value


@given(st.floats())
def test_a_float_is_spelled_right_or_refused(value: float) -> None:
    try:
        spelled = canonical_json(value)
    except ValueError:
        assert value != 0
        assert not 1e-4 <= abs(value) < 1e16
        return
    assert spelled == rfc8785.dumps(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [True, None]}, b'{"a":[true,null],"b":1}'),
        ({"\ufb33": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ufb33":1}'.encode()),  # by UTF-16 units, not code points
        ('\x00\x1f"\\/\u2028é', b'"\\u0000\\u001f\\"\\\\/\xe2\x80\xa8\xc3\xa9"'),
        ((1, 2), b"[1,2]"),
        (1.0, b"1"),
        (-0.0, b"0"),
        (0.1, b"0.1"),
        (float(2**53), b"9007199254740992"),
        (2**53 - 1, b"9007199254740991"),
    ],
)
def test_known_spellings(value: object, expected: bytes) -> None:
    assert canonical_json(value) == expected


@pytest.mark.parametrize(
    "value",
    [2**53, -(2**53), float("nan"), float("inf"), 1e16, 1e-5, {1: 2}, {None: 1}, "\ud800", {"\ud800": 1}, {1, 2}, b"x"],
)
def test_what_has_no_spelling_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical_json({"value": value})
