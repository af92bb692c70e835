"""Chunks: opened, decided about, cancelled, run again, listed."""

from collections.abc import Sequence

from fallow.core.changes import Change, CutChunk, MoveAttempt, MoveChunk
from fallow.core.chunk import Case, Chunk
from fallow.core.lifecycle import (
    AttemptEvent,
    ChunkEvent,
    IllegalMove,
    attempt_after,
    chunk_after,
)
from fallow.core.words import AttemptId, AttemptState, ChunkId, ChunkState, JobKey, Micros
from fallow.store.apply import (
    INSERT_QUEUED,
    MOVE_ATTEMPT,
    AttemptNow,
    ChunkNow,
    Ref,
    apply,
)
from fallow.store.ledger import ITEMS_FAILED, OF_ATTEMPT, OF_CHUNK
from fallow.store.port import ChunkRef, ChunkRow, ResultRow, Touched
from fallow.store.rows import ATTEMPT_WIDTH, attempt_of, chunk_of, chunk_row_of, result_of
from fallow.store.session import Row
from fallow.store.verbs.base import set_of
from fallow.store.verbs.jobs import JobVerbs

REOPEN_CHUNK = ("state", "answers_wanted", "attempts_after", "job_key", "chunk_id")


class ChunkVerbs(JobVerbs):
    """Remembers what it has locked: nobody else can change such a row before this transaction ends."""

    _chunks_now: dict[Ref, ChunkNow]
    _attempts_now: dict[AttemptId, AttemptNow]

    def open_chunks(self, job_key: JobKey, limit: int, now: Micros, by: str) -> int:
        rows = self.session.all("planned_chunks", {"job_key": job_key, "limit": limit})
        if not rows:
            return 0
        self._forget_locked()
        self.session.run("open_chunks", {"job_key": job_key, "ids": [row[0] for row in rows]})
        numbers = iter(self.attempt_numbers(sum(row[1] for row in rows)))
        opened = chunk_after(ChunkState.PLANNED, ChunkEvent.OPEN)
        queued = attempt_after(None, AttemptEvent.QUEUE)
        born: list[Row] = []
        tell = self.ledger.tell
        for chunk_id, wanted in rows:
            tell(now, job_key, chunk_id, None, ChunkState.PLANNED, opened, ChunkEvent.OPEN, "", by)
            for _ in range(wanted):
                attempt_id = AttemptId(next(numbers))
                born.append((attempt_id, job_key, chunk_id, queued.value, now))
                tell(now, job_key, chunk_id, attempt_id, "", queued, AttemptEvent.QUEUE, "", by)
        self.session.many("insert_queued", INSERT_QUEUED, born)
        deltas = self.ledger.deltas(job_key)
        deltas[OF_CHUNK[ChunkState.PLANNED]] -= len(rows)
        deltas[OF_CHUNK[opened]] += len(rows)
        for place in OF_ATTEMPT[queued]:
            deltas[place] += len(born)
        return len(rows)

    def cases(self, refs: Sequence[ChunkRef]) -> list[Case]:
        if not refs:
            return []
        params = set_of(refs)
        if self.session.writing:
            chunks = self.session.all("lock_chunks", params)
            attempts = self.session.all("lock_attempts", params)
        else:
            chunks = self.session.all("read_chunks", params)
            attempts = self.session.all("read_attempts", params)
        return self._remember(chunks, attempts)

    def cases_of_attempts(self, attempt_ids: Sequence[AttemptId]) -> list[Case]:
        if not attempt_ids:
            return []
        ids = {"ids": list(attempt_ids)}
        if not self.session.writing:
            rows = self.session.all("refs_of_attempts", ids)
            return self.cases([ChunkRef(*row) for row in dict.fromkeys(rows)])
        chunks = self.session.all("lock_chunks_of_attempts", ids)
        refs = [ChunkRef(row[0], row[1]) for row in chunks]
        return self._remember(chunks, self.session.all("lock_attempts", set_of(refs)) if refs else [])

    def _remember(self, chunks: Sequence[Row], attempts: Sequence[Row]) -> list[Case]:
        cases: dict[Ref, Case] = {}
        for row in chunks:
            chunk = chunk_of(row)
            ref = (chunk.job_key, chunk.chunk_id)
            cases[ref] = Case(chunk)
            self._chunks_now[ref] = _chunk_now(chunk)
        for row in attempts:
            attempt = attempt_of(row)
            ref = (attempt.job_key, attempt.chunk_id)
            of = self._chunks_now[ref]
            attempt_now = AttemptNow(attempt, of, attempt.state, attempt.checked, row[ATTEMPT_WIDTH])
            of.attempts.append(attempt_now)
            self._attempts_now[attempt.attempt_id] = attempt_now
            if attempt.attempt_id > of.chunk.attempts_after:
                cases[ref].attempts.append(attempt)
        return list(cases.values())

    def _forget_locked(self) -> None:
        """Another verb changes such rows: apply() has to look again."""
        self._chunks_now.clear()
        self._attempts_now.clear()

    def apply(self, changes: Sequence[Change], now: Micros, by: str) -> Touched:
        touched = apply(self, changes, now, by)
        if any(not isinstance(change, MoveAttempt | MoveChunk) for change in changes):
            self._forget_locked()  # there are rows now that were not read
        return touched

    def lock_for(self, changes: Sequence[Change]) -> None:
        refs: dict[Ref, None] = {}
        ids: dict[AttemptId, None] = {}
        for change in changes:
            if isinstance(change, MoveAttempt):
                if change.attempt_id not in self._attempts_now:
                    ids[change.attempt_id] = None
            elif isinstance(change, MoveChunk):
                ref = (change.job_key, change.chunk_id)
                if ref not in self._chunks_now:
                    refs[ref] = None
            else:
                chunk_id = change.parent_id if isinstance(change, CutChunk) else change.chunk_id
                ref = (change.job_key, chunk_id)
                if ref not in self._chunks_now:
                    refs[ref] = None
        if ids:
            rows = self.session.all("refs_of_attempts", {"ids": list(ids)})
            refs.update(((row[0], row[1]), None) for row in rows)
        if refs:
            self.cases([ChunkRef(*ref) for ref in sorted(refs)])

    def chunk_now(self, ref: Ref) -> ChunkNow:
        found = self._chunks_now.get(ref)
        if found is None:
            raise IllegalMove(f"there is no chunk {ref[1]} in job {ref[0]}")
        return found

    def attempt_now(self, attempt_id: AttemptId) -> AttemptNow:
        found = self._attempts_now.get(attempt_id)
        if found is None:
            raise IllegalMove(f"there is no attempt {attempt_id}")
        return found

    def attempt_numbers(self, count: int) -> Sequence[int]:
        if count == 0:
            return range(0)
        row = self.session.one("take_attempt_numbers", {"count": count})
        assert row is not None
        return range(row[0] - count + 1, row[0] + 1)

    def chunk_rows(self, job_key: JobKey, after: int, limit: int, states: Sequence[ChunkState] = ()) -> list[ChunkRow]:
        params = {
            "job_key": job_key,
            "after": after,
            "limit": limit,
            "states": [state.value for state in states or tuple(ChunkState)],
        }
        return self._chunk_rows(self.session.all("chunks_after", params))

    def chunk_row(self, job_key: JobKey, chunk_id: ChunkId) -> ChunkRow | None:
        rows = self._chunk_rows(self.session.all("chunk", {"job_key": job_key, "chunk_id": chunk_id}))
        return rows[0] if rows else None

    def _chunk_rows(self, rows: Sequence[Row]) -> list[ChunkRow]:
        return [chunk_row_of(case) for case in self._unlocked([chunk_of(row) for row in rows])]

    def _unlocked(self, chunks: Sequence[Chunk]) -> list[Case]:
        """The chunks with the attempts of their current run, without locking anything."""
        cases = {ChunkRef(chunk.job_key, chunk.chunk_id): Case(chunk) for chunk in chunks}
        for row in self.session.all("read_attempts", set_of(list(cases))) if cases else ():
            attempt = attempt_of(row)
            case = cases[ChunkRef(attempt.job_key, attempt.chunk_id)]
            if attempt.attempt_id > case.chunk.attempts_after:
                case.attempts.append(attempt)
        return list(cases.values())

    def cancel_chunks(self, job_key: JobKey, limit: int, now: Micros, by: str) -> int:
        params: dict[str, object] = {"job_key": job_key, "limit": limit}
        rows = self.session.all("planned_refs", params)
        counters = self.ledger.counters(job_key)
        if len(rows) < limit and counters.chunks_open + counters.chunks_verifying > 0:
            rows += self.session.all("started_refs", {**params, "limit": limit - len(rows)})
        changes: list[Change] = []
        cases = [case for case in self.cases([ChunkRef(*row) for row in rows]) if case.chunk.state in _CANCELLABLE]
        for case in cases:
            chunk = case.chunk
            for attempt in case.attempts:
                event = _TAKEN_BACK.get(attempt.state)
                if event is not None:
                    changes.append(MoveAttempt(attempt.attempt_id, event, "the chunk is cancelled"))
            changes.append(MoveChunk(chunk.job_key, chunk.chunk_id, ChunkEvent.CANCEL, "the job is over"))
        self.apply(changes, now, by)
        return len(cases)

    def reopen_chunks(self, job_key: JobKey, limit: int, now: Micros, by: str) -> int:
        refs = [ChunkRef(*row) for row in self.session.all("undone_refs", {"job_key": job_key, "limit": limit})]
        cases = [case for case in self.cases(refs) if case.chunk.state in _UNDONE]
        if not cases:
            return 0
        active = [a for case in cases for a in case.attempts if a.state in _TAKEN_BACK]
        self.apply([MoveAttempt(a.attempt_id, _TAKEN_BACK[a.state], "its run is over") for a in active], now, by)
        wanted = self.spec(job_key).answers_first
        deltas = self.ledger.deltas(job_key)
        rows: list[Row] = []
        old_answers: list[Row] = []
        for case in cases:
            chunk = case.chunk
            after = chunk_after(chunk.state, ChunkEvent.RERUN)
            deltas[OF_CHUNK[chunk.state]] -= 1
            deltas[OF_CHUNK[after]] += 1
            if chunk.state is ChunkState.FAILED:
                deltas[ITEMS_FAILED] -= chunk.item_count
            latest = max((a.attempt_id for a in case.attempts), default=chunk.attempts_after)
            rows.append((after.value, wanted, latest, job_key, chunk.chunk_id))
            old_answers.extend(
                (a.state.value, None, 0, int(a.checked), a.attempt_id)
                for a in case.attempts
                if a.state is AttemptState.REPORTED
            )
            self.ledger.tell(now, job_key, chunk.chunk_id, None, chunk.state, after, ChunkEvent.RERUN, "", by)
        self.session.many("reopen_chunks", REOPEN_CHUNK, rows)
        if old_answers:  # of an earlier run now: nobody is going to judge them
            self.session.many("move_attempts", MOVE_ATTEMPT, old_answers)
        self._forget_locked()
        return len(cases)

    def results(self, job_key: JobKey, after_item: int, limit: int) -> list[ResultRow]:
        rows = self.session.all("results", {"job_key": job_key, "after_item": after_item, "limit": limit})
        return [result_of(row) for row in rows]

    def results_from(self, job_key: JobKey, item: int, limit: int) -> list[ResultRow]:
        rows = self.session.all("results_from", {"job_key": job_key, "item": item, "limit": limit})
        return [result_of(row) for row in rows]


_UNDONE = frozenset({ChunkState.FAILED, ChunkState.CANCELLED})
_CANCELLABLE = frozenset({ChunkState.PLANNED, ChunkState.OPEN, ChunkState.VERIFYING})
_TAKEN_BACK = {AttemptState.QUEUED: AttemptEvent.DROP, AttemptState.LEASED: AttemptEvent.ABORT}


def _chunk_now(chunk: Chunk) -> ChunkNow:
    return ChunkNow(chunk, chunk.state, chunk.answers_wanted, chunk.canonical_id, chunk.fault)
