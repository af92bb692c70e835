"""The planner (BOINC's work generator): walks a job's input once and writes its chunks, some ahead of the fleet.

It keeps a cursor in the job's row, moved in the transaction that writes the chunks, so that a planner killed anywhere
goes on where its last commit was. Inputs that are not lines (Parquet, a prefix, what a plug-in makes, what comes over
http) are staged once as lines in the object store; docs/decisions/0008.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import msgspec

from fallow.artifacts.locations import Source
from fallow.control.batch_form import BatchForm
from fallow.control.batch_lines import checked_items, faults_of
from fallow.control.claims import ClaimLost, Claims
from fallow.control.feed_planner import FeedPlanner
from fallow.control.lines import BLOCK_BYTES, Cut, Cutter, Sizes, ahead, count_items, planned
from fallow.control.places import OWN, Places
from fallow.control.plugins import Plugs
from fallow.control.staging import columns_of, staged_lines
from fallow.core.batches import CONTAINER, BatchRules
from fallow.core.job import ITEM_BYTES_MAX, MIB, ItemRange, JobSpec
from fallow.core.lifecycle import JOB_OVER, JobEvent
from fallow.core.refusals import Code, Refusal
from fallow.core.sizing import Work, chosen_items
from fallow.core.slicing import even_ranges
from fallow.core.words import InputFormat, JobState, Micros
from fallow.settings import Settings
from fallow.store.port import JobRow, PlanCursor, PlannedChunk, Store, Tx

_BATCH_CHUNKS = 500
_FIRST_BATCH_CHUNKS = 16  # small, so that the fleet starts at once
_BYTES_MAX = 32 * MIB  # of a chunk whose size nobody chose


@dataclass(frozen=True, slots=True)
class Memory:
    """What the planner must know to go on after a restart. lines_uri: where the lines are; etag: as they were then.
    skip_to, last: the job's own item range, as line numbers of the input. plan: chunk sizes, for a number of chunks."""

    lines_uri: str = ""
    etag: str = ""
    lines_format: str = ""
    columns: tuple[str, ...] = ()
    items: int | None = None
    size_bytes: int | None = None
    chunks: int | None = None
    items_known: int | None = None


