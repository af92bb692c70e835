"""Cutting: a range of items into chunks, and a failed chunk into smaller pieces."""

from collections.abc import Iterator
from dataclasses import dataclass

from fallow.core.job import ItemRange
from fallow.core.refusals import Code, Refusal

CHUNKS_MAX = 100_000  # of a job that asks for a number of chunks; the seed's own bound


@dataclass(frozen=True, slots=True)
class Piece:
    """finished: its answers are known already. suspect: its only item is what the failure was blamed on."""

    item_start: int
    item_count: int
    finished: bool = False
    suspect: bool = False


def even_ranges(item_count: int, chunks: int) -> Iterator[ItemRange]:
    """item_count items in `chunks` contiguous ranges whose sizes differ by at most one; never an empty one."""
    chunks = min(chunks, item_count)
    start = 0
    for index in range(chunks):
        size = item_count // chunks + (1 if index < item_count % chunks else 0)
        yield ItemRange(start, start + size - 1)
        start += size


def pieces_after_failure(item_start: int, item_count: int, items_done: int, bad_item: int | None) -> list[Piece]:
    """The pieces that replace a failed chunk, in item order; they cover it exactly, and each is smaller than it.

    items_done: answers known good before the failure. bad_item: whom the contract blames, a number of the job's; a
    number outside the unfinished rest of the chunk blames nobody. Raises ValueError for a chunk of one item.
    The finished head is kept, the blamed item stands alone, and the rest goes on. A chunk that failed before its first
    answer although nobody or only its first item is to blame may owe that to an image that works in batches: halve it.
    """
    if item_count < 2:
        raise ValueError("a chunk of one item cannot be split")
    done = items_done if 0 < items_done < item_count else 0
    end = item_start + item_count
    first = item_start + done
    if bad_item is not None and not first <= bad_item < end:
        bad_item = None
    if done == 0 and (bad_item is None or bad_item == item_start):
        half = item_count // 2
        return [
            Piece(item_start, half, suspect=half == 1 and bad_item == item_start),
            Piece(item_start + half, item_count - half),
        ]
    pieces = [Piece(item_start, done, finished=True)] if done else []
    blamed = first if bad_item is None else bad_item
    if blamed > first:
        pieces.append(Piece(first, blamed - first))
    pieces.append(Piece(blamed, 1, suspect=bad_item is not None))
    if blamed + 1 < end:
        pieces.append(Piece(blamed + 1, end - blamed - 1))
    return pieces


def check_range(wanted: ItemRange | None) -> None:
    """Raises Refusal RANGE_INVALID for a range that no input can have."""
    if wanted is None:
        return
    if wanted.start < 0 or wanted.end < 0:
        raise Refusal(Code.RANGE_INVALID, f"The range {wanted.start}..{wanted.end} is negative.", "Items count from 0.")
    if wanted.end < wanted.start:
        raise Refusal(
            Code.RANGE_INVALID,
            f"The range {wanted.start}..{wanted.end} ends before it starts.",
            "The end is the last item, included.",
        )


def check_chunks(chunks: int | None) -> None:
    """Raises Refusal CHUNKS_INVALID for a number of chunks outside 1..CHUNKS_MAX."""
    if chunks is not None and not 1 <= chunks <= CHUNKS_MAX:
        raise Refusal(
            Code.CHUNKS_INVALID,
            f"A job cannot have {chunks} chunks.",
            f"Ask for 1 to {CHUNKS_MAX}, or say how many items a chunk should have.",
        )
