"""Results: answers while the job runs, the finished files, and logs."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fallow.control.answers import lines_of
from fallow.control.assimilator import fault_lines
from fallow.control.bodies import Bodies
from fallow.control.callers import Caller
from fallow.control.outputs import NAMES, output_target
from fallow.control.places import Places
from fallow.control.reports import log_key
from fallow.control.views import Views
from fallow.core.refusals import Code, Refusal
from fallow.core.words import AttemptId, ChunkState
from fallow.store.port import JobRow, ResultRow, Store

_PAGE = 200
Reader = Callable[[int, int | None], Iterator[bytes]]  # (start, length) -> pieces


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes to be served. etag: changes when they do."""

    size_bytes: int
    etag: str
    read: Reader


class Results:
    """Reads only."""

    def __init__(self, store: Store, places: Places, views: Views) -> None:
        self._store = store
        self._places = places
        self._bodies = Bodies(store, places.artifacts)
        self._views = views

    def lines(self, caller: Caller, job_id: str, after: int, limit: int) -> Iterator[bytes]:
        """{"item": n, "output": answer} of items greater than `after` whose chunks are over, in item order; one that
        is not over yet leaves a gap, which a later call fills. At most `limit` lines. Raises Refusal NOT_FOUND."""
        job = self._views.job(caller, job_id)
        return self._lines(job, after, limit)

    def _lines(self, job: JobRow, after: int, limit: int) -> Iterator[bytes]:
        left = limit
        for row in self._rows(job, after):
            for offset, line in enumerate(self._answers(row)):
                item = row.item_start + offset
                if item <= after:
                    continue
                if left == 0:
                    return
                left -= 1
                yield _line(item, line)

    def runs(self, caller: Caller, job_id: str, items: Sequence[int], size_bytes_max: int) -> Iterator[bytes]:
        """The same lines from each of the items to the end of its chunk, where that is over; chunk by chunk, until
        they are more than `size_bytes_max`."""
        job = self._views.job(caller, job_id)
        size = 0
        for wanted in dict.fromkeys(items):
            with self._store.reading() as tx:
                rows = tx.results_from(job.job_key, wanted, 1)
            if not rows or not rows[0].item_start <= wanted < rows[0].item_start + rows[0].item_count:
                continue
            for item, line in enumerate(self._answers(rows[0]), rows[0].item_start):
                if item >= wanted:
                    said = _line(item, line)
                    size += len(said)
                    yield said
            if size >= size_bytes_max:
                return

    def _rows(self, job: JobRow, after: int) -> Iterator[ResultRow]:
        """Results from the chunk that holds item after + 1 on."""
        with self._store.reading() as tx:
            holding = tx.results_from(job.job_key, after + 1, _PAGE)
        page = holding
        while page:
            yield from page
            with self._store.reading() as tx:
                page = tx.results(job.job_key, page[-1].item_start, _PAGE)

    def _answers(self, row: ResultRow) -> Iterator[bytes]:
        if row.state is not ChunkState.DONE or row.artifact is None:
            return fault_lines(row)
        return lines_of(self._bodies.read(row.artifact))

    def output(self, caller: Caller, job_id: str, name: str) -> Content:
        """A finished job's output.jsonl, errors.jsonl or manifest.json. Raises Refusal NOT_FOUND."""
        job = self._views.job(caller, job_id)
        if name not in NAMES:
            raise Refusal(Code.NOT_FOUND, f"A job has no output {name!r}.", f"There are {', '.join(NAMES)}.")
        if not job.output:
            raise Refusal(
                Code.NOT_FOUND, f"The job is {job.state} and has delivered nothing.", "Read its results so far instead."
            )
        facts = json.loads(job.output)["files"][name]
        target = output_target(job.spec, self._places)
        etag = facts.get("sha256") or f"{job.finished_at}-{facts['size_bytes']}"
        return Content(facts["size_bytes"], etag, lambda start, length: target.stream(name, start, length))

    def log(self, caller: Caller, job_id: str, attempt_id: int) -> Content:
        """The whole log of an attempt. Raises Refusal NOT_FOUND."""
        job = self._views.job(caller, job_id)
        with self._store.reading() as tx:
            row = tx.attempt_row(AttemptId(attempt_id))
        if row is None or row.attempt.job_key != job.job_key:
            raise no_such_attempt(attempt_id)
        key = log_key(job.job_id, attempt_id)
        head = self._places.artifacts.head(key)
        if head is None:
            return Content(0, "empty", lambda _start, _length: iter(()))
        return Content(head.size_bytes, head.etag, lambda start, length: self._places.artifacts.get(key, start, length))


def no_such_attempt(attempt_id: int) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"The job has no attempt {attempt_id}.", "See fallow job.")


def _line(item: int, answer: bytes) -> bytes:
    return b'{"item":%d,"output":%b}\n' % (item, answer.rstrip(b"\n"))
