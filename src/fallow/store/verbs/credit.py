"""What volunteers have done and earned: reputation, verdicts, credit, who leads."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, astuple, fields
from math import fsum
from typing import Final

import msgspec

from fallow.core.credit import add, fade
from fallow.core.volunteer_ids import host_of
from fallow.core.words import AttemptId, ChunkId, JobKey, Micros, WorkerId
from fallow.store.port import (
    BoincUserRow,
    ChunkRef,
    CreditRow,
    HostRow,
    ReputationRow,
    TeamMembers,
    TeamRow,
    VerdictRow,
)
from fallow.store.session import Row
from fallow.store.verbs.base import Verbs, set_of
from fallow.store.verbs.boinc_hosts import HOST_WIDTH, host_row_of
from fallow.store.verbs.boinc_people import TEAM_WIDTH, USER_WIDTH, team_of, user_of

MICROS: Final = 1e6
NOTHING: Final = 0.01  # cobblestones a day: somebody who stopped long ago leads nobody any more
DAY_MICROS: Final = 86_400 * 1_000_000
SET_EARNED: Final = ("total", "average", "at", "number", "was_at", "was_total")
REPUTATION: Final = tuple(each.name for each in fields(ReputationRow))

Sums = dict[object, list[CreditRow]]  # by host, account or team; None: of nobody


class CreditVerbs(Verbs):
    def reputations(self, worker_id: WorkerId) -> list[ReputationRow]:
        return [ReputationRow(*row) for row in self.session.all("reputations", {"worker_id": worker_id})]

    def reputations_of(self, worker_ids: Sequence[WorkerId]) -> list[ReputationRow]:
        ids = sorted(set(worker_ids))
        return [ReputationRow(*row) for row in self.session.all("reputations_of", {"ids": ids})] if ids else []

    def save_reputation(self, row: ReputationRow) -> None:
        self.save_reputations([row])

    def save_reputations(self, rows: Sequence[ReputationRow]) -> None:
        if rows:
            self.session.many("save_reputation", REPUTATION, [astuple(row) for row in rows])

    def count_sent(self, worker_id: WorkerId, image: str, day: int, count: int, quota: int) -> None:
        params = {"worker_id": worker_id, "image": image, "day": day, "count": count, "quota": quota}
        self.session.run("count_sent", params)

    def has_verdicts(self) -> bool:
        return self.session.one("has_verdicts", {}) is not None

    def verdicts(self, limit: int) -> list[VerdictRow]:
        if self.session.one("lock_verdicts", {}) is None:
            return []
        rows = self.session.all("verdicts", {"limit": limit})
        self.forget_verdicts([row[0] for row in rows if row[7] is None])
        return [_verdict_of(row) for row in rows if row[7] is not None]

    def forget_verdicts(self, verdict_ids: Sequence[int]) -> None:
        if verdict_ids:
            self.session.run("forget_verdicts", {"ids": list(verdict_ids)})

    def grant_credit(self, rows: Sequence[CreditRow], half_life_seconds: float) -> None:
        if not rows:
            return
        text = msgspec.json.encode([asdict(row) for row in rows]).decode()
        new = {number for (number,) in self.session.all("add_credit", {"rows": text})}
        granted = {row.attempt_id: row for row in rows if row.attempt_id in new}  # one of each attempt
        by_host = _sums((host_of(row.worker_id), row) for row in granted.values())
        by_account = _sums((row.account_id, row) for row in granted.values())
        self._earn("hosts", by_host, half_life_seconds, lambda row: row[0])
        users = self._earn("users", by_account, half_life_seconds, lambda row: row[4])
        teams = {row[4]: row[5] for row in users}
        by_team = _sums((teams.get(row.account_id), row) for row in granted.values())
        self._earn("teams", by_team, half_life_seconds, lambda row: row[0])

    def _earn(self, whose: str, came: Sums, half_life: float, key: Callable[[Row], object]) -> list[Row]:
        """Adds to totals and averages; the rows as they were."""
        ids = [each for each in came if each is not None]
        if not ids:
            return []
        rows = self.session.all(f"earned_by_{whose}", {"ids": ids})
        after = [(*_plus(row, came[key(row)], half_life), row[0], row[3], row[1]) for row in rows]
        if after:
            self.session.many(f"set_earned_by_{whose}", SET_EARNED, after)
        return rows

    def credit_of_chunk(self, job_key: JobKey, chunk_id: ChunkId) -> list[CreditRow]:
        rows = self.session.all("credit_of_chunk", {"job_key": job_key, "chunk_id": chunk_id})
        return [CreditRow(*row) for row in rows]

    def granted_in(self, refs: Sequence[ChunkRef]) -> dict[ChunkRef, float]:
        rows = self.session.all("granted_in", set_of(refs)) if refs else []
        return {ChunkRef(row[0], row[1]): row[2] for row in rows}

    def user_leaders(self, limit: int) -> list[tuple[BoincUserRow, str]]:
        rows = self.session.all("user_leaders", {"limit": limit})
        return [(user_of(row), row[USER_WIDTH]) for row in rows]

    def team_leaders(self, limit: int) -> list[TeamRow]:
        return [team_of(row) for row in self.session.all("team_leaders", {"limit": limit})]

    def listed_users(self, after: int, limit: int) -> list[tuple[BoincUserRow, str, str | None]]:
        rows = self.session.all("listed_users", {"after": after, "limit": limit})
        return [(user_of(row), row[USER_WIDTH], row[USER_WIDTH + 1]) for row in rows]

    def listed_hosts(self, after: int, limit: int) -> list[tuple[HostRow, int]]:
        rows = self.session.all("listed_hosts", {"after": after, "limit": limit})
        return [(host_row_of(row), row[HOST_WIDTH]) for row in rows]

    def teams_after(self, after: int, limit: int) -> list[TeamMembers]:
        rows = self.session.all("teams_after", {"after": after, "limit": limit})
        return [TeamMembers(team_of(row), *row[TEAM_WIDTH:]) for row in rows]

    def fade_averages(self, whose: str, after: int, limit: int, now: Micros, half_life_seconds: float) -> int | None:
        params = {"after": after, "before": now - DAY_MICROS, "limit": limit}
        rows = self.session.all(f"fading_{whose}", params)
        faded = [_faded(row, now, half_life_seconds) for row in rows]
        if faded:
            self.session.many(f"set_earned_by_{whose}", SET_EARNED, faded)
        return rows[-1][0] if len(rows) == limit else None


def _faded(row: Row, now: Micros, half_life: float) -> Row:
    number, total, average, at = row
    left = fade(average, at / MICROS, now / MICROS, half_life)
    return (total, left if left >= NOTHING else 0.0, now, number, at, total)


def _sums(rows: Iterable[tuple[object, CreditRow]]) -> Sums:
    found: Sums = {}
    for key, row in rows:
        found.setdefault(key, []).append(row)
    return found


def _plus(row: Row, came: Sequence[CreditRow], half_life: float) -> tuple[float, float, Micros]:
    """Total, average and moment with what came."""
    total, average, at = row[1:4]
    for moment in sorted({each.at for each in came}):
        sum_now = fsum(each.granted for each in came if each.at == moment)
        average = add(average, at / MICROS, sum_now, moment / MICROS, half_life)
        total, at = total + sum_now, max(at, moment)
    return total, average, Micros(at)


def _verdict_of(row: Row) -> VerdictRow:
    number, attempt, event, job, chunk, worker, failure_class, items, cpu_seconds, leased, over, envelope, wanted = row
    return VerdictRow(
        verdict_id=number,
        attempt_id=AttemptId(attempt),
        event=event,
        job_key=job,
        chunk_id=chunk,
        worker_id=WorkerId(worker or ""),
        failure_class=failure_class or "",
        item_count=items,
        cpu_seconds=cpu_seconds,
        leased_at=Micros(leased or over or 0),
        over_at=Micros(over or leased or 0),
        envelope=bytes(envelope or b""),
        answers_wanted=wanted,
    )
