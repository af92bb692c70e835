"""The assimilator: the canonical answers become the job's output.

Three files, the manifest last: whoever sees a manifest sees finished files, and a crash half-way leaves nothing that
claims to be done. Merging again from the start gives the same bytes.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec

from fallow.artifacts.locations import Target
from fallow.artifacts.port import Writer
from fallow.control.answers import is_error, lines_of
from fallow.control.bodies import Bodies
from fallow.control.boinc import scripts
from fallow.control.boinc.scripts import Answered
from fallow.control.boinc.workunits import workunits
from fallow.control.claims import ClaimLost, Claims
from fallow.control.manifest import Marked, Totals, entry_line, manifest_lines
from fallow.control.outputs import ERRORS, MANIFEST, OUTPUT, output_target
from fallow.control.places import Places
from fallow.control.plugins import Plugs
from fallow.control.tracing import Tracing
from fallow.core.agreement import needed_of
from fallow.core.canonical import canonical_json
from fallow.core.chunk import ItemFault
from fallow.core.lifecycle import IllegalMove, JobEvent
from fallow.core.locator import Locator
from fallow.core.merkle import Tree
from fallow.core.progress import too_many_errors
from fallow.core.receipt import Receipt, parse_statement
from fallow.core.refusals import Code, Refusal
from fallow.core.words import ChunkState, JobState, Micros, WorkerId
from fallow.settings import Settings
from fallow.store.port import JobRow, ResultRow, Store

_PAGE = 500
_LOG_TAIL_MAX = 2000


@dataclass(slots=True)
class _Merge:
    """What a merge in progress knows."""

    output: Writer
    errors: Writer
    entries: IO[bytes]
    output_facts: Marked = field(default_factory=Marked)
    error_facts: Marked = field(default_factory=Marked)
    roots: Tree = field(default_factory=Tree)
    workers: set[WorkerId] = field(default_factory=set)
    items: int = 0
    error_count: int = 0
    chunks: int = 0
    busy_seconds: float = 0.0
    answered: int = 0


class Assimilator:
    """One step merges one job."""

    def __init__(
        self,
        store: Store,
        places: Places,
        plugs: Plugs,
        settings: Settings,
        owner: str,
        tracing: Tracing | None = None,
    ) -> None:
        self._store = store
        self._tracing = tracing
        self._places = places
        self._bodies = Bodies(store, places.artifacts)
        self._plugs = plugs
        self._settings = settings
        self._claims = Claims(store, places.clock, owner, settings.claim_seconds)

    def step(self) -> bool:
        """True when there was something to do."""
        job = self._claims.take("merge")
        if job is None:
            return False
        try:
            self._assimilate(job)
        except ClaimLost:
            return True
        except Refusal as refusal:
            if refusal.code in (Code.STORAGE_UNREACHABLE, Code.STORAGE_FULL):
                raise
            self._end(job, JobEvent.FAIL, refusal.code, str(refusal))
        finally:
            self._claims.release(job.job_key)
        return True

    def _assimilate(self, job: JobRow) -> None:
        target = output_target(job.spec, self._places)
        target.delete(MANIFEST)
        with tempfile.TemporaryFile() as entries:
            totals = self._merge(job, target, entries)
            self._write_manifest(job, target, totals, entries)
        if job.spec.plugins.assimilator.startswith(scripts.PREFIX):
            self._hand_over(job)
        elif job.spec.plugins.assimilator:
            summary = {
                "job_id": job.job_id,
                "items": totals.items,
                "errors": totals.errors,
                "job_root": totals.job_root,
            }
            self._plugs.assimilate(job.spec.plugins.assimilator, job.job_id, target.uri, summary)
        reason = too_many_errors(job.counters, job.spec.retry)
        self._end(job, JobEvent.FAIL if reason else JobEvent.COMPLETE, "outputs delivered", reason)

    def _hand_over(self, job: JobRow) -> None:
        """Each chunk to a script with BOINC's words."""
        name = job.spec.plugins.assimilator
        with self._store.reading() as tx:
            units = workunits(tx, job)
        for row, pieces in self._claims.while_passing(job.job_key, self._answers(job)):
            unit = units(row)
            with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                receipt = _receipt_of(row)
                runtime = _seconds(receipt) if receipt else 0.0
                answer = Answered(Path(file.name), row.attempt_id or 0, runtime) if not unit.error_mask else None
                self._plugs.assimilate_one(name, unit, answer)

    def _merge(self, job: JobRow, target: Target, entries: IO[bytes]) -> Totals:
        """Both files of lines. Raises ClaimLost when somebody else has taken the job over meanwhile."""
        with ExitStack() as files:
            merge = _Merge(
                files.enter_context(target.stream_writer(OUTPUT)),
                files.enter_context(target.stream_writer(ERRORS)),
                entries,
            )
            for row, pieces in self._claims.while_passing(job.job_key, self._answers(job)):
                start = self._places.clock.now() if self._tracing else 0
                self._append(job, row, pieces, merge)
                if self._tracing:
                    self._tracing.assimilated(job.job_id, row.chunk_id, Micros(start), self._places.clock.now())
        self._remember_speed(job, merge)
        return self._totals(merge)

    def _answers(self, job: JobRow) -> Iterator[tuple[ResultRow, Iterator[bytes]]]:
        """Every chunk that is over, in item order, with the bytes that stand in the output for it."""
        after = -1
        while True:
            with self._store.reading() as tx:
                page = tx.results(job.job_key, after, _PAGE)
            if not page:
                return
            for row, pieces in self._bodies.along(page):
                yield row, pieces if pieces is not None else fault_lines(row)
            after = page[-1].item_start

    def _append(self, job: JobRow, row: ResultRow, pieces: Iterator[bytes], merge: _Merge) -> None:
        receipt = _receipt_of(row)
        digest, tree, locator = hashlib.sha256(), Tree(), Locator()
        line_start, size = merge.output_facts.lines, 0
        for offset, line in enumerate(lines_of(pieces)):
            digest.update(line)
            size += len(line)
            body = line.removesuffix(b"\n")
            tree.add(body)
            locator.add(body)
            merge.output.write(line)
            merge.output_facts.add(line)
            if is_error(body):
                self._append_error(job, row, row.item_start + offset, body, merge)
        self._check_unharmed(row, digest.hexdigest(), tree.size)
        merge.roots.add(bytes.fromhex(tree.root()))
        merge.items += row.item_count
        merge.chunks += 1
        if receipt is not None and row.worker_id is not None:
            merge.workers.add(row.worker_id)
            merge.busy_seconds += _seconds(receipt)
            merge.answered += row.item_count
        entry = {
            "chunk_id": row.chunk_id,
            "receipt_chunk_id": receipt.chunk_id if receipt else row.chunk_id,
            "item_start": row.item_start,
            "item_end": row.item_start + row.item_count - 1,
            "line_start": line_start,
            "lines": tree.size,
            "sha256": digest.hexdigest(),
            "size_bytes": size,
            "items_root": tree.root(),
            "locator": locator.marks(),
            "attempts_agreeing": needed_of(row.answers_wanted, job.spec) if receipt else 0,
            "receipt": json.loads(row.envelope) if receipt else None,
            "fault": {"code": row.fault.code, "message": row.fault.message} if row.fault and not receipt else None,
        }
        merge.entries.write(entry_line(entry) + b"\n")

    def _check_unharmed(self, row: ResultRow, sha256: str, lines: int) -> None:
        """Raises Refusal DIGEST_MISMATCH when verified bytes are not what they were."""
        if row.state is not ChunkState.DONE or row.artifact is None:
            return
        if sha256 != row.artifact.sha256 or lines != row.item_count:
            raise Refusal(
                Code.DIGEST_MISMATCH,
                f"The verified answer to chunk {row.chunk_id} was damaged in the object store.",
                "Check the store's disks; submit the job again.",
            )

    def _append_error(self, job: JobRow, row: ResultRow, item: int, body: bytes, merge: _Merge) -> None:
        error = msgspec.json.decode(body)["error"]
        line: dict[str, object] = {
            "item": item,
            "line": item + 1,
            "chunk": row.chunk_id,
            "code": str(error.get("code", "error")),
            "message": str(error.get("message", "")),
        }
        if row.fault is not None:
            line["log_tail"] = self._log_tail(job, row)
        encoded = msgspec.json.encode(line) + b"\n"
        merge.errors.write(encoded)
        merge.error_facts.add(encoded)
        merge.error_count += 1

    def _log_tail(self, job: JobRow, row: ResultRow) -> str:
        """The last words of the newest attempt that failed on it."""
        with self._store.reading() as tx:
            attempts = tx.attempt_rows(job.job_key, row.chunk_id)
        return next((a.log_tail for a in reversed(attempts) if a.log_tail), "")[-_LOG_TAIL_MAX:]

    def _totals(self, merge: _Merge) -> Totals:
        with self._store.reading() as tx:
            rows = [tx.worker(worker_id) for worker_id in merge.workers]
        return Totals(
            items=merge.items,
            errors=merge.error_count,
            chunks=merge.chunks,
            output=merge.output_facts.facts(),
            error_file=merge.error_facts.facts(),
            public_keys={row.worker_id: row.public_key for row in rows if row is not None},
            job_root=merge.roots.root(),
        )

    def _write_manifest(self, job: JobRow, target: Target, totals: Totals, entries: IO[bytes]) -> None:
        entries.seek(0)
        size = 0
        with target.stream_writer(MANIFEST) as writer:
            for line in manifest_lines(job, totals, (entry.rstrip(b"\n") for entry in entries)):
                writer.write(line)
                size += len(line)
        output = {
            "uri": target.uri,
            "files": {OUTPUT: totals.output, ERRORS: totals.error_file, MANIFEST: {"size_bytes": size}},
            "items": totals.items,
            "errors": totals.errors,
            "job_root": totals.job_root,
        }
        with self._store.transaction() as tx:
            tx.set_output(job.job_key, json.dumps(output))

    def _remember_speed(self, job: JobRow, merge: _Merge) -> None:
        """Items per second of one slot, by which the next job of this image is cut."""
        if merge.busy_seconds > 0 and merge.answered:
            with self._store.transaction() as tx:
                tx.set_setting(f"rate:{job.spec.ran}", f"{merge.answered / merge.busy_seconds:.6g}")

    def _end(self, job: JobRow, event: JobEvent, cause: str, reason: str) -> None:
        with self._store.transaction() as tx:
            current = tx.job_by_key(job.job_key)
            if current is None or current.state is not JobState.MERGING:
                return
            try:
                tx.move_job(job.job_key, event, cause, "assimilator", self._places.clock.now(), reason=reason)
            except IllegalMove:  # cancelled between the look and the move; the files stay as they are
                return


class _TakenOver(Exception):
    """Another assimilator has claimed the job: leave it to that one."""


def fault_lines(row: ResultRow) -> Iterator[bytes]:
    """What stands in the output for the items of a chunk that failed."""
    fault = row.fault or ItemFault("failed", "The item could not be done.")
    line = canonical_json({"error": {"code": fault.code, "message": fault.message}}) + b"\n"
    for _ in range(row.item_count):
        yield line


def _receipt_of(row: ResultRow) -> Receipt | None:
    if row.state is not ChunkState.DONE or not row.envelope:
        return None
    import base64

    return parse_statement(base64.b64decode(json.loads(row.envelope)["payload"]))


def _seconds(receipt: Receipt) -> float:
    try:
        took = datetime.fromisoformat(receipt.finished_at) - datetime.fromisoformat(receipt.started_at)
    except ValueError:
        return 0.0
    return max(took.total_seconds(), 0.0)
