"""What BOINC jobs gave: output files of instances, whole batches as a zip, and what is told of one job.

An instance is an attempt, and named after its job and its number among the attempts. Its output files are those that
the image wrote, numbered as the output template has them; they travel inside the item's answer.
"""

import base64
import hashlib
import hmac
import json
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final, Protocol

from fallow.control.answers import lines_of
from fallow.control.bodies import Bodies
from fallow.control.boinc.batch_standing import PAGE, job_facts, mask_of
from fallow.control.callers import Caller
from fallow.control.places import Places
from fallow.control.reports import log_key
from fallow.core.boinc_batches import CompletedJob, Instance, JobFacts, JobStatus
from fallow.core.refusals import Code, Refusal
from fallow.core.words import AttemptState, ChunkId, JobKey, Scope
from fallow.store.port import AttemptRow, BoincBatchRow, BoincJobRow, JobRow, Store

_SAME_NAME_MAX: Final = 100  # accounts whose jobs have one name; each is tried for the signature
_STDERR_BYTES_MAX: Final = 64 * 1024
_SPOOL_BYTES: Final = 8 * 1024 * 1024
_STATES: Final = {
    AttemptState.QUEUED: "Unsent",
    AttemptState.LEASED: "In progress",
    AttemptState.REPORTED: "Completed, waiting for validation",
    AttemptState.VALID: "Completed and validated",
    AttemptState.INVALID: "Completed, marked as invalid",
    AttemptState.ERRORED: "Error while computing",
    AttemptState.LOST: "Timed out - no response",
    AttemptState.DROPPED: "Didn't need",
    AttemptState.ABORTED: "Aborted",
}
"""Source: BOINC html/inc/result.inc, state_string()."""


class Keyring(Protocol):
    """What knows the keys of BOINC users."""

    def authenticator_of(self, account_id: str) -> str:
        """Raises Refusal NOT_FOUND for an account that is no BOINC user."""
        ...


@dataclass(frozen=True, slots=True)
class OutputFile:
    """name: as BOINC names the file on its server's disk."""

    name: str
    content: bytes