class Planner:
    """One step plans one batch of one job."""

    def __init__(
        self,
        store: Store,
        places: Places,
        plugs: Plugs,
        settings: Settings,
        owner: str,
        item_bytes_max: int = ITEM_BYTES_MAX,
        form: BatchForm | None = None,
    ) -> None:
        self._store = store
        self._places = places
        self._plugs = plugs
        self._settings = settings
        self._owner = owner
        self._claims = Claims(store, places.clock, owner, settings.claim_seconds)
        self._item_bytes_max = item_bytes_max
        self._form = form
        self._feeds = FeedPlanner(store, places, settings, owner, item_bytes_max)

    def step(self) -> bool:
        """True when there was something to do."""
        job = self._claims.take("plan")
        if job is None:
            return False
        try:
            self._plan(job)
        except ClaimLost:
            return True
        except Refusal as refusal:
            if refusal.code in (Code.STORAGE_UNREACHABLE, Code.STORAGE_FULL):
                raise
            self._fail(job, refusal)
        finally:
            self._claims.release(job.job_key)
        return True

    def _fail(self, job: JobRow, refusal: Refusal) -> None:
        """The input is not what it was at the door: the job cannot go on, and says why."""
        now = self._places.clock.now()
        with self._store.transaction() as tx:
            current = tx.job_by_key(job.job_key)
            if current is not None and current.state not in JOB_OVER:  # cancelled or deleted while it was read
                tx.move_job(job.job_key, JobEvent.FAIL, refusal.code, "planner", now, reason=str(refusal))
                if job.spec.input.format is InputFormat.BATCH:
                    tx.set_batch_errors(job.job_key, msgspec.json.encode(faults_of(refusal)).decode())

    def _plan(self, job: JobRow) -> None:
        if job.spec.feed:
            self._feeds.plan(job, msgspec.json.encode(Memory(lines_format=InputFormat.JSONL)).decode())
            return
        memory = self._memory_of(job)
        source = self._places.open_source(memory.lines_uri)
        room = self._settings.plan_ahead - job.counters.chunks_waiting
        batch: list[PlannedChunk] = []
        cursor = job.plan
        size = _FIRST_BATCH_CHUNKS if cursor.next_item == 0 else _BATCH_CHUNKS
        for chunk in self._chunks(job, memory, cursor, source):
            batch.append(chunk)
            if len(batch) < min(size, room):
                continue
            cursor = _cursor_after(batch, memory, done=False)
            if not self._write(job, batch, cursor):
                return
            room -= len(batch)
            batch, size = [], _BATCH_CHUNKS
            if room <= 0:
                return
        self._check_unchanged(source, memory)
        self._check_range(job.spec, cursor, batch)
        last = _cursor_after(batch, memory, done=True) if batch else replace(cursor, done=True)
        self._write_last(job, batch, last)

    def _write(self, job: JobRow, batch: list[PlannedChunk], cursor: PlanCursor) -> bool:
        with self._store.transaction() as tx:
            return tx.add_chunks(job.job_key, self._owner, batch, cursor, self._places.clock.now())

    def _write_last(self, job: JobRow, batch: list[PlannedChunk], cursor: PlanCursor) -> None:
        """The last chunks and the job's move in one: nobody looks again at a job whose plan is done."""
        now = self._places.clock.now()
        with self._store.transaction() as tx:
            written = tx.add_chunks(job.job_key, self._owner, batch, cursor, now)
            current = tx.job_by_key(job.job_key) if written else None
            if current is not None and current.state is JobState.PLANNING:
                tx.move_job(job.job_key, JobEvent.PLANNED, "the input has been read", "planner", now)

    def _check_unchanged(self, source: Source, memory: Memory) -> None:
        """Raises Refusal INPUT_CHANGED."""
        if memory.etag and source.head().etag != memory.etag:
            raise Refusal(
                Code.INPUT_CHANGED,
                f"The input {memory.lines_uri} changed while it was being read.",
                "Submit the job again, and leave the file alone until it is done.",
            )

    def _check_range(self, spec: JobSpec, cursor: PlanCursor, batch: list[PlannedChunk]) -> None:
        """Raises Refusal RANGE_PAST_END when the input ended before the range did."""
        wanted = spec.input.range
        seen = batch[-1].item_start + batch[-1].item_count if batch else cursor.next_item
        if wanted is not None and seen <= wanted.end:
            raise Refusal(
                Code.RANGE_PAST_END,
                f"The range ends at item {wanted.end}, and the input has fewer.",
                "Items count from 0; the end is included.",
            )

    def _memory_of(self, job: JobRow) -> Memory:
        if job.plan.memory:
            return msgspec.json.decode(job.plan.memory, type=Memory)
        return self._sized(job, self._located(job))

    def _located(self, job: JobRow) -> Memory:
        """Where the input's lines are; stages them first where the input is not lines that can be read in place."""
        spec = job.spec
        staged = staged_lines(spec, self._places, self._plugs, lambda source: self._batch_items(job, source))
        if staged is not None:
            with self._places.artifacts.stream_writer(f"jobs/{spec.job_id}/items.jsonl") as writer:
                for block in self._claims.while_passing(job.job_key, staged):
                    writer.write(block)
            if spec.input.format is InputFormat.BATCH:
                with self._store.transaction() as tx:
                    tx.batch_in_progress(job.job_key, self._places.clock.now())
            uri, kind = f"{OWN}{writer.stored.key}", _staged_format(spec)
            columns = columns_of(self._places.open_source(uri)) if kind is InputFormat.CSV else ()
            return Memory(uri, writer.stored.etag, kind, columns)
        source = self._places.open_source(spec.input.uri)
        if source.head().etag != spec.input.etag:
            raise Refusal(
                Code.INPUT_CHANGED,
                f"The input {spec.input.uri} changed after the job was submitted.",
                "Submit the job again, and leave the file alone until it is done.",
            )
        columns = columns_of(source) if spec.input.format is InputFormat.CSV else ()
        return Memory(spec.input.uri, spec.input.etag, spec.input.format, columns)

    def _batch_items(self, job: JobRow, source: Source) -> Iterator[bytes]:
        """The requests of a batch file, all of them checked before any is run. Raises Refusal INPUT_FORMAT."""
        with self._store.reading() as tx:
            row = tx.batch(job.job_key)
        assert row is not None, "a batch has its row from its first moment"
        assert self._form is not None, "batches are planned where their form is known"
        rules = BatchRules(
            endpoint=row.endpoint,
            model=row.model,
            named=row.endpoint != CONTAINER,
            usable=job.spec.image is not None or bool(job.spec.command),
            lines_max=self._settings.batch_lines_max,
            size_bytes_max=self._settings.batch_file_bytes_max,
        )
        return checked_items(source, rules, self._form)

    def _sized(self, job: JobRow, memory: Memory) -> Memory:
        spec = job.spec
        return sized(
            spec, memory, lambda: self._item_count(job, memory), lambda: chosen_items(self._waiting_work(spec, memory))
        )

    def _item_count(self, job: JobRow, memory: Memory) -> int:
        given = job.spec.input
        if given.range is not None:
            return given.range.end - given.range.start + 1
        blocks = self._claims.while_passing(job.job_key, self._places.open_source(memory.lines_uri).stream())
        return count_items(blocks, InputFormat(memory.lines_format))

    def _waiting_work(self, spec: JobSpec, memory: Memory) -> Work:
        source = self._places.open_source(memory.lines_uri)
        size_bytes = source.head().size_bytes
        items = about_items(source.read(0, min(size_bytes, MIB)), size_bytes)
        seen_after = Micros(self._places.clock.now() - int(self._settings.silence_seconds * 1e6))
        with self._store.reading() as tx:
            return waiting_work(tx, spec, items, seen_after)

    def _chunks(self, job: JobRow, memory: Memory, cursor: PlanCursor, source: Source) -> Iterator[PlannedChunk]:
        """Planned chunks from the cursor to the end of the input or of the job's range."""
        blocks = self._claims.while_passing(job.job_key, ahead(_blocks(source, cursor.position)))
        return cut_chunks(job.spec, memory, cursor, blocks, self._item_bytes_max)


