"""BOINC's submit calls: rows of batches, jobs and staged files."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from fallow.core.words import ChunkState, JobKey, Micros
from fallow.store.port.boinc_submit import AbortRow, BoincBatchRow, BoincJobRow, JobFileRow, StandingRow
from fallow.store.rows import storable
from fallow.store.session import Params, Row
from fallow.store.verbs.base import Verbs

_JOB_WIDTH = 8


class BoincSubmitVerbs(Verbs):
    def add_boinc_batch(self, account_id: str, app_name: str, name: str, expire_at: Micros, now: Micros) -> int:
        params = {"account_id": account_id, "app_name": app_name, "name": name, "expire_at": expire_at, "now": now}
        return int(self._value("add_boinc_batch", params))

    def boinc_batch(self, batch_id: int) -> BoincBatchRow | None:
        row = self.session.one("boinc_batch", {"batch_id": batch_id})
        return None if row is None else BoincBatchRow(*row)

    def boinc_batch_of_job(self, job_key: JobKey) -> BoincBatchRow | None:
        row = self.session.one("boinc_batch_of_job", {"job_key": job_key})
        return None if row is None else BoincBatchRow(*row)

    def boinc_batch_named(self, account_id: str, name: str) -> BoincBatchRow | None:
        row = self.session.one("boinc_batch_named", {"account_id": account_id, "name": name})
        return None if row is None else BoincBatchRow(*row)

    def boinc_batches(self, account_id: str, after: int, limit: int) -> list[BoincBatchRow]:
        params = {"account_id": account_id, "after": after, "limit": limit}
        return [BoincBatchRow(*row) for row in self.session.all("boinc_batches", params)]

    def start_boinc_batch(self, batch_id: int, job_key: JobKey, job_count: int) -> bool:
        params = {"batch_id": batch_id, "job_key": job_key, "job_count": job_count}
        return self.session.run("start_boinc_batch", params) > 0

    def abort_boinc_batch(self, batch_id: int, final: str) -> bool:
        return self.session.run("abort_boinc_batch", {"batch_id": batch_id, "final": final}) > 0

    def set_boinc_batch_expiry(self, batch_id: int, expire_at: Micros) -> None:
        self.session.run("set_boinc_batch_expiry", {"batch_id": batch_id, "expire_at": expire_at})

    def retire_boinc_batch(self, batch_id: int, final: str, now: Micros) -> bool:
        return self.session.run("retire_boinc_batch", {"batch_id": batch_id, "final": final, "now": now}) > 0

    def expired_boinc_batches(self, now: Micros, limit: int) -> list[BoincBatchRow]:
        rows = self.session.all("expired_boinc_batches", {"now": now, "limit": limit})
        return [BoincBatchRow(*row) for row in rows]

    def forget_boinc_batches(self, before: Micros, limit: int) -> int:
        found = self.session.all("forgettable_boinc_batches", {"before": before, "limit": limit})
        for row in found:
            self.session.run("forget_boinc_jobs", {"batch_id": row[0]})
            self.session.run("forget_boinc_batch", {"batch_id": row[0]})
        return len(found)

    def add_boinc_jobs(self, account_id: str, batch_id: int, jobs: Sequence[tuple[str, Sequence[str]]]) -> None:
        rows = [
            (account_id, batch_id, place, name, json.dumps(list(outputs))) for place, (name, outputs) in enumerate(jobs)
        ]
        self.session.many("add_boinc_jobs", ("account_id", "batch_id", "place", "name", "outputs"), rows)

    def taken_boinc_names(self, account_id: str, names: Sequence[str]) -> list[str]:
        rows = self.session.all("taken_boinc_names", {"account_id": account_id, "names": _texts(names)})
        return [row[0] for row in rows]

    def boinc_job(self, boinc_job_id: int) -> BoincJobRow | None:
        row = self.session.one("boinc_job", {"boinc_job_id": boinc_job_id})
        return None if row is None else _job(row)

    def boinc_jobs_named(self, name: str, account_id: str = "", limit: int = 1) -> list[BoincJobRow]:
        params = {"name": storable(name), "account_id": account_id, "limit": limit}
        return [_job(row) for row in self.session.all("boinc_jobs_named", params)]

    def boinc_jobs_standing(self, batch_id: int, after: int, limit: int, only: int = -1) -> list[StandingRow]:
        params = {"batch_id": batch_id, "after": after, "limit": limit, "only": only}
        return [_standing(row) for row in self.session.all("boinc_jobs_standing", params)]

    def boinc_batch_sums(self, job_key: JobKey) -> tuple[float, float]:
        params = {"job_key": job_key}
        return float(self._value("boinc_batch_cpu", params)), float(self._value("boinc_batch_credit", params))

    def abort_boinc_job(self, boinc_job_id: int, now: Micros) -> bool:
        return self.session.run("abort_boinc_job", {"boinc_job_id": boinc_job_id, "now": now}) > 0

    def boinc_aborts_due(self, after: int, limit: int) -> list[AbortRow]:
        return [AbortRow(*row) for row in self.session.all("boinc_aborts_due", {"after": after, "limit": limit})]

    def boinc_aborts_pending(self, batch_id: int) -> int:
        return int(self._value("boinc_aborts_pending", {"batch_id": batch_id}))

    def boinc_abort_done(self, boinc_job_id: int) -> None:
        self.session.run("boinc_abort_done", {"boinc_job_id": boinc_job_id})

    def set_boinc_job_finals(self, finals: Sequence[tuple[int, str]]) -> None:
        rows = [(final, boinc_job_id) for boinc_job_id, final in finals]
        if rows:
            self.session.many("set_boinc_job_final", ("final", "boinc_job_id"), rows)

    def save_boinc_job_file(self, row: JobFileRow) -> None:
        self.session.run("save_boinc_job_file", asdict(row))

    def boinc_job_files(self, account_id: str, names: Sequence[str]) -> list[JobFileRow]:
        params = {"account_id": account_id, "names": _texts(names)}
        return [JobFileRow(*row) for row in self.session.all("boinc_job_files", params)]

    def keep_boinc_job_files(self, account_id: str, names: Sequence[str], delete_at: Micros) -> None:
        params = {"account_id": account_id, "names": _texts(names), "delete_at": delete_at}
        self.session.run("keep_boinc_job_files", params)

    def forget_boinc_job_files(self, now: Micros) -> int:
        return self.session.run("forget_boinc_job_files", {"now": now})

    def _value(self, name: str, params: Params) -> Any:
        row = self.session.one(name, params)
        assert row is not None, "such a statement always has one row"
        return row[0]


def _texts(names: Sequence[str]) -> str:
    """A set of texts of other people's: as JSON, which can say them all."""
    return json.dumps([storable(name) for name in names])


def _job(row: Row) -> BoincJobRow:
    found = BoincJobRow(*row[:_JOB_WIDTH])
    return replace(found, outputs=tuple(json.loads(row[5])))


def _standing(row: Row) -> StandingRow:
    state, fault, canonical, cpu, errors, is_out, exit_code = row[_JOB_WIDTH:]
    known = ChunkState(state) if state is not None else None
    return StandingRow(_job(row), known, fault, int(canonical), float(cpu), int(errors), bool(is_out), exit_code)