class Outputs:
    """Reads only."""

    def __init__(self, store: Store, places: Places, keyring: Keyring) -> None:
        self._store = store
        self._places = places
        self._bodies = Bodies(store, places.artifacts)
        self._keyring = keyring

    def result_file(self, result_name: str, number: int, signature: str) -> OutputFile:
        """Output file `number` of an instance. signature: MD5 of the owner's key and the name. Raises Refusal
        NOT_FOUND, whatever it is that is wrong."""
        job_name, _, nth = result_name.rpartition("_")
        with self._store.reading() as tx:
            jobs = tx.boinc_jobs_named(job_name, limit=_SAME_NAME_MAX)
        job = next((each for each in jobs if self._signs(each.account_id, result_name, signature)), None)
        if job is None or not (nth.isascii() and nth.isdigit() and len(nth) < 6):
            raise _no_file(result_name)
        attempts = self._attempts(job)
        files = self._files(job, int(nth), attempts[int(nth)]) if int(nth) < len(attempts) else []
        if not 0 <= number < len(files):
            raise _no_file(result_name)
        return files[number]

    def batch_zip(self, batch_id: int, signature: str) -> IO[bytes]:
        """All outputs of a batch that count. Raises Refusal NOT_FOUND."""
        with self._store.reading() as tx:
            row = tx.boinc_batch(batch_id)
        if row is None or not self._signs(row.account_id, str(batch_id), signature):
            raise _no_file(f"of batch {batch_id}")
        return _zipped(each for job in self._jobs_of(row) for each in self._canonical(job))

    def job_zip(self, job_id: int, signature: str) -> IO[bytes]:
        """All outputs of a job that count. Raises Refusal NOT_FOUND."""
        with self._store.reading() as tx:
            job = tx.boinc_job(job_id)
        if job is None or not self._signs(job.account_id, str(job_id), signature):
            raise _no_file(f"of job {job_id}")
        return _zipped(iter(self._canonical(job)))

    def job_file(self, caller: Caller, job_name: str, number: int) -> OutputFile:
        """One output of a job that counts. Raises Refusal NOT_FOUND."""
        files = self._canonical(self._own(caller, job_name, f"no job {job_name[:200]}"))
        if not 0 <= number < len(files):
            raise _no_file(job_name)
        return files[number]

    def instances(self, caller: Caller, job_id: int) -> list[Instance]:
        """Raises Refusal NOT_FOUND."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        with self._store.reading() as tx:
            job = tx.boinc_job(job_id)
        if job is None or job.account_id != caller.account_id:
            raise Refusal(Code.NOT_FOUND, "not owner")
        return [
            Instance(
                row.attempt.attempt_id,
                f"{job.name}_{number}",
                _STATES[row.attempt.state],
                tuple(len(each.content) for each in self._files(job, number, row)),
            )
            for number, row in enumerate(self._attempts(job))
        ]

    def completed(self, caller: Caller, job_name: str) -> CompletedJob:
        """Raises Refusal NOT_FOUND."""
        job = self._own(caller, job_name, "no such job")
        facts, job_row = self._facts(job)
        attempts = self._attempts(job)
        canonical = next((row for row in attempts if row.attempt.attempt_id == facts.canonical_id), None)
        failed = [row for row in attempts if row.attempt.state is AttemptState.ERRORED]
        row = canonical or (failed[-1] if failed else None)
        if row is None:
            kept = facts.canonical_id or None  # of a batch that was retired, there is no more than this
            return CompletedJob(
                mask_of(facts), kept, True, facts.exit_status or 0 if not kept else 0, 0.0, facts.cpu_seconds
            )
        began = row.leased_at or row.over_at or 0
        return CompletedJob(
            error_mask=mask_of(facts),
            instance_id=row.attempt.attempt_id,
            is_canonical=row is canonical and facts.status is not JobStatus.ERROR,
            exit_status=row.exit_code or 0,
            elapsed_seconds=max(0.0, ((row.over_at or began) - began) / 1e6),
            cpu_seconds=row.cpu_seconds,
            stderr=self._log(job_row, row),
        )

    def _signs(self, account_id: str, what: str, signature: str) -> bool:
        try:
            key = self._keyring.authenticator_of(account_id)
        except Refusal:
            return False
        wanted = hashlib.md5(f"{key}{what}".encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
        return hmac.compare_digest(wanted.encode(), signature.strip().lower().encode("utf-8", "replace"))

    def _own(self, caller: Caller, job_name: str, refusal: str) -> BoincJobRow:
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        with self._store.reading() as tx:
            found = tx.boinc_jobs_named(job_name, caller.account_id)
        if not found:
            raise Refusal(Code.NOT_FOUND, refusal)
        return found[0]

    def _job_key(self, job: BoincJobRow) -> JobKey | None:
        with self._store.reading() as tx:
            row = tx.boinc_batch(job.batch_id)
        return row.job_key if row is not None else None

    def _attempts(self, job: BoincJobRow) -> list[AttemptRow]:
        job_key = self._job_key(job)
        if job_key is None:
            return []
        with self._store.reading() as tx:
            rows = tx.attempt_rows(job_key, ChunkId(job.place))
        return sorted(rows, key=lambda row: row.attempt.attempt_id)

    def _facts(self, job: BoincJobRow) -> tuple[JobFacts, JobRow | None]:
        job_key = self._job_key(job)
        with self._store.reading() as tx:
            row = tx.job_by_key(job_key) if job_key is not None else None
            standing = tx.boinc_jobs_standing(job.batch_id, -1, 1, only=job.place)
        return job_facts(standing[0], row), row

    def _jobs_of(self, row: BoincBatchRow) -> Iterator[BoincJobRow]:
        after = -1
        while True:
            with self._store.reading() as tx:
                page = tx.boinc_jobs_standing(row.batch_id, after, PAGE)
            if not page:
                return
            yield from (each.job for each in page if each.canonical_id)
            after = page[-1].job.place

    def _canonical(self, job: BoincJobRow) -> list[OutputFile]:
        """The output files that count, in the template's order; none while there are none."""
        facts, _ = self._facts(job)
        for number, row in enumerate(self._attempts(job)):
            if row.attempt.attempt_id == facts.canonical_id:
                return self._files(job, number, row)
        return []

    def _files(self, job: BoincJobRow, number: int, row: AttemptRow) -> list[OutputFile]:
        if row.attempt.artifact is None:
            return []
        try:
            line = next(lines_of(self._bodies.read(row.attempt.artifact)), b"")
        except Refusal as refusal:
            if refusal.code is not Code.NOT_FOUND:
                raise
            return []
        stem = f"{job.name}_{number}_r{_number_of(row)}"
        return [OutputFile(f"{stem}_{at}", content) for at, content in enumerate(contents(line, job.outputs))]

    def _log(self, job: JobRow | None, row: AttemptRow) -> str:
        key = log_key(job.job_id, row.attempt.attempt_id) if job else ""
        if job is None or self._places.artifacts.head(key) is None:
            return row.log_tail
        return self._places.artifacts.read(key, 0, _STDERR_BYTES_MAX).decode("utf-8", "replace")


def contents(line: bytes, names: tuple[str, ...]) -> list[bytes]:
    """The output files in an item's answer, in the order of the names; [] for an error. A file that the image did not
    write ends them: the numbers of those behind it would be wrong."""
    try:
        answer: Any = json.loads(line) if line.strip() else {}
    except (ValueError, RecursionError):
        return []
    if not isinstance(answer, dict) or "error" in answer:
        return []
    files = answer.get("files")
    if not isinstance(files, list):
        return [line.rstrip(b"\n")]
    by_name = {each.get("path"): each.get("base64") for each in files if _is_file(each)}
    found = []
    for name in names:
        try:
            found.append(base64.b64decode(by_name[name], validate=True))
        except (KeyError, ValueError):
            break
    return found


def _is_file(said: object) -> bool:
    """A worker's word is checked line by line and no deeper: what an image wrote may be anything."""
    return isinstance(said, dict) and isinstance(said.get("path"), str) and isinstance(said.get("base64"), str)


def _number_of(row: AttemptRow) -> int:
    """The random part of BOINC's names: here always the same for the same attempt, so that names can be relied on."""
    return int(hashlib.sha256(str(row.attempt.attempt_id).encode()).hexdigest()[:8], 16) >> 1


def _zipped(files: Iterator[OutputFile]) -> IO[bytes]:
    """A zip, at its beginning. Large ones are on the disk, and gone when they are closed."""
    spool = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115  closed by who reads it
    with zipfile.ZipFile(spool, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in files:
            archive.writestr(zipfile.ZipInfo(each.name), each.content, zipfile.ZIP_DEFLATED)
    spool.seek(0)
    return spool


def _no_file(name: str) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"no such file {name[:200]}")
