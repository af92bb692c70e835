"""The verifier (BOINC's validator): reads answers' bytes, compares them where the job wants agreement, and decides.

The claims it takes are short leases of its own: a verifier that dies leaves nothing behind. Bytes are read between two
transactions, never inside one.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fallow.control.answers import examine, lines_of
from fallow.control.bodies import Bodies
from fallow.control.boinc.scripts import Answered
from fallow.control.places import Places
from fallow.control.plugins import NotNow, Plugs
from fallow.control.signatures import checker
from fallow.control.work import apply_settled
from fallow.core.agreement import Voice, answers_needed, consensus, same_lines, voices
from fallow.core.changes import Change, MoveAttempt, MoveChunk
from fallow.core.chunk import Attempt, Case
from fallow.core.job import Compare, Distinct, JobSpec
from fallow.core.lifecycle import AttemptEvent, ChunkEvent
from fallow.core.receipt import Check, Receipt, unseal
from fallow.core.refusals import Code, Refusal
from fallow.core.settling import carry, settle
from fallow.core.words import AttemptState, Micros, WorkerId
from fallow.settings import Settings
from fallow.store.port import AttemptRow, ChunkRef, Store, Tx

_BATCH = 32
_BACKOFF_SECONDS = 300
_CLAIM_SECONDS = 600.0  # one artifact may be gigabytes
_ANSWERS = (AttemptState.REPORTED, AttemptState.VALID)


@dataclass(slots=True)
class _Checked:
    """An answer whose bytes were looked at. fault: "" when they are good."""

    row: AttemptRow
    fault: str


class Verifier:
    """One step takes a batch of chunks whose answers are in."""

    def __init__(self, store: Store, places: Places, plugs: Plugs, settings: Settings, owner: str) -> None:
        self._store = store
        self._places = places
        self._bodies = Bodies(store, places.artifacts)
        self._plugs = plugs
        self._settings = settings
        self._owner = owner

    def step(self) -> bool:
        """True when there was something to do."""
        now = self._places.clock.now()
        with self._store.transaction() as tx:
            cases = tx.claim_verifying(self._owner, _BATCH, now, Micros(now + int(_CLAIM_SECONDS * 1e6)))
            late = tx.late_answers(_BATCH) if not cases else []
        for case in cases:
            self._verify(case)
        for case in late:
            self._verify_late(case)
        return bool(cases or late)

    def _verify(self, case: Case) -> None:
        """Decide on one chunk; when somebody was faster, the decision is dropped."""
        spec, rows = self._load(case)
        if spec is None:
            return
        try:
            changes = self._decision(case, spec, rows)
        except NotNow:
            return
        self._write(case, changes)

    def _load(self, case: Case) -> tuple[JobSpec | None, list[AttemptRow]]:
        with self._store.reading() as tx:
            job = tx.job_by_key(case.chunk.job_key)
            rows = tx.attempt_rows(case.chunk.job_key, case.chunk.chunk_id)
        current = {a.attempt_id for a in case.attempts}
        return (job.spec if job else None), [row for row in rows if row.attempt.attempt_id in current]

    def _decision(self, case: Case, spec: JobSpec, rows: list[AttemptRow]) -> list[Change]:
        answers = [row for row in rows if row.attempt.state in _ANSWERS]
        checked = [_Checked(row, self._fault(case, spec, row)) for row in answers]
        good = [one.row.attempt for one in checked if not one.fault]
        changes: list[Change] = [
            MoveAttempt(one.row.attempt.attempt_id, AttemptEvent.DISAGREE, _named(one.row.attempt, one.fault))
            for one in checked
            if one.fault and one.row.attempt.state is AttemptState.REPORTED
        ]
        chunk = case.chunk
        needed, voice = answers_needed(chunk, spec), self._voice(spec, good)
        if (heard := voices(good, voice)) < needed:
            wanted = needed + len(good) - heard
            cause = f"{heard} of {needed} answers are good"
            return [*changes, MoveChunk(chunk.job_key, chunk.chunk_id, ChunkEvent.MORE, cause, answers_wanted=wanted)]
        found = consensus(good, needed, self._same(spec), voice)
        if found.canonical is None:
            wanted = len(good) + 1
            cause = f"{len(good)} answers do not agree"
            return [*changes, MoveChunk(chunk.job_key, chunk.chunk_id, ChunkEvent.MORE, cause, answers_wanted=wanted)]
        by_id = {a.attempt_id: a for a in good}
        agreed = "hash, lines and signature are good" if needed == 1 else f"{len(found.agreeing)} answers agree"
        for attempt_id in found.agreeing:
            if by_id[attempt_id].state is AttemptState.REPORTED:
                changes.append(MoveAttempt(attempt_id, AttemptEvent.AGREE, agreed))
        for attempt_id in found.differing:
            if by_id[attempt_id].state is AttemptState.REPORTED:
                cause = _named(by_id[attempt_id], "its answer differs from the others'")
                changes.append(MoveAttempt(attempt_id, AttemptEvent.DISAGREE, cause))
        accept = MoveChunk(chunk.job_key, chunk.chunk_id, ChunkEvent.ACCEPT, "verified", canonical=found.canonical)
        return [*changes, accept]

    def _voice(self, spec: JobSpec, answers: list[Attempt]) -> Voice | None:
        """Whose word an answer is, where two of one account's machines are one word: one may have come late."""
        if spec.verify.distinct is not Distinct.ACCOUNT or len(answers) < 2:
            return None
        with self._store.reading() as tx:
            workers = {a.worker_id: tx.worker(a.worker_id) for a in answers if a.worker_id is not None}
        accounts = {worker_id: row.account_id for worker_id, row in workers.items() if row is not None}
        return lambda attempt: accounts.get(attempt.worker_id) if attempt.worker_id is not None else None

    def _fault(self, case: Case, spec: JobSpec, row: AttemptRow) -> str:
        """What is wrong with one answer: signature, items, bytes, the project's own check. Raises NotNow."""
        attempt = row.attempt
        if attempt.artifact is None or attempt.worker_id is None:
            return "there is no artifact"
        try:
            receipt = unseal(row.envelope, self._checker(attempt.worker_id))
        except Refusal as refusal:
            return str(refusal)
        chunk = case.chunk
        if (receipt.item_start, receipt.item_count) != (chunk.item_start, chunk.item_count):
            return "its receipt is for other items"
        if not attempt.checked:
            fault = self._fault_of_bytes(attempt, receipt)
            if fault:
                return fault
        if spec.plugins.verifier:
            return self._fault_by_plugin(spec.plugins.verifier, attempt, _runtime(row))
        return ""

    def _fault_by_plugin(self, name: str, attempt: Attempt, runtime: float) -> str:
        with self._as_file(attempt) as path:
            try:
                answer = Answered(path, attempt.attempt_id, runtime)
                return "" if self._plugs.is_valid(name, answer) else f"the verifier {name} does not accept it"
            except NotNow:
                raise
            except Exception as wrong:  # noqa: BLE001 - a plug-in may raise anything; the story tells it
                return f"the verifier {name} failed on it: {type(wrong).__name__}: {wrong}"

    def _fault_of_bytes(self, attempt: Attempt, receipt: Receipt) -> str:
        try:
            return examine(self._bytes(attempt), receipt).fault
        except Refusal as refusal:
            if refusal.code is Code.NOT_FOUND:
                return "its artifact was never uploaded"
            raise

    def _checker(self, worker_id: WorkerId) -> Check:
        with self._store.reading() as tx:
            worker = tx.worker(worker_id)
        return checker(worker.public_key) if worker else _nobodys

    def _same(self, spec: JobSpec) -> Callable[[Attempt, Attempt], bool]:
        def same(first: Attempt, second: Attempt) -> bool:
            assert first.artifact is not None
            assert second.artifact is not None
            if first.artifact.sha256 == second.artifact.sha256:
                return True
            if spec.plugins.verifier:
                word = self._plugin_same(spec.plugins.verifier, first, second)
                if word is not None:
                    return word
            if spec.verify.compare is Compare.EXACT:
                return False
            return same_lines(self._lines(first), self._lines(second), spec.verify)

        return same

    def _plugin_same(self, name: str, first: Attempt, second: Attempt) -> bool | None:
        with ExitStack() as files:
            one, other = (
                Answered(files.enter_context(self._as_file(each)), each.attempt_id, self._runtime_of(each))
                for each in (first, second)
            )
            return self._plugs.are_same(name, one, other)

    def _runtime_of(self, attempt: Attempt) -> float:
        with self._store.reading() as tx:
            row = tx.attempt_row(attempt.attempt_id)
        return _runtime(row) if row is not None else 0.0

    def _bytes(self, attempt: Attempt) -> Iterator[bytes]:
        assert attempt.artifact is not None
        return self._bodies.read(attempt.artifact, whole=True)

    def _lines(self, attempt: Attempt) -> Iterator[bytes]:
        return (line.rstrip(b"\n") for line in lines_of(self._bytes(attempt)))

    def _as_file(self, attempt: Attempt) -> "_Spooled":
        return _Spooled(self._bytes(attempt))

    def _verify_late(self, case: Case) -> None:
        """An answer that came after the decision: judged by its bytes and, in a quorum, by the canonical."""
        spec, rows = self._load(case)
        if spec is None:
            return
        canonical = next((r.attempt for r in rows if r.attempt.attempt_id == case.chunk.canonical_id), None)
        changes: list[Change] = []
        for row in rows:
            if row.attempt.state is not AttemptState.REPORTED:
                continue
            fault = self._fault(case, spec, row)
            if not fault and spec.quorum > 1 and canonical is not None and not self._same(spec)(canonical, row.attempt):
                fault = "its answer differs from the canonical one"
            event = AttemptEvent.DISAGREE if fault else AttemptEvent.AGREE
            fault = _named(row.attempt, fault) if fault else ""
            changes.append(
                MoveAttempt(row.attempt.attempt_id, event, fault or "good, though it came too late to count")
            )
        self._write(case, changes)

    def _write(self, case: Case, changes: list[Change]) -> None:
        now = self._places.clock.now()
        chunk = case.chunk
        with self._store.transaction() as tx:
            current = next(iter(tx.cases([ChunkRef(chunk.job_key, chunk.chunk_id)])), None)
            job = tx.job_by_key(chunk.job_key)
            if current is None or job is None or _moved_on(case, current):
                return
            carry(current, changes)
            changes = [*changes, *settle(current, job.spec, now)]
            apply_settled(tx, changes, now, "verifier")
            for change in changes:
                if isinstance(change, MoveAttempt) and change.event is AttemptEvent.DISAGREE:
                    self._rest(tx, current, change, now)

    def _rest(self, tx: Tx, current: Case, change: MoveAttempt, now: Micros) -> None:
        """A worker whose answer was wrong gets no more for a while."""
        worker_id = next((a.worker_id for a in current.attempts if a.attempt_id == change.attempt_id), None)
        worker = tx.worker(worker_id) if worker_id else None
        if worker is not None:
            seconds = min(2.0 ** min(worker.failures + 1, 10), _BACKOFF_SECONDS)
            tx.set_worker_backoff(worker.worker_id, worker.failures + 1, Micros(now + int(seconds * 1e6)))


