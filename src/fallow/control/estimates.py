"""A job tried on paper: checked like a real one, its chunks cut, its time estimated; nothing is written down."""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from fallow.artifacts.locations import Source
from fallow.control.callers import Caller
from fallow.control.glimpses import WHOLE_BYTES, Count, Glimpse, counted, glimpse
from fallow.control.intake import Intake
from fallow.control.places import Places
from fallow.control.planner import Memory, cut_chunks, sized, waiting_work
from fallow.control.scheduler import capability_of
from fallow.control.staging import columns_of
from fallow.control.volunteering import heard_first
from fallow.core.estimate import Estimate, Pace, Sample, estimate, pace_of
from fallow.core.job import MIB, JobSpec
from fallow.core.matching import Mismatch, explain, mismatches
from fallow.core.receipt import parse_statement
from fallow.core.refusals import Refusal
from fallow.core.sizing import chosen_items
from fallow.core.slicing import even_ranges
from fallow.core.submission import Submission
from fallow.core.words import InputFormat, Micros, WorkerId
from fallow.settings import Settings
from fallow.store.port import PlanCursor, PlannedChunk, ResultRow, Store, Tx

_PLAN_BYTES = 8 * MIB  # of a large input are cut to see how its chunks come out
_SHOWN_CHUNKS = 5
_JOBS_LOOKED_AT = 200
_JOBS_SAMPLED = 3
_CHUNKS_SAMPLED = 100  # of each


@dataclass(frozen=True, slots=True)
class Range:
    """One chunk of a plan: its items, both included, and its bytes where they are known."""

    item_start: int
    item_end: int
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """chunks: how many; exact where the whole input was cut. first: the first of them."""

    chunks: int
    exact: bool
    first: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """One worker that was heard of lately, and what keeps it from the job: nothing, or each requirement."""

    worker_id: WorkerId
    name: str
    label: str | None
    slots: int
    busy: int
    why_not: tuple[Mismatch, ...]


@dataclass(frozen=True, slots=True)
class DryRun:
    """glimpse, count, plan: None where a plug-in makes the items, or they are fed. estimate: None where the image never
    ran here. why_none: why no worker takes it, empty when one does."""

    spec: JobSpec
    glimpse: Glimpse | None
    count: Count | None
    plan: Plan | None
    estimate: Estimate | None
    fits: tuple[Fit, ...]
    why_none: tuple[str, ...]


class Estimates:
    """Tries jobs on paper."""

    def __init__(self, store: Store, places: Places, intake: Intake, settings: Settings) -> None:
        self._store = store
        self._places = places
        self._intake = intake
        self._settings = settings

    def dry_run(self, caller: Caller, submission: Submission, show: int = 5, width: int = 400) -> DryRun:
        """What would become of the submission. show, width: how many items to show, and how much of each.

        Raises whatever Refusal intake would raise, and those that the planner would find in what is read here.
        """
        spec = self._intake.check(caller, submission)
        seen, count, plan = None, None, None
        if not (spec.plugins.planner or spec.feed):
            source = self._places.open_source(spec.input.uri)
            count = counted(source, spec.input.format, spec.input.range)
            columns = columns_of(source) if spec.input.format is InputFormat.CSV else ()
            start = spec.input.range.start if spec.input.range else 0
            seen = glimpse(source, spec.input.format, start, columns, show, width)
            plan = self._plan(spec, source, count, columns)
        with self._store.reading() as tx:
            pace = _pace(tx, spec)
            fits = self._fits(tx, spec, caller.account_id)
        slots = sum(fit.slots for fit in fits if not fit.why_not)
        return DryRun(
            spec=spec,
            glimpse=seen,
            count=count,
            plan=plan,
            estimate=estimate(count.items, plan.chunks, spec.quorum, slots, pace) if count and plan else None,
            fits=fits,
            why_none=tuple(self._why_none(spec, caller.account_id)),
        )

    def _plan(self, spec: JobSpec, source: Source, count: Count, columns: tuple[str, ...]) -> Plan:
        memory = sized(
            spec,
            Memory(spec.input.uri, spec.input.etag, spec.input.format, columns),
            lambda: count.items,
            lambda: self._chosen(spec, count),
        )
        if spec.input.format in (InputFormat.PARQUET, InputFormat.OBJECTS):
            return _by_count(spec, memory, count)
        size = source.head().size_bytes
        whole = size <= WHOLE_BYTES
        blocks = source.stream(0, None if whole else _PLAN_BYTES)
        chunks = cut_chunks(spec, memory, PlanCursor(), blocks)
        return _by_cutting(chunks, memory, count, None if whole else size)

    def _chosen(self, spec: JobSpec, count: Count) -> int:
        with self._store.reading() as tx:
            return chosen_items(waiting_work(tx, spec, count.items, self._seen_after()))

    def _seen_after(self) -> Micros:
        return Micros(self._places.clock.now() - int(self._settings.silence_seconds * 1e6))

    def _fits(self, tx: Tx, spec: JobSpec, account_id: str) -> tuple[Fit, ...]:
        now = self._places.clock.now()
        found = []
        for row in tx.workers(heard_first(now, self._settings)):
            has = capability_of(row, now, self._settings, account_id)
            if has.alive:
                why = tuple(mismatches(spec, has))
                found.append(Fit(row.worker_id, row.name, row.label, has.slots, row.attempts_leased, why))
        return tuple(sorted(found, key=lambda fit: bool(fit.why_not)))

    def _why_none(self, spec: JobSpec, account_id: str) -> list[str]:
        now = self._places.clock.now()
        with self._store.reading() as tx:
            return explain(spec, [capability_of(row, now, self._settings, account_id) for row in tx.workers()])


