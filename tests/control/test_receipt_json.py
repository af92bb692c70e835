"""The faster reading of receipts says what json.loads() says, whatever the bytes are."""

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fallow.control.reports import loads
from fallow.core.receipt import parse_statement
from fallow.core.refusals import Refusal
from tests.core.test_receipt import RECEIPT

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def said(read: Callable[[bytes], object], text: bytes) -> str:
    """The value with its types, or that there is none."""
    try:
        return repr(read(text))
    except ValueError:
        return "not JSON"


@given(VALUES, st.booleans())
def test_what_json_writes_is_read_alike(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert said(loads, text) == said(json.loads, text)


@given(st.binary(max_size=20))
@example(b'"\\ud800"')
@example(b"1e400")
@example(b"NaN")
@example(b"-0")
@example(b"123456789012345678901234567890")
@example(b'{"a":1,"a":2}')
@example("[1]".encode("utf-16"))
@example(b"\xef\xbb\xbf1")
def test_any_bytes_are_read_alike(text: bytes) -> None:
    assert said(loads, text) == said(json.loads, text)


@given(st.integers(0, len(RECEIPT.statement()) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_a_changed_statement_is_judged_alike(place: int, put: bytes, taken: int) -> None:
    whole = RECEIPT.statement()
    text = whole[:place] + put + whole[place + taken :]

    def judged(read: Callable[[bytes], object]) -> str:
        try:
            return repr(parse_statement(text, read))
        except Refusal as refusal:
            return refusal.code

    assert judged(loads) == judged(json.loads)


def test_nesting_beyond_bounds_is_refused() -> None:
    with pytest.raises(Refusal):
        parse_statement(b"[" * 100_000, loads)