def _nobodys(_message: bytes, _signature: bytes) -> bool:
    """A worker that is not known has signed nothing."""
    return False


def _named(attempt: Attempt, fault: str) -> str:
    """The fault with the name of whose it is."""
    return f"{attempt.worker_id}: {fault}"


def _moved_on(seen: Case, current: Case) -> bool:
    """Whether the chunk changed since it was looked at: then the decision was made for something else."""
    before = {a.attempt_id: a.state for a in seen.attempts}
    after = {a.attempt_id: a.state for a in current.attempts}
    return seen.chunk.state is not current.chunk.state or any(
        after.get(attempt_id) is not state for attempt_id, state in before.items() if state in _ANSWERS
    )


def _runtime(row: AttemptRow) -> float:
    """Seconds from the lease to the report."""
    return max(0.0, ((row.over_at or 0) - (row.leased_at or 0)) / 1e6) if row.over_at and row.leased_at else 0.0


class _Spooled:
    """An artifact as a local file, for plug-ins."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def __enter__(self) -> Path:
        self._file = tempfile.NamedTemporaryFile(suffix=".jsonl")
        for piece in self._pieces:
            self._file.write(piece)
        self._file.flush()
        return Path(self._file.name)

    def __exit__(self, *_: object) -> None:
        self._file.close()
