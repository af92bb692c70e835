"""The publisher: when a batch's job is over, its output and error files.

Who dies half-way leaves nothing that anybody sees; whoever goes on writes the same bytes under the same names.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field

import msgspec

from fallow.artifacts.port import Stored, Writer
from fallow.control.answers import is_error, lines_of
from fallow.control.assimilator import fault_lines
from fallow.control.batch_form import BatchForm
from fallow.control.bodies import Bodies
from fallow.control.claims import ClaimLost
from fallow.control.files import KEEP_SECONDS_MAX, OUTPUT, file_key
from fallow.control.places import Places
from fallow.core.batches import Published, Tokens
from fallow.core.words import JobKey, Micros
from fallow.settings import Settings
from fallow.store.port import BatchRow, FileRow, JobRow, Store

_PAGE = 500


@dataclass(slots=True)
class _File:
    """One of the two files; it is begun with its first line, so that an empty one is none."""

    file_id: str
    filename: str
    open: ExitStack
    writer: Writer | None = None

    def stored(self) -> Stored | None:
        return self.writer.stored if self.writer is not None else None


@dataclass(slots=True)
class _Usage:
    tokens: Tokens = field(default_factory=Tokens)
    known: bool = False

    def add(self, tokens: Tokens | None) -> None:
        if tokens is not None:
            self.tokens, self.known = self.tokens.plus(tokens), True

    def text(self) -> str:
        return msgspec.json.encode(asdict(self.tokens)).decode() if self.known else ""


class Publisher:
    """One step publishes one batch."""

    def __init__(self, store: Store, places: Places, form: BatchForm, settings: Settings, owner: str) -> None:
        self._store = store
        self._places = places
        self._bodies = Bodies(store, places.artifacts)
        self._form = form
        self._owner = owner
        self._claim_micros = int(settings.claim_seconds * 1e6)

    def step(self) -> bool:
        """True when there was something to do."""
        now = self._places.clock.now()
        with self._store.transaction() as tx:
            batch = tx.claim_batch(self._owner, now, Micros(now + self._claim_micros))
            job = tx.job_by_key(batch.job_key) if batch is not None else None
        if batch is None or job is None:
            return False
        try:
            self._publish(job, batch)
        except ClaimLost:
            return True
        return True

    def _publish(self, job: JobRow, batch: BatchRow) -> None:
        usage = _Usage()
        with ExitStack() as files:
            output = _File(_file_id(job, "output"), f"{job.job_id}_output.jsonl", files)
            errors = _File(_file_id(job, "errors"), f"{job.job_id}_error.jsonl", files)
            if batch.in_progress_at is not None:  # else nothing of the input was ever good to be run
                renewed = self._places.clock.now()
                for failed, published in self._lines(job):
                    if self._places.clock.now() - renewed >= self._claim_micros // 4:
                        renewed = self._renew(job.job_key)
                    usage.add(published.tokens)
                    self._append(errors if failed else output, published.line)
        self._note(job, batch, output, errors, usage)

    def _append(self, file: _File, line: bytes) -> None:
        if file.writer is None:
            file.writer = file.open.enter_context(self._places.artifacts.stream_writer(file_key(file.file_id)))
        file.writer.write(line)

    def _lines(self, job: JobRow) -> Iterator[tuple[bool, Published]]:
        """Each item in order: whether it failed, and its line."""
        answers = self._answers(job)
        coming = next(answers, None)
        requests = lines_of(self._places.artifacts.get(f"jobs/{job.job_id}/items.jsonl"))
        for item, request in enumerate(requests):
            if coming is None or coming[0] != item:
                yield True, self._form.unanswered(job.job_id, item, request, job.state)
                continue
            answer = coming[1].rstrip(b"\n")
            failed = is_error(answer)
            yield failed, self._form.answered(job.job_id, item, request, answer, failed=failed)
            coming = next(answers, None)

    def _answers(self, job: JobRow) -> Iterator[tuple[int, bytes]]:
        """(item, answer) of each item whose chunk is over, in order."""
        after = -1
        while True:
            with self._store.reading() as tx:
                page = tx.results(job.job_key, after, _PAGE)
            if not page:
                return
            for row, pieces in self._bodies.along(page):
                lines = lines_of(pieces) if pieces is not None else fault_lines(row)
                for offset, line in enumerate(lines):
                    yield row.item_start + offset, line
            after = page[-1].item_start

    def _renew(self, job_key: JobKey) -> Micros:
        now = self._places.clock.now()
        with self._store.transaction() as tx:
            if not tx.renew_batch(job_key, self._owner, Micros(now + self._claim_micros)):
                raise ClaimLost(job_key)
        return now

    def _note(self, job: JobRow, batch: BatchRow, output: _File, errors: _File, usage: _Usage) -> None:
        now = self._places.clock.now()
        seconds = batch.output_expires_seconds or KEEP_SECONDS_MAX
        rows = [self._row(batch, each, now, seconds) for each in (output, errors)]
        with self._store.transaction() as tx:
            published = tx.publish_batch(
                job.job_key,
                self._owner,
                output_file_id=rows[0].file_id if rows[0] else None,
                error_file_id=rows[1].file_id if rows[1] else None,
                usage=usage.text(),
                now=now,
            )
            if not published:
                raise ClaimLost(job.job_key)
            for row in rows:
                if row is not None:
                    tx.add_file(row)

    def _row(self, batch: BatchRow, file: _File, now: Micros, seconds: int) -> FileRow | None:
        stored = file.stored()
        if stored is None:
            return None
        return FileRow(
            file_id=file.file_id,
            account_id=batch.account_id,
            purpose=OUTPUT,
            filename=file.filename,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
            artifact_key=stored.key,
            created_at=now,
            expires_at=Micros(now + seconds * 1_000_000),
        )


def _file_id(job: JobRow, kind: str) -> str:
    """The same for whoever publishes this end of the job; another one after the job has run again."""
    return "file-" + hashlib.sha256(f"{job.job_id}:{job.finished_at}:{kind}".encode()).hexdigest()[:24]
