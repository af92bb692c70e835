"""Ranges into chunks, failed chunks into pieces, and ranges that no input can have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.core.job import ItemRange
from fallow.core.refusals import Code, Refusal
from fallow.core.slicing import CHUNKS_MAX, Piece, check_chunks, check_range, even_ranges, pieces_after_failure


@pytest.mark.parametrize(
    ("items", "chunks", "expected"),
    [
        (10, 3, [(0, 3), (4, 6), (7, 9)]),
        (2, 5, [(0, 0), (1, 1)]),
        (5, 1, [(0, 4)]),
        (0, 3, []),
    ],
)
def test_even_ranges(items: int, chunks: int, expected: list[tuple[int, int]]) -> None:
    assert [(each.start, each.end) for each in even_ranges(items, chunks)] == expected


@given(st.integers(1, 500), st.integers(1, 500))
def test_even_ranges_cover_all_items_once_and_evenly(items: int, chunks: int) -> None:
    ranges = list(even_ranges(items, chunks))
    sizes = [each.end - each.start + 1 for each in ranges]
    assert [n for each in ranges for n in range(each.start, each.end + 1)] == list(range(items))
    assert max(sizes) - min(sizes) <= 1
    assert len(ranges) == min(items, chunks)


@given(st.integers(0, 9), st.integers(2, 50), st.integers(-3, 60), st.none() | st.integers(-3, 70))
def test_pieces_cover_the_chunk_and_each_is_smaller(start: int, count: int, done: int, bad: int | None) -> None:
    pieces = pieces_after_failure(start, count, done, bad)
    covered = [n for each in pieces for n in range(each.item_start, each.item_start + each.item_count)]
    assert covered == list(range(start, start + count))
    assert all(0 < each.item_count < count for each in pieces)
    for each in pieces:
        if each.suspect:
            assert (each.item_start, each.item_count) == (bad, 1)
        if each.finished:
            assert (each.item_start, each.item_count) == (start, done)


@pytest.mark.parametrize("bad", [99, 103, 110])
def test_whoever_blames_a_finished_or_foreign_item_blames_nobody(bad: int) -> None:
    assert pieces_after_failure(100, 10, 4, bad) == [Piece(100, 4, finished=True), Piece(104, 1), Piece(105, 5)]


def test_one_item_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="one item"):
        pieces_after_failure(5, 1, 0, None)


@pytest.mark.parametrize("wanted", [ItemRange(-1, 4), ItemRange(0, -1), ItemRange(5, 4)])
def test_impossible_ranges_are_refused(wanted: ItemRange) -> None:
    with pytest.raises(Refusal) as refused:
        check_range(wanted)
    assert refused.value.code is Code.RANGE_INVALID
    assert refused.value.remedy


@pytest.mark.parametrize("wanted", [None, ItemRange(0, 0), ItemRange(4, 10**12)])
def test_possible_ranges_pass(wanted: ItemRange | None) -> None:
    check_range(wanted)


@pytest.mark.parametrize("chunks", [0, -1, CHUNKS_MAX + 1, 10**9])
def test_impossible_numbers_of_chunks_are_refused(chunks: int) -> None:
    with pytest.raises(Refusal) as refused:
        check_chunks(chunks)
    assert refused.value.code is Code.CHUNKS_INVALID


@pytest.mark.parametrize("chunks", [None, 1, CHUNKS_MAX])
def test_possible_numbers_of_chunks_pass(chunks: int | None) -> None:
    check_chunks(chunks)
