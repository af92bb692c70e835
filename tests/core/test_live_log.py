"""What is known of a growing log: told in parts that may be repeated, overlap, or leave holes."""

from hypothesis import given
from hypothesis import strategies as st

from fallow.core.live_log import KEPT_BYTES, LogPart, joined
from fallow.core.words import AttemptId

ONE = AttemptId(1)


def part(start: int, data: bytes) -> LogPart:
    return LogPart(ONE, start, data)


def test_parts_join_where_they_meet() -> None:
    assert joined(None, part(5, b"abc")) == part(5, b"abc")
    assert joined(part(0, b"abc"), part(3, b"def")) == part(0, b"abcdef")
    assert joined(part(0, b"abcd"), part(2, b"cdef")) == part(0, b"abcdef")


def test_a_part_that_was_told_before_changes_nothing() -> None:
    assert joined(part(0, b"abcdef"), part(2, b"cd")) == part(0, b"abcdef")


def test_behind_a_hole_only_the_new_is_known() -> None:
    assert joined(part(0, b"abc"), part(4, b"e")) == part(4, b"e")


def test_only_the_newest_is_kept() -> None:
    kept = joined(part(0, b"a" * KEPT_BYTES), part(KEPT_BYTES, b"bc"))
    assert (kept.start, len(kept.data), kept.data[-3:]) == (2, KEPT_BYTES, b"abc")


def test_since() -> None:
    known = part(10, b"abcdef")
    assert [known.since(after) for after in (0, 10, 12)] == [known, known, part(12, b"cdef")]
    assert [known.since(after).data for after in (16, 99)] == [b"", b""]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40)), max_size=12))
def test_what_is_known_is_what_was_written(told: list[tuple[int, int]]) -> None:
    """Whatever parts are told in whatever order: what is known then stands in the log where it says."""
    log = bytes(range(100))
    known: LogPart | None = None
    for start, size in told:
        new = part(start, log[start : start + size])
        known = joined(known, new)
        assert known.data == log[known.start : known.end]
        assert known.end >= new.end
