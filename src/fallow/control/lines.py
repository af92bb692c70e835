"""Cutting a stream of bytes into chunks of lines: one pass, memory bounded by a block, hashes on the way.

A line that holds only white space is not an item. CRLF and a UTF-8 byte order mark belong to the lines and are the
worker's to strip. In CSV a newline between quotes does not end a row (RFC 4180).
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from fallow.core.chunk import Extent, ItemFault
from fallow.core.job import ITEM_BYTES_MAX, MIB
from fallow.core.words import InputFormat
from fallow.store.port import PlannedChunk

BLOCK_BYTES = 8 * 1024 * 1024
_QUOTE_OR_NEWLINE = re.compile(rb'["\n]')
_SHORT = 80  # a longer line is taken to be an item without looking at it, if it starts with something to see
_BLANK = b" \t\r\f\v"
_BOM = b"\xef\xbb\xbf"
_TOO_LARGE = ItemFault("item_too_large", f"The item is larger than {ITEM_BYTES_MAX // MIB} MiB.")


@dataclass(frozen=True, slots=True)
class Cut:
    """`items` items in `length` bytes at `start`. oversized: its only item is longer than any worker takes."""

    start: int
    length: int
    items: int
    sha256: str
    oversized: bool = False


def planned(cut: Cut, item_start: int, item_count: int, skip: int) -> PlannedChunk:
    """The chunk of a cut. skip: items at its start that the job leaves out."""
    extent = Extent(cut.start, cut.length, skip, cut.sha256)
    return PlannedChunk(item_start, item_count, extent, _TOO_LARGE if cut.oversized else None)


@dataclass(frozen=True, slots=True)
class Sizes:
    """A chunk ends at whichever comes first; None: no bound of that kind."""

    items: int | None
    size_bytes: int | None


class Cutter:
    """Feed it blocks; it gives the cuts that are complete. `start`: where in the input the first block stands."""

    def __init__(self, start: int, kind: InputFormat, sizes: Sizes, item_bytes_max: int = ITEM_BYTES_MAX) -> None:
        self.sizes = sizes
        self._kind = kind
        self._item_bytes_max = item_bytes_max
        self._cut_start = start
        self._items = 0
        self._line_start = start
        self._line_head = b""  # the first bytes of an unfinished line that began in an earlier block
        self._quoted = False
        self._hash = hashlib.sha256()
        self._hashed_to = start
        self._at = start

    def feed(self, block: bytes) -> Iterator[Cut]:
        """The chunks that this block completes."""
        base = self._at
        self._at = base + len(block)
        view = memoryview(block)
        for position in self._line_ends(block):
            end = base + position
            if _SHORT < end - self._line_start <= self._item_bytes_max:
                # Nearly every line: without a generator of its own it costs half.
                self._items += 1
                if self._full(end):
                    self._hash_to(view, base, end)
                    yield self._cut(end)
            else:
                yield from self._line(block, view, base, end)
            self._line_start = end
            self._line_head = b""
        rest = block[max(self._line_start - base, 0) :][: _SHORT + 1]
        self._line_head = (self._line_head + rest)[: _SHORT + 1]
        self._hash_to(view, base, self._at)

    def finish(self) -> Iterator[Cut]:
        """The last chunk, once the input has ended; a last line needs no newline."""
        if self._line_start < self._at:
            yield from self._line(b"", memoryview(b""), self._at, self._at)
        if self._items:
            yield self._cut(self._at)

    def _line_ends(self, block: bytes) -> Iterable[int]:
        if self._kind is not InputFormat.CSV:
            return _newline_ends(block)
        return self._row_ends(block)

    def _row_ends(self, block: bytes) -> list[int]:
        ends = []
        quoted = self._quoted
        for match in _QUOTE_OR_NEWLINE.finditer(block):
            if block[match.start()] == 0x22:
                quoted = not quoted
            elif not quoted:
                ends.append(match.end())
        self._quoted = quoted
        return ends

    def _line(self, block: bytes, view: memoryview, base: int, end: int) -> Iterator[Cut]:
        """One line, from _line_start to `end`, where its last bytes are in `block`."""
        length = end - self._line_start
        if length <= _SHORT and self._is_blank(block, base, end):
            return
        if length > self._item_bytes_max:
            yield from self._oversized(view, base, end)
            return
        self._items += 1
        if self._full(end):
            self._hash_to(view, base, end)
            yield self._cut(end)

    def _full(self, end: int) -> bool:
        sizes = self.sizes
        if sizes.items is not None and self._items >= sizes.items:
            return True
        return sizes.size_bytes is not None and end - self._cut_start >= sizes.size_bytes

    def _is_blank(self, block: bytes, base: int, end: int) -> bool:
        head = self._line_head + block[max(self._line_start - base, 0) : end - base]
        if self._line_start == 0:
            head = head.removeprefix(_BOM)
        return not head.strip(_BLANK + b"\n")

    def _oversized(self, view: memoryview, base: int, end: int) -> Iterator[Cut]:
        """The chunk so far, then the long line alone. Their digests are not known: the bytes went by together."""
        if self._items:
            yield Cut(self._cut_start, self._line_start - self._cut_start, self._items, "")
        self._cut_start, self._items = self._line_start, 1
        self._hash_to(view, base, end)
        yield Cut(self._line_start, end - self._line_start, 1, "", oversized=True)
        self._restart(end)

    def _cut(self, end: int) -> Cut:
        cut = Cut(self._cut_start, end - self._cut_start, self._items, self._hash.hexdigest())
        self._restart(end)
        return cut

    def _restart(self, end: int) -> None:
        self._cut_start, self._items = end, 0
        self._hash = hashlib.sha256()
        self._hashed_to = end

    def _hash_to(self, view: memoryview, base: int, end: int) -> None:
        if end > self._hashed_to and len(view):
            self._hash.update(view[self._hashed_to - base : end - base])
            self._hashed_to = end


def _newline_ends(block: bytes) -> list[int]:
    """One `find` a line: twice as quick as a regular expression, and this is most of what planning costs."""
    ends = []
    find = block.find
    end = find(b"\n") + 1
    while end:
        ends.append(end)
        end = find(b"\n", end) + 1
    return ends


def ahead(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same blocks, the next one being read while this one is worked on. One short block needs no second thread."""
    first = next(blocks, None)
    if first is None:
        return
    if len(first) < BLOCK_BYTES:
        yield first
        yield from blocks
        return
    yield first
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        coming: Future[bytes | None] = pool.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = pool.submit(next, blocks, None)
            yield block


def count_items(blocks: Iterable[bytes], kind: InputFormat) -> int:
    """How many items the input has. CSV: without its header."""
    cutter = Cutter(0, kind, Sizes(items=1_000_000_000, size_bytes=None))
    total = sum(cut.items for block in blocks for cut in cutter.feed(block))
    total += sum(cut.items for cut in cutter.finish())
    return max(total - 1, 0) if kind is InputFormat.CSV else total
