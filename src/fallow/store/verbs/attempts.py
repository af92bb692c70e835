"""Attempts: leased, extended, expired, judged, listed."""

from collections.abc import Sequence
from dataclasses import replace

from fallow.core.chunk import Case
from fallow.core.lifecycle import CHUNK_OVER, AttemptEvent, attempt_after
from fallow.core.words import AttemptId, AttemptState, ChunkId, ChunkState, JobKey, Micros, WorkerId
from fallow.store.ledger import OF_ATTEMPT
from fallow.store.port import AttemptRow, ChunkRef, Leased, Terms
from fallow.store.rows import attempt_row_of, chunk_of, leased_of
from fallow.store.session import Row
from fallow.store.verbs.base import set_of
from fallow.store.verbs.chunks import ChunkVerbs

LEASE_ATTEMPT = ("worker_id", "now", "deadline", "attempt_id")
CLAIM_VERIFYING = ("owner", "until", "job_key", "chunk_id")
RAISE_ANSWERS = ("wanted", "job_key", "chunk_id")
CHUNK_CLASS = ("job_key", "chunk_id", "class")


_ASKING = frozenset({ChunkState.OPEN, ChunkState.VERIFYING})


class AttemptVerbs(ChunkVerbs):
    def lease(
        self,
        job_key: JobKey,
        worker_id: WorkerId,
        limit: int,
        now: Micros,
        deadline: Micros,
        same_after: Micros,
        terms: Terms | None = None,
    ) -> list[Leased]:
        params: dict[str, object] = {
            "job_key": job_key,
            "worker_id": worker_id,
            "limit": limit,
            "now": now,
            "deadline": deadline,
            "same_after": same_after,
        }
        rows = self._lease_rows(params) if terms is None else self._kept_rows(params, terms)
        if not rows:
            return []
        self._forget_locked()
        queued, leased = AttemptState.QUEUED, attempt_after(AttemptState.QUEUED, AttemptEvent.LEASE)
        deltas = self.ledger.deltas(job_key)
        for place in OF_ATTEMPT[queued]:
            deltas[place] -= len(rows)
        for place in OF_ATTEMPT[leased]:
            deltas[place] += len(rows)
        by = f"worker {worker_id}"
        for row in rows:
            self.ledger.tell(now, job_key, row[1], row[0], queued, leased, AttemptEvent.LEASE, "", by, now - row[8])
        return [leased_of(row) for row in rows]

    def _lease_rows(self, params: dict[str, object], leasable: str = "leasable_attempts") -> list[Row]:
        """The attempts that are now leased, in the order of the columns of leasable_attempts."""
        rows = self.session.all(leasable, params)
        worker_id, now, deadline = params["worker_id"], params["now"], params["deadline"]
        if rows:
            self.session.many("lease_attempts", LEASE_ATTEMPT, [(worker_id, now, deadline, row[0]) for row in rows])
        return rows

    def _kept_rows(self, params: dict[str, object], terms: Terms) -> list[Row]:
        kept = {**params, "class_name": terms.class_name, "account_id": terms.account_id}
        rows = self._lease_rows(kept, "leasable_kept_attempts")
        if terms.class_name:
            named = [(params["job_key"], row[1], terms.class_name) for row in rows]
            self.session.many("keep_chunk_classes", CHUNK_CLASS, named)
        return rows

    def raise_answers(self, job_key: JobKey, chunk_ids: Sequence[ChunkId], wanted: int) -> list[Case]:
        """Beside the story: it is no move, and the attempts that follow from it are told."""
        cases = self.cases([ChunkRef(job_key, chunk_id) for chunk_id in sorted(set(chunk_ids))])
        few = [each for each in cases if each.chunk.answers_wanted < wanted and each.chunk.state in _ASKING]
        if few:
            rows = [(wanted, job_key, each.chunk.chunk_id) for each in few]
            self.session.many("raise_answers", RAISE_ANSWERS, rows)
            self._forget_locked()
        return [Case(replace(each.chunk, answers_wanted=wanted), each.attempts) for each in few]

    def extend(self, worker_id: WorkerId, attempt_ids: Sequence[AttemptId], deadline: Micros) -> list[AttemptId]:
        self._forget_locked()
        kept: list[AttemptId] = []
        for attempt_id in attempt_ids:
            params = {"worker_id": worker_id, "attempt_id": attempt_id, "deadline": deadline}
            kept.extend(row[0] for row in self.session.all("extend", params))
        return kept

    def held(self, worker_id: WorkerId) -> list[AttemptId]:
        return [row[0] for row in self.session.all("held", {"worker_id": worker_id})]

    def expired(self, now: Micros, limit: int) -> list[ChunkRef]:
        rows = self.session.all("expired", {"now": now, "limit": limit})
        return [ChunkRef(*row) for row in dict.fromkeys(rows)]

    def claim_verifying(self, owner: str, limit: int, now: Micros, until: Micros) -> list[Case]:
        refs = [ChunkRef(*row) for row in self.session.all("verifying_refs", {"now": now, "limit": limit})]
        if not refs:
            return []
        rows = [(owner, until, ref.job_key, ref.chunk_id) for ref in refs]
        self.session.many("claim_verifying", CLAIM_VERIFYING, rows)
        return [case for case in self._cases_unlocked(refs) if case.chunk.state is ChunkState.VERIFYING]

    def late_answers(self, limit: int) -> list[Case]:
        rows = self.session.all("late_refs", {"limit": limit})
        cases = self._cases_unlocked([ChunkRef(*row) for row in dict.fromkeys(rows)])
        return [case for case in cases if case.chunk.state in CHUNK_OVER]

    def _cases_unlocked(self, refs: Sequence[ChunkRef]) -> list[Case]:
        rows = self.session.all("read_chunks", set_of(refs)) if refs else []
        return self._unlocked([chunk_of(row) for row in rows])

    def attempt_rows(self, job_key: JobKey, chunk_id: ChunkId) -> list[AttemptRow]:
        rows = self.session.all("attempt_rows", {"job_key": job_key, "chunk_id": chunk_id})
        return [attempt_row_of(row) for row in rows]

    def attempt_row(self, attempt_id: AttemptId) -> AttemptRow | None:
        row = self.session.one("attempt_row", {"attempt_id": attempt_id})
        return None if row is None else attempt_row_of(row)

    def attempts_of_job(self, job_key: JobKey, after: AttemptId, limit: int) -> list[AttemptRow]:
        rows = self.session.all("attempts_of_job", {"job_key": job_key, "after": after, "limit": limit})
        return [attempt_row_of(row) for row in rows]
