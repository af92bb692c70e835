"""Batches: a batch is a job whose input is a batch file, and a row beside it. docs/decisions/0009."""

import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from fallow.control.batch_form import BatchForm
from fallow.control.callers import Caller
from fallow.control.files import Files
from fallow.control.intake import Intake
from fallow.control.models import template_of
from fallow.control.places import OWN, Places
from fallow.core.batches import CONTAINER, LINE_BYTES_MAX
from fallow.core.job import Input, JobSpec, RetryPolicy
from fallow.core.lifecycle import JOB_OVER, IllegalMove, JobEvent
from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.core.words import InputFormat, JobId, JobState, Micros, Scope
from fallow.settings import Settings
from fallow.store.port import BatchRow, FileRow, JobRow, Store, Tx

LIST_MAX: Final = 100
_REPEAT_MICROS: Final = 600 * 1_000_000  # a client that tries again does so within its own timeout, ten minutes
_STEP: Final = 1000
_PEEK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """options: what the batch says for fallow alone. extra: its members that are somebody else's business.
    sha256: of the request's body. repeated: the client says that it tries again."""

    input_file_id: str
    endpoint: str
    window: str
    window_seconds: int
    metadata: Mapping[str, str] | None
    output_expires_seconds: int | None
    options: Mapping[str, Any]
    extra: Mapping[str, Any]
    sha256: str
    repeated: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it is now."""

    row: BatchRow
    job: JobRow


class Batches:
    """Raises Refusal NOT_FOUND for other people's."""

    def __init__(
        self, store: Store, places: Places, intake: Intake, files: Files, form: BatchForm, settings: Settings
    ) -> None:
        self._store = store
        self._places = places
        self._intake = intake
        self._files = files
        self._form = form
        self._settings = settings

    def create(self, caller: Caller, request: BatchRequest) -> Batch:
        """A new batch; or the one that the same request has made, when its client did not hear of it.

        What is wrong with the file's lines is found by the planner, and fails the batch. Raises Refusal NOT_FOUND for
        the file, BAD_REQUEST, TOO_MANY, or what Intake says.
        """
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        started = self._places.clock.now()
        with self._store.reading() as tx:
            there = _made_before(tx, caller, request, started)
        if there is not None:
            return there
        file = self._file(caller, request)
        self._check_open(caller)
        batch_id = JobId(f"batch_{secrets.token_hex(12)}")
        model, spec = self._spec(caller, request, file, batch_id)
        now = self._places.clock.now()
        with self._store.transaction() as tx:
            tx.add_account(caller.account_id, caller.account_id, now)
            tx.hold_batches(caller.account_id)
            if (there := _made_before(tx, caller, request, started)) is not None:
                return there
            job = tx.add_job(spec, caller.account_id, now, caller.by)
            row = BatchRow(
                job_key=job.job_key,
                account_id=caller.account_id,
                endpoint=request.endpoint,
                model=model,
                input_file_id=file.file_id,
                completion_window=request.window,
                metadata=_kept(request),
                request_sha256=request.sha256,
                output_expires_seconds=request.output_expires_seconds,
                created_at=now,
            )
            tx.add_batch(row)
        return Batch(row, job)

    def batch(self, caller: Caller, batch_id: str) -> Batch:
        """Raises Refusal NOT_FOUND."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        with self._store.reading() as tx:
            job = tx.job(batch_id)
            row = tx.batch(job.job_key) if job is not None else None
        if job is None or row is None or not (caller.sees_all or row.account_id == caller.account_id):
            raise no_such_batch(batch_id)
        return Batch(row, job)

    def listed(self, caller: Caller, after: str | None, limit: int) -> tuple[list[Batch], bool]:
        """The caller's own, newest first, and whether there are more. Raises Refusal NOT_FOUND."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        limit = max(1, min(limit, LIST_MAX))
        before = self.batch(caller, after).row.job_key if after is not None else None
        found: list[Batch] = []
        with self._store.reading() as tx:
            rows = tx.batches(caller.account_id, before=before, limit=limit + 1)
            for row in rows[:limit]:
                job = tx.job_by_key(row.job_key)
                if job is not None:
                    found.append(Batch(row, job))
        return found, len(rows) > limit

    def cancel(self, caller: Caller, batch_id: str) -> Batch:
        """Nothing more is done; what is finished will be in its files. A second time it says the same.

        Raises Refusal STATE_CONFLICT when the batch ended in another way.
        """
        found = self.batch(caller, batch_id)
        if found.job.state not in JOB_OVER:
            with suppress(IllegalMove):  # it ended this moment
                self._cancel(caller, found.job)
            found = self.batch(caller, batch_id)
        if found.job.state is not JobState.CANCELLED:
            raise Refusal(Code.STATE_CONFLICT, f"Cannot cancel a batch that is {found.job.state}.", "It is over.")
        return found

    def _cancel(self, caller: Caller, job: JobRow) -> None:
        """Raises IllegalMove."""
        now = self._places.clock.now()
        with self._store.transaction() as tx:
            tx.cancel_chunks(job.job_key, _STEP, now, caller.by)
            tx.move_job(job.job_key, JobEvent.CANCEL, f"asked for by {caller.by}", caller.by, now)
            tx.batch_cancelling(job.job_key, now)

    def _file(self, caller: Caller, request: BatchRequest) -> FileRow:
        try:
            file = self._files.file(caller, request.input_file_id)
        except Refusal as refusal:
            refusal.details["field"] = "input_file_id"
            raise
        if file.purpose != "batch":
            raise Refusal(
                Code.BAD_REQUEST,
                f"The file {file.file_id} has the purpose {file.purpose!r}.",
                "Send it with the purpose 'batch'.",
                {"field": "input_file_id"},
            )
        return file

    def _check_open(self, caller: Caller) -> None:
        most = self._settings.batches_open_max
        with self._store.reading() as tx:
            there = tx.open_batches(caller.account_id, most)
        if there >= most:
            raise Refusal(
                Code.TOO_MANY,
                f"There are {there} batches of this account that are not finished.",
                "Wait for one of them.",
                {"retry_seconds": 60},
            )

    def _spec(self, caller: Caller, request: BatchRequest, file: FileRow, batch_id: JobId) -> tuple[str, JobSpec]:
        """The model that the file names, and its job. A spec is fixed when it is written down, so the model is read off
        the first line now; where that says nothing that can be run, the spec can run nothing, and the planner will say
        what is wrong with the file."""
        if request.endpoint == CONTAINER:
            return "", self._checked(caller, request, file, batch_id, self._form.container(request.options))
        self._check_endpoint(request.endpoint)
        name = self._form.model_of(self._first_line(file))
        with self._store.reading() as tx:
            model = tx.model(name) if name else None
        if model is None or model.disabled_at is not None or request.endpoint not in model.endpoints:
            return name, self._idle_spec(request, file, batch_id)
        template = template_of(model)
        asked = self._form.submission(template.job, request.options)
        asked = replace(asked, model=model.name, resolved=template.image)
        return name, self._checked(caller, request, file, batch_id, asked)

    def _checked(
        self, caller: Caller, request: BatchRequest, file: FileRow, batch_id: JobId, asked: Submission
    ) -> JobSpec:
        """error_threshold 1: a batch whose requests all failed is completed, and its error file says so."""
        seconds = min(request.window_seconds, asked.expires_seconds or request.window_seconds)
        return self._intake.check(
            caller,
            replace(
                asked,
                job_id=batch_id,
                input_uri=f"{OWN}{file.artifact_key}",
                input_format=InputFormat.BATCH,
                range=None,
                output_uri=None,
                retry=replace(asked.retry, error_threshold=1.0),
                expires_seconds=seconds,
                name=asked.name or (request.metadata or {}).get("description", "")[:200],
            ),
        )

    def _idle_spec(self, request: BatchRequest, file: FileRow, batch_id: JobId) -> JobSpec:
        head = self._places.open_source(f"{OWN}{file.artifact_key}").head()
        return JobSpec(
            job_id=batch_id,
            input=Input(f"{OWN}{file.artifact_key}", InputFormat.BATCH, head.size_bytes, head.etag),
            retry=RetryPolicy(error_threshold=1.0),
            expires_seconds=request.window_seconds,
        )

    def _check_endpoint(self, endpoint: str) -> None:
        with self._store.reading() as tx:
            served = sorted({each for model in tx.models() for each in model.endpoints})
        if endpoint not in served:
            listed = ", ".join(served[:20]) or "none: no model has been added"
            raise Refusal(
                Code.BAD_REQUEST,
                f"No model here serves {endpoint[:100]!r}.",
                f"Endpoints that are served: {listed}.",
                {"field": "endpoint"},
            )

    def _first_line(self, file: FileRow) -> bytes:
        """The beginning of the file, with the whole of its first line unless that is too long for any batch."""
        length = _PEEK_BYTES
        while True:
            head = self._places.artifacts.read(file.artifact_key, 0, length)
            if b"\n" in head.strip() or len(head) < length or length >= LINE_BYTES_MAX:
                return head
            length = min(length * 8, LINE_BYTES_MAX)


def _made_before(tx: Tx, caller: Caller, request: BatchRequest, started: Micros) -> Batch | None:
    """What this request, tried before, has made. A try that its client gave up on may still be on its way when the next
    one is there, and be overtaken by it: then it finds what that one made since it `started`."""
    since = Micros(started - _REPEAT_MICROS) if request.repeated else started
    row = tx.repeated_batch(caller.account_id, request.sha256, since)
    if row is None or not (request.repeated or json.loads(row.metadata).get("repeated")):
        return None
    job = tx.job_by_key(row.job_key)
    return Batch(row, job) if job is not None else None


def _kept(request: BatchRequest) -> str:
    said = {"metadata": request.metadata, "extra": request.extra, "repeated": request.repeated}
    return msgspec.json.encode(said).decode()


def no_such_batch(batch_id: str) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"No such Batch object: {batch_id[:80]}.", "See the list of batches.")
