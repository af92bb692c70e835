"""Looking a line up: which image on which worker made it, from what, and the proof.

There is no index over lines. An item's number leads straight to its line; a line alone is looked for in the outputs of
the job it is said to be of, else of the visitor's newest jobs, byte for byte, until a budget of bytes is spent.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from fallow.control.answers import lines_of
from fallow.control.assimilator import fault_lines
from fallow.control.bodies import Bodies
from fallow.control.callers import Caller
from fallow.control.places import Places
from fallow.control.signatures import checker
from fallow.control.views import Views
from fallow.core.line_proof import LineProof
from fallow.core.merkle import leaf_hash, proof_of
from fallow.core.receipt import Receipt
from fallow.core.refusals import Code, Refusal
from fallow.core.words import ChunkState
from fallow.store.port import AttemptRow, ChunkRow, JobRow, ResultRow, Store, WorkerRow

LINE_BYTES_MAX = 64 * 1024 * 1024
_BUDGET_BYTES = 128 * 1024 * 1024
_BUDGET_CHUNKS = 20_000
_JOBS = 20
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A line and where it is from. by: how it was found: "item", "line" or "custom_id". proof, receipt: None for an
    error line, which the server wrote and nobody signed. attempt: the one whose answer counts."""

    job: JobRow
    item: int
    line: bytes
    by: str
    chunk: ChunkRow
    attempt: AttemptRow | None
    worker: WorkerRow | None
    receipt: Receipt | None
    proof: LineProof | None


@dataclass(frozen=True, slots=True)
class Missed:
    """Not found. jobs: how many were looked through to their ends. spent: the budget ended before the outputs did."""

    jobs: int
    size_bytes: int
    spent: bool


class Lookup:
    """Reads only."""

    def __init__(self, store: Store, places: Places, views: Views) -> None:
        self._store = store
        self._bodies = Bodies(store, places.artifacts)
        self._views = views

    def item(self, caller: Caller, job_id: str, item: int) -> Found:
        """The answer to one item. Raises Refusal NOT_FOUND."""
        job = self._views.job(caller, job_id)
        with self._store.reading() as tx:
            rows = tx.results_from(job.job_key, item, 1)
        if not rows or not rows[0].item_start <= item < rows[0].item_start + rows[0].item_count:
            raise Refusal(
                Code.NOT_FOUND,
                f"Item {item} of job {job.job_id} has no answer yet, or is not there.",
                "Items are counted from 0.",
            )
        return self._found(job, rows[0], item - rows[0].item_start, "item")

    def line(self, caller: Caller, line: bytes, job_id: str | None) -> Found | Missed:
        """The first item whose output is exactly this line; or, where the line has a custom_id, the first with that.

        Raises Refusal NOT_FOUND for a job that is not theirs, BAD_REQUEST for what is no line, FORBIDDEN.
        """
        wanted = line.strip(b"\r\n")
        if not wanted or b"\n" in wanted or len(wanted) > LINE_BYTES_MAX:
            raise Refusal(
                Code.BAD_REQUEST,
                "That is not one line of an output.",
                "Paste exactly one line, as it stands in output.jsonl.",
                {"field": "line"},
            )
        search = _Search(wanted)
        for job in self._jobs(caller, job_id):
            for row in self._rows(job):
                index = search.index_in(row, self._bodies)
                if index is not None:
                    return self._found(job, row, index, search.by)
                if search.spent:
                    return Missed(search.jobs, search.read, spent=True)
            search.jobs += 1
        return Missed(search.jobs, search.read, spent=False)

    def _jobs(self, caller: Caller, job_id: str | None) -> list[JobRow]:
        if job_id:
            return [self._views.job(caller, job_id)]
        caller.needs_owner()
        with self._store.reading() as tx:
            return tx.jobs(account_id=caller.account_id, before=None, limit=_JOBS)

    def _rows(self, job: JobRow) -> Iterator[ResultRow]:
        after = -1
        while True:
            with self._store.reading() as tx:
                page = tx.results(job.job_key, after, _PAGE)
            if not page:
                return
            yield from page
            after = page[-1].item_start

    def _found(self, job: JobRow, row: ResultRow, index: int, by: str) -> Found:
        line, leaves = None, []
        for number, each in enumerate(_lines(row, self._bodies)):
            leaves.append(leaf_hash(each.removesuffix(b"\n")))
            if number == index:
                line = each.removesuffix(b"\n")
        if line is None:
            raise Refusal(Code.DIGEST_MISMATCH, "The answer has fewer lines than items.", "Tell the operator.")
        with self._store.reading() as tx:
            chunk = tx.chunk_row(job.job_key, row.chunk_id)
            attempt = tx.attempt_row(row.attempt_id) if row.attempt_id is not None else None
            worker = tx.worker(row.worker_id) if row.worker_id is not None else None
        assert chunk is not None
        receipt, proof = None, None
        if row.envelope and worker is not None:
            proof = LineProof(index, len(leaves), tuple(proof_of(leaves, index)), worker.public_key, row.envelope)
            receipt = proof.checked(line, checker)
        return Found(job, row.item_start + index, line, by, chunk, attempt, worker, receipt, proof)


def _lines(row: ResultRow, bodies: Bodies) -> Iterator[bytes]:
    if row.state is not ChunkState.DONE or row.artifact is None:
        return fault_lines(row)
    return lines_of(bodies.read(row.artifact))


class _Search:
    """One line being looked for, and what that has cost."""

    def __init__(self, wanted: bytes) -> None:
        self._wanted = wanted
        self._custom_id = _custom_id(wanted)
        self._needle = json.dumps(self._custom_id, ensure_ascii=False).encode() if self._custom_id else b""
        self._chunks = 0
        self.by = ""
        self.read = 0
        self.jobs = 0

    @property
    def spent(self) -> bool:
        return self.read >= _BUDGET_BYTES or self._chunks >= _BUDGET_CHUNKS

    def index_in(self, row: ResultRow, bodies: Bodies) -> int | None:
        """Which line of this chunk it is; None when it is none."""
        self._chunks += 1
        size = row.artifact.size_bytes if row.artifact else 0
        if row.artifact is not None and size <= len(self._wanted) and not self._needle:
            return None  # even its newline would not fit
        self.read += size
        for index, line in enumerate(_lines(row, bodies)):
            if line.removesuffix(b"\n") == self._wanted:
                self.by = "line"
                return index
            if self._needle and self._needle in line and _custom_id(line) == self._custom_id:
                self.by = "custom_id"
                return index
        return None


def _custom_id(line: bytes) -> str | None:
    """Of an answer to a request line."""
    if b'"custom_id"' not in line:
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    found = value.get("custom_id") if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
