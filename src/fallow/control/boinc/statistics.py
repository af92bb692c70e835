"""Once a day: averages of those who stopped fade, and statistics sites get new files.

Only volunteers that are listed and have earned something are exported. Two processes at once write the same.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from fallow.artifacts.port import ArtifactStore
from fallow.clock import Clock
from fallow.core.credit import HALF_LIFE_SECONDS
from fallow.core.volunteer_statistics import HostRecord, Standing, TeamRecord, Totals, UserRecord
from fallow.core.volunteers import HostFacts
from fallow.core.words import Micros
from fallow.settings import Settings
from fallow.store.port import BoincUserRow, Earned, HostRow, Store, TeamMembers, Tx

FOLDER: Final = "boinc/stats"
FILES: Final = ("tables.xml", "user.gz", "host.gz", "team.gz")
DAY_MICROS: Final = 86_400 * 1_000_000
_FADED_AT: Final = "boinc_faded_at"
_EXPORTED_AT: Final = "boinc_statistics_at"
_PAGE: Final = 500
_GZIP: Final = 31  # zlib's word for a gzip file, whose head has no time and no name in it
_FACTS: Final = msgspec.json.Decoder(HostFacts)

T = TypeVar("T")


class StatisticsForm(Protocol):
    """How statistics sites want them: protocols.boinc.statistics."""

    def external_cpid(self, cpid: str, email: str) -> str: ...
    def opening(self, kind: str) -> bytes: ...
    def closing(self, kind: str) -> bytes: ...
    def user(self, record: UserRecord) -> bytes: ...
    def host(self, record: HostRecord) -> bytes: ...
    def team(self, record: TeamRecord) -> bytes: ...
    def tables(self, totals: Totals) -> bytes: ...


class Statistics:
    """A role. One step does a day's work when it is due."""

    def __init__(
        self, store: Store, artifacts: ArtifactStore, clock: Clock, settings: Settings, form: StatisticsForm
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._clock = clock
        self._exported = settings.boinc_statistics
        self._project_name = settings.boinc_name
        self._form = form

    def step(self) -> bool:
        """True when something was due."""
        now = self._clock.now()
        faded = self._is_due(_FADED_AT, now)
        if faded:
            self._fade(now)
            self._mark(_FADED_AT, now)
        told = self._exported and self._is_due(_EXPORTED_AT, now) and self._has_news()
        if told:
            self._export(now)
            self._mark(_EXPORTED_AT, now)
        return faded or told

    def _is_due(self, mark: str, now: Micros) -> bool:
        with self._store.reading() as tx:
            done_at = int(tx.setting(mark) or 0)
        return not done_at <= now < done_at + DAY_MICROS

    def _mark(self, mark: str, now: Micros) -> None:
        with self._store.transaction() as tx:
            tx.set_setting(mark, str(now))

    def _has_news(self) -> bool:
        """Whether anybody is there to be told of, or was."""
        with self._store.reading() as tx:
            return bool(tx.listed_users(0, 1)) or self._artifacts.head(f"{FOLDER}/{FILES[0]}") is not None

    def _fade(self, now: Micros) -> None:
        """In short transactions: calls of volunteers go on meanwhile."""
        for whose in ("hosts", "users", "teams"):
            after: int | None = 0
            while after is not None:
                with self._store.transaction() as tx:
                    after = tx.fade_averages(whose, after, _PAGE, now, HALF_LIFE_SECONDS)

    def _export(self, now: Micros) -> None:
        """tables.xml last: it says of which moment the others are."""
        users = _Counted(self._users())
        hosts = self._write("host.gz", "hosts", map(self._form.host, self._hosts()))
        self._write("user.gz", "users", map(self._form.user, users))
        teams = self._write("team.gz", "teams", map(self._form.team, self._teams()))
        totals = Totals(now / 1e6, users.count, hosts, teams, users.total, self._project_name)
        self._artifacts.put(f"{FOLDER}/{FILES[0]}", [self._form.tables(totals)])

    def _write(self, name: str, kind: str, records: Iterator[bytes]) -> int:
        """How many records there were."""
        count, pack = 0, zlib.compressobj(wbits=_GZIP)
        with self._artifacts.stream_writer(f"{FOLDER}/{name}") as writer:
            writer.write(pack.compress(self._form.opening(kind)))
            for record in records:
                count += 1
                writer.write(pack.compress(record))
            writer.write(pack.compress(self._form.closing(kind)) + pack.flush())
        return count

    def _users(self) -> Iterator[UserRecord]:
        for row, name, email in self._paged(lambda tx, after: tx.listed_users(after, _PAGE), _number_of_user):
            yield UserRecord(
                user_id=row.user_id,
                name=name,
                created_at=row.created_at / 1e6,
                cpid=self._form.external_cpid(row.cpid, email or ""),
                team_id=row.team_id or 0,
                standing=_standing(row.earned),
            )

    def _hosts(self) -> Iterator[HostRecord]:
        for row, user_id in self._paged(lambda tx, after: tx.listed_hosts(after, _PAGE), _number_of_host):
            facts = _FACTS.decode(row.facts)
            yield HostRecord(
                host_id=row.host_id,
                user_id=user_id,
                cpid=row.cpid,
                created_at=row.created_at / 1e6,
                called_at=row.rpc_at / 1e6,
                os=facts.os,
                vendor=facts.vendor,
                model=facts.model,
                cores=int(facts.cores),
                flops=facts.flops,
                memory_bytes=facts.memory_bytes,
                standing=_standing(row.earned),
            )

    def _teams(self) -> Iterator[TeamRecord]:
        for row in self._paged(lambda tx, after: tx.teams_after(after, _PAGE), _number_of_team):
            yield TeamRecord(
                team_id=row.team.team_id,
                name=row.team.name,
                founder_id=row.founder_id or 0,
                founder_name=row.founder_name,
                members=row.members,
                created_at=row.team.created_at / 1e6,
                standing=_standing(row.team.earned),
            )

    def _paged(self, read: Callable[[Tx, int], Sequence[T]], number: Callable[[T], int]) -> Iterator[T]:
        """Page by page, each in a transaction of its own."""
        after = 0
        while True:
            with self._store.reading() as tx:
                page = read(tx, after)
            yield from page
            if len(page) < _PAGE:
                return
            after = number(page[-1])


class _Counted:
    """The users as they go by, counted."""

    def __init__(self, users: Iterator[UserRecord]) -> None:
        self._users = users
        self.count = 0
        self.total = 0.0

    def __iter__(self) -> Iterator[UserRecord]:
        for each in self._users:
            self.count += 1
            self.total += each.standing.total
            yield each


def _number_of_user(row: tuple[BoincUserRow, str, str | None]) -> int:
    return row[0].user_id


def _number_of_host(row: tuple[HostRow, int]) -> int:
    return row[0].host_id


def _number_of_team(row: TeamMembers) -> int:
    return row.team.team_id


def _standing(earned: Earned) -> Standing:
    return Standing(earned.total, earned.average, earned.at / 1e6)
