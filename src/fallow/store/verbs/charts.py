"""What pages draw of a job."""

from collections.abc import Sequence

from fallow.core.words import AttemptState, ChunkId, ChunkState, FailureClass, JobKey, JobState, Micros
from fallow.store.port import CellCount, CellRun, FailureGroup, FaultGroup, JobRow, RecentWork, Span
from fallow.store.rows import job_of, storable
from fallow.store.verbs.base import Verbs
from fallow.store.verbs.jobs import NEWEST

_STATES = {state.value: state for state in ChunkState}


class ChartVerbs(Verbs):
    def jobs_found(
        self, *, account_id: str | None, text: str, states: Sequence[JobState], before: JobKey | None, limit: int
    ) -> list[JobRow]:
        self.ledger.flush()
        params = {
            "account_id": account_id or "",
            "text": _pattern(storable(text)),
            "states": [state.value for state in states or tuple(JobState)],
            "before": NEWEST if before is None else before,
            "limit": limit,
        }
        return [job_of(row, self.spec(row[0])) for row in self.session.all("jobs_found", params)]

    def account_name(self, account_id: str) -> str:
        row = self.session.one("account_name", {"account_id": account_id})
        return account_id if row is None else str(row[0])

    def submitters(self, limit: int) -> list[tuple[str, str]]:
        return [(row[0], row[1]) for row in self.session.all("submitters", {"limit": limit})]

    def recent_work(self, since: Micros, rows_max: int) -> list[RecentWork]:
        self.ledger.flush()
        first = max(0, self.story_mark() - rows_max)
        params: dict[str, object] = {"first": first, "since": since}
        row = self.session.one("story_reaches", params)
        if row is None:
            return []
        start = Micros(max(since, row[0]))
        return [RecentWork(job_key, chunks, items, start) for job_key, chunks, items in self._recent(params)]

    def _recent(self, params: dict[str, object]) -> list[tuple[JobKey, int, int]]:
        return [(JobKey(row[0]), row[1], row[2]) for row in self.session.all("recent_work", params)]

    def story_mark(self) -> int:
        row = self.session.one("story_mark", {})
        assert row is not None
        return int(row[0])

    def chunk_count(self, job_key: JobKey) -> int:
        row = self.session.one("next_chunk_id", {"job_key": job_key})
        assert row is not None
        return int(row[0])

    def cell_counts(self, job_key: JobKey, per_cell: int, first: int, end: int) -> list[CellCount]:
        params = {"job_key": job_key, "per_cell": per_cell, "first": first, "end": end}
        return [CellCount(row[0], _STATES[row[1]], row[2]) for row in self.session.all("cell_counts", params)]

    def leased_chunks(self, job_key: JobKey) -> list[ChunkId]:
        return [ChunkId(row[0]) for row in self.session.all("leased_chunks", {"job_key": job_key})]

    def moved_chunks(self, job_key: JobKey, after: int, limit: int) -> list[ChunkId]:
        params = {"job_key": job_key, "after": after, "limit": limit}
        return [ChunkId(row[0]) for row in self.session.all("moved_chunks", params)]

    def cell_runs(self, job_key: JobKey, per_cell: int) -> list[CellRun]:
        params = {"job_key": job_key, "per_cell": per_cell}
        return [CellRun(*row) for row in self.session.all("cell_runs", params)]

    def done_spans(self, job_key: JobKey, start: Micros, micros: int) -> list[Span]:
        params = {"job_key": job_key, "start": start, "micros": micros}
        return [Span(*row) for row in self.session.all("done_spans", params)]

    def done_between(self, job_key: JobKey) -> tuple[Micros, Micros] | None:
        row = self.session.one("done_between", {"job_key": job_key})
        return None if row is None or row[0] is None else (Micros(row[0]), Micros(row[1]))

    def failure_groups(self, job_key: JobKey, limit: int) -> list[FailureGroup]:
        rows = self.session.all("failure_groups", {"job_key": job_key, "limit": limit})
        return [FailureGroup(FailureClass(row[0]) if row[0] else None, AttemptState(row[1]), *row[2:]) for row in rows]

    def fault_groups(self, job_key: JobKey, limit: int) -> list[FaultGroup]:
        rows = self.session.all("fault_groups", {"job_key": job_key, "limit": limit})
        return [FaultGroup(*row) for row in rows]


def _pattern(text: str) -> str:
    """For LIKE with the escape character !: the text anywhere; "" stays ""."""
    if not text:
        return ""
    for special in "!%_":
        text = text.replace(special, "!" + special)
    return f"%{text.lower()}%"
