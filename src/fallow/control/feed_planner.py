"""The planner's work on a feed: it cuts the parts that have come, and then rests until more come."""

from collections.abc import Iterator
from dataclasses import dataclass

from fallow.clock import Clock
from fallow.control.lines import Cutter, Sizes, planned
from fallow.control.places import Places
from fallow.core.lifecycle import JobEvent
from fallow.core.words import InputFormat, JobState
from fallow.settings import Settings
from fallow.store.port import FeedPart, JobRow, PlanCursor, PlannedChunk, Store

_PARTS = 64  # looked at in one go
_ITEMS_MAX = 1000  # of a chunk whose size nobody chose
_BYTES_MAX = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Batch:
    """Chunks, and how far they reach: with the last chunk of a part the cursor stands behind the part."""

    chunks: list[PlannedChunk]
    cursor: PlanCursor


class FeedPlanner:
    """Writes chunks under the claim of the planner that `owner` names."""

    def __init__(self, store: Store, places: Places, settings: Settings, owner: str, item_bytes_max: int) -> None:
        self._store = store
        self._places = places
        self._clock: Clock = places.clock
        self._settings = settings
        self._owner = owner
        self._item_bytes_max = item_bytes_max

    def plan(self, job: JobRow, memory: str) -> None:
        """Plans what has come, as far as there is room; `memory` goes with each cursor."""
        room = self._settings.plan_ahead - job.counters.chunks_waiting
        cursor = PlanCursor(job.plan.position, job.plan.next_item, False, memory)
        while room > 0:
            with self._store.reading() as tx:
                parts = tx.feed_parts(job.job_key, cursor.position, _PARTS)
            if not parts:
                self._rest_or_end(job, cursor)
                return
            batch = self._batch(job, parts, cursor, room)
            if not self._write(job, batch):
                return
            cursor, room = batch.cursor, room - len(batch.chunks)

    def _batch(self, job: JobRow, parts: list[FeedPart], cursor: PlanCursor, room: int) -> _Batch:
        chunks: list[PlannedChunk] = []
        position, item, memory = cursor.position, cursor.next_item, cursor.memory
        for part in parts:
            for chunk in self._chunks(job, part, max(position, part.start), item):
                chunks.append(chunk)
                item += chunk.item_count
                if len(chunks) >= room:
                    end = chunk.extent.start + chunk.extent.length
                    return _Batch(chunks, PlanCursor(end, item, False, memory))
            position = part.start + part.size_bytes
        return _Batch(chunks, PlanCursor(position, item, False, memory))

    def _chunks(self, job: JobRow, part: FeedPart, start: int, item: int) -> Iterator[PlannedChunk]:
        """The chunks of one part from the byte `start` of the whole input on; the first item there is `item`."""
        chunking = job.spec.chunking
        chosen = chunking.items is not None or chunking.size_bytes is not None
        sizes = Sizes(chunking.items, chunking.size_bytes) if chosen else Sizes(_ITEMS_MAX, _BYTES_MAX)
        cutter = Cutter(start, InputFormat.JSONL, sizes, self._item_bytes_max)
        for block in self._places.artifacts.get(part.artifact_key, start - part.start):
            for cut in cutter.feed(block):
                yield planned(cut, item, cut.items, 0)
                item += cut.items
        for cut in cutter.finish():
            yield planned(cut, item, cut.items, 0)

    def _write(self, job: JobRow, batch: _Batch) -> bool:
        """The chunks, and with the first of them the job's move: a feed runs from its first item on."""
        now = self._clock.now()
        with self._store.transaction() as tx:
            written = tx.add_chunks(job.job_key, self._owner, batch.chunks, batch.cursor, now)
            current = tx.job_by_key(job.job_key) if written and job.state is JobState.PLANNING else None
            if current is not None and current.state is JobState.PLANNING:
                tx.move_job(job.job_key, JobEvent.PLANNED, "the first items have come", "planner", now)
        return written

    def _rest_or_end(self, job: JobRow, cursor: PlanCursor) -> None:
        """All that had come is planned. What came meanwhile, or the end, is seen under the feed's lock."""
        now = self._clock.now()
        with self._store.transaction() as tx:
            feed = tx.locked_feed(job.job_key)
            if feed is None or feed.size_bytes > cursor.position:
                return
            if feed.closed_at is None:
                tx.rest_feed(job.job_key)
                return
            last = PlanCursor(cursor.position, cursor.next_item, True, cursor.memory)
            written = tx.add_chunks(job.job_key, self._owner, [], last, now)
            current = tx.job_by_key(job.job_key) if written else None
            if current is not None and current.state is JobState.PLANNING:
                tx.move_job(job.job_key, JobEvent.PLANNED, "the feed was closed", "planner", now)