def _by_count(spec: JobSpec, memory: Memory, count: Count) -> Plan:
    """For inputs that the planner stages as lines first: their bytes are not known yet."""
    start = spec.input.range.start if spec.input.range else 0
    if memory.chunks is not None:
        sizes = even_ranges(count.items, memory.chunks)
        first = [Range(start + each.start, start + each.end, None) for each in islice(sizes, _SHOWN_CHUNKS)]
        return Plan(min(memory.chunks, count.items), count.exact, tuple(first))
    items = memory.items or 1
    chunks = -(-count.items // items)
    ends = [min(start + count.items, start + (n + 1) * items) - 1 for n in range(min(chunks, _SHOWN_CHUNKS))]
    ranges = tuple(Range(start + n * items, end, None) for n, end in enumerate(ends))
    return Plan(chunks, count.exact and memory.size_bytes is None, ranges)


def _by_cutting(chunks: Iterator[PlannedChunk], memory: Memory, count: Count, size_bytes: int | None) -> Plan:
    """size_bytes: of an input of which only the beginning was cut, so that the last chunk is a part; else None."""
    first: list[Range] = []
    number = items = length = 0
    for chunk in chunks:
        number += 1
        items += chunk.item_count
        length = chunk.item_count
        if len(first) < _SHOWN_CHUNKS:
            first.append(Range(chunk.item_start, chunk.item_start + chunk.item_count - 1, chunk.extent.length))
    if size_bytes is None:
        return Plan(number, True, tuple(first))
    first = first[: number - 1] if number else []
    if memory.chunks is not None:
        return Plan(min(memory.chunks, count.items), count.exact, tuple(first))
    if number > 1:
        return Plan(-(-count.items * (number - 1) // max(items - length, 1)), False, tuple(first))
    by_items = -(-count.items // memory.items) if memory.items else 1
    by_bytes = -(-size_bytes // memory.size_bytes) if memory.size_bytes else 1
    return Plan(min(max(by_items, by_bytes), count.items), False, ())


def _pace(tx: Tx, spec: JobSpec) -> Pace | None:
    """From the newest jobs that ran the same image; where their chunks are gone, from the mean that was kept."""
    samples: list[Sample] = []
    jobs = [row for row in tx.jobs(account_id=None, before=None, limit=_JOBS_LOOKED_AT) if row.spec.ran == spec.ran]
    for job in [row for row in jobs if row.counters.chunks_done][:_JOBS_SAMPLED]:
        samples.extend(_samples(tx.results(job.job_key, -1, _CHUNKS_SAMPLED)))
    mean = tx.setting(f"rate:{spec.ran}")
    return pace_of(samples, float(mean) if mean else None)


def _samples(rows: Sequence[ResultRow]) -> Iterator[Sample]:
    """What the workers' receipts say that chunks took; error lines are quick, and tell nothing of good ones."""
    for row in rows:
        if not row.envelope or row.item_errors == row.item_count:
            continue
        try:
            receipt = parse_statement(base64.b64decode(json.loads(row.envelope)["payload"]))
            took = datetime.fromisoformat(receipt.finished_at) - datetime.fromisoformat(receipt.started_at)
        except (Refusal, ValueError, TypeError, KeyError):  # TypeError: one moment with a time zone, one without
            continue
        yield Sample(row.item_count, took.total_seconds())