def about_items(sample: bytes, size_bytes: int) -> int:
    """How many lines so many bytes have, if all are as long as those of the sample."""
    return max(1, size_bytes * max(sample.count(b"\n"), 1) // max(len(sample), 1))


def waiting_work(tx: Tx, spec: JobSpec, items: int, seen_after: Micros) -> Work:
    """What is known of the work before it is cut: about how many items, the image's measured speed, the fleet."""
    if spec.input.range is not None:
        items = min(items, spec.input.range.end - spec.input.range.start + 1)
    rate = tx.setting(f"rate:{spec.ran}")
    slots = sum(int(json.loads(worker.capability).get("slots", 1)) for worker in tx.workers(seen_after))
    return Work(items, float(rate) if rate else None, slots)


def sized(spec: JobSpec, memory: Memory, item_count: Callable[[], int], chosen: Callable[[], int]) -> Memory:
    """The memory with how large chunks are to be. item_count, chosen: asked only where the job leaves it to them."""
    chunking = spec.chunking
    if chunking.chunks is not None:
        return replace(memory, chunks=chunking.chunks, items_known=item_count())
    if chunking.items is not None or chunking.size_bytes is not None:
        return replace(memory, items=chunking.items, size_bytes=chunking.size_bytes)
    return replace(memory, items=chosen(), size_bytes=_BYTES_MAX)


def cut_chunks(
    spec: JobSpec, memory: Memory, cursor: PlanCursor, blocks: Iterator[bytes], item_bytes_max: int = ITEM_BYTES_MAX
) -> Iterator[PlannedChunk]:
    """Planned chunks of the lines in `blocks`, which begin at the cursor, to their end or that of the job's range."""
    kind = InputFormat(memory.lines_format)
    line_kind = InputFormat.JSONL if kind in (InputFormat.OBJECTS, InputFormat.BUNDLES) else kind
    header = 1 if kind is InputFormat.CSV and cursor.position == 0 else 0
    sizes = _Sizing(spec, memory, cursor.next_item, header)
    cutter = Cutter(cursor.position, line_kind, sizes.next(), item_bytes_max)
    at = sizes.first_item
    for cut in _cuts(cutter, blocks):
        items = at.after(cut)
        cutter.sizes = sizes.next(at.next_item)
        if items is not None:
            yield planned(cut, *items)
        if at.over:
            return


def _staged_format(spec: JobSpec) -> InputFormat:
    """How staged lines read: rows and made items are JSON; an http body is what it was."""
    if spec.plugins.planner or spec.input.format in (InputFormat.PARQUET, InputFormat.BATCH):
        return InputFormat.JSONL
    return spec.input.format


def _blocks(source: Source, start: int) -> Iterator[bytes]:
    """The input in blocks of about BLOCK_BYTES: small pieces would cost more than their bytes."""
    held: list[bytes] = []
    size = 0
    for piece in source.stream(start):
        held.append(piece)
        size += len(piece)
        if size >= BLOCK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _cuts(cutter: Cutter, blocks: Iterator[bytes]) -> Iterator[Cut]:
    for block in blocks:
        yield from cutter.feed(block)
    yield from cutter.finish()


@dataclass(slots=True)
class _Counter:
    """Numbers the items of each cut: a CSV header is none, and a job's range leaves out what is outside it."""

    next_item: int
    header: int
    wanted: ItemRange | None
    over: bool = False

    def after(self, cut: Cut) -> tuple[int, int, int] | None:
        """(first item, items, items to skip) that the job takes of this cut; None when it takes none."""
        skip, self.header = min(self.header, cut.items), 0
        start = self.next_item
        count = cut.items - skip
        self.next_item += count
        if self.wanted is None:
            return (start, count, skip) if count else None
        first, last = max(start, self.wanted.start), min(start + count - 1, self.wanted.end)
        self.over = self.next_item > self.wanted.end
        return (first, last - first + 1, skip + first - start) if first <= last else None


class _Sizing:
    """How large the next chunk is. With a header or a range, the first are cut so that the others come out even."""

    def __init__(self, spec: JobSpec, memory: Memory, next_item: int, header: int) -> None:
        self._memory = memory
        self._header = header
        self._range_start = spec.input.range.start if spec.input.range else 0
        self.first_item = _Counter(next_item, header, spec.input.range)
        self._even: dict[int, int] = {}
        if memory.chunks is not None and memory.items_known is not None:
            ranges = even_ranges(memory.items_known, memory.chunks)
            self._even = {self._range_start + r.start: r.end - r.start + 1 for r in ranges}

    def next(self, item: int | None = None) -> Sizes:
        at = self.first_item.next_item if item is None else item
        extra, self._header = self._header, 0
        if at < self._range_start:
            return Sizes(self._range_start - at + extra, None)
        if self._memory.chunks is not None:
            return Sizes(self._even.get(at, 1) + extra, None)
        items = self._memory.items + extra if self._memory.items is not None else None
        return Sizes(items, self._memory.size_bytes)


def _cursor_after(batch: list[PlannedChunk], memory: Memory, *, done: bool) -> PlanCursor:
    last = batch[-1]
    position = last.extent.start + last.extent.length
    return PlanCursor(position, last.item_start + last.item_count, done, msgspec.json.encode(memory).decode())
