"""Cutting inputs: whatever the blocks, the same chunks; they cover the input; each digest is that of its bytes."""

import csv
import hashlib
import io
import itertools
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fallow.control.lines import BLOCK_BYTES, Cut, Cutter, Sizes, ahead, count_items
from fallow.core.words import InputFormat

JSONL, CSV, TEXT = InputFormat.JSONL, InputFormat.CSV, InputFormat.TEXT
BOM = b"\xef\xbb\xbf"
LONG = 60  # an item longer than this is refused in these tests


def cuts_of(
    blocks: list[bytes], kind: InputFormat = JSONL, items: int | None = 2, size: int | None = None
) -> list[Cut]:
    cutter = Cutter(0, kind, Sizes(items, size), LONG)
    found = [cut for block in blocks for cut in cutter.feed(block)]
    return [*found, *cutter.finish()]


def blocks_of(data: bytes, ends: list[int]) -> list[bytes]:
    """The data in pieces that end at these places."""
    places = [0, *sorted(min(end, len(data)) for end in ends), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


lines = st.lists(
    st.one_of(
        st.sampled_from([b"", b" ", b"\t\r", b'{"n":1}', b"x" * 61, b"y" * 79, b"z" * 81, b"long" * 30]),
        st.binary(max_size=12).map(lambda raw: raw.replace(b"\n", b"")),
    ),
    max_size=12,
)


@given(
    lines, st.sampled_from([b"\n", b"\r\n"]), st.booleans(), st.booleans(), st.lists(st.integers(0, 500), max_size=6)
)
@hypothesis_settings(deadline=None)
def test_the_blocks_do_not_matter(rows: list[bytes], newline: bytes, last: bool, bom: bool, ends: list[int]) -> None:
    data = (BOM if bom else b"") + newline.join(rows) + (newline if last else b"")
    whole = cuts_of([data])
    assert cuts_of(blocks_of(data, ends)) == whole
    assert cuts_of([data[at : at + 1] for at in range(len(data))]) == whole


@given(lines, st.integers(1, 4))
@hypothesis_settings(deadline=None)
def test_the_cuts_cover_every_item_once_and_in_order(rows: list[bytes], items: int) -> None:
    data = b"\n".join(rows)
    cuts = cuts_of([data], items=items)
    wanted = [row for row in data.removeprefix(b"\xef\xbb\xbf").split(b"\n") if row.strip(b" \t\r\f\v")]
    assert sum(cut.items for cut in cuts) == len(wanted)
    at = 0
    for cut in cuts:
        piece = data[cut.start : cut.start + cut.length]
        assert not data[at : cut.start].strip(), "only white space lies between two chunks"
        assert len([row for row in piece.split(b"\n") if row.strip(b" \t\r\f\v")]) == cut.items
        assert cut.sha256 in ("", hashlib.sha256(piece).hexdigest())
        at = cut.start + cut.length
    assert not data[at:].strip()


def test_a_digest_is_there_unless_a_long_line_came_between() -> None:
    plain = cuts_of([b"1\n2\n3\n"])
    assert [cut.sha256 for cut in plain] == [hashlib.sha256(piece).hexdigest() for piece in (b"1\n2\n", b"3\n")]


@pytest.mark.parametrize("data", [b"", b"\n\n", BOM, BOM + b"\r\n", b"  \n\t\n"])
def test_what_holds_no_items_gives_no_chunks(data: bytes) -> None:
    assert cuts_of([data]) == []


def test_a_line_that_is_too_long_stands_alone() -> None:
    data = b"1\n" + b"x" * 70 + b"\n2\n3\n"
    cuts = cuts_of([data], items=10)
    assert [(cut.items, cut.oversized) for cut in cuts] == [(1, False), (1, True), (2, False)]
    assert data[cuts[1].start : cuts[1].start + cuts[1].length] == b"x" * 70 + b"\n"


def test_chunks_end_at_so_many_bytes_too() -> None:
    assert [cut.length for cut in cuts_of([b"123\n" * 5], items=None, size=8)] == [8, 8, 4]


def test_a_newline_between_quotes_does_not_end_a_row() -> None:
    data = b'a,b\n1,"one\nline, and ""another"""\n2,"x"\n3,"\n\n"\n'
    cuts = cuts_of([data], CSV, items=1)
    rows = [next(csv.reader(io.StringIO(data[c.start : c.start + c.length].decode()))) for c in cuts]
    assert rows == list(csv.reader(io.StringIO(data.decode())))
    assert count_items([data], CSV) == 3


@given(st.lists(st.lists(st.text(alphabet='a,"\n ', max_size=6), min_size=2, max_size=2), min_size=1, max_size=6))
@hypothesis_settings(deadline=None)
def test_csv_rows_are_those_of_a_csv_reader(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    data = text.getvalue().encode()
    cutter = Cutter(0, CSV, Sizes(1, None))
    cuts = [*cutter.feed(data), *cutter.finish()]
    assert len(cuts) == len(rows)


@pytest.mark.parametrize("sizes", [[], [5], [BLOCK_BYTES], [BLOCK_BYTES, 3], [BLOCK_BYTES, BLOCK_BYTES, 1]])
def test_reading_ahead_gives_the_same_blocks(sizes: list[int]) -> None:
    blocks = [bytes([n]) * size for n, size in enumerate(sizes)]
    assert list(ahead(iter(blocks))) == blocks


def test_an_error_while_reading_ahead_is_raised() -> None:
    def failing() -> Iterator[bytes]:
        yield b"x" * BLOCK_BYTES
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(ahead(failing()))


def test_memory_does_not_grow_with_the_input() -> None:
    line = b'{"n":1234567,"text":"' + b"x" * 200 + b'"}\n'
    block = line * (512 * 1024 // len(line))

    def peak(blocks: int) -> int:
        cutter = Cutter(0, TEXT, Sizes(1000, None))
        tracemalloc.start()
        count = sum(1 for _ in range(blocks) for _ in cutter.feed(block))
        assert count > blocks
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(24) < 2 * peak(4) + 1_000_000
