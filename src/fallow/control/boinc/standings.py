"""Who leads, and what one chooses of it oneself: a team, and whether others see one's name."""

from dataclasses import dataclass
from typing import Final

from fallow.clock import Clock
from fallow.control.callers import Caller
from fallow.core.credit import HALF_LIFE_SECONDS, fade
from fallow.core.people import checked_name, team_key
from fallow.core.words import Micros
from fallow.store.port import BoincUserRow, Earned, Store, TeamRow, Tx

SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Leader:
    """average: cobblestones a day, as of now. team: "" for none. is_me: whether the caller is meant."""

    name: str
    total: float
    average: float
    team: str = ""
    is_me: bool = False


@dataclass(frozen=True, slots=True)
class Leaders:
    """Best average first."""

    people: tuple[Leader, ...]
    teams: tuple[Leader, ...]


@dataclass(frozen=True, slots=True)
class OwnStanding:
    """team: the name of one's team, "" for none."""

    team: str
    listed: bool
    total: float
    average: float


class Standings:
    """Read by whoever may see pages; changed by oneself."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def leaders(self, caller: Caller, limit: int = SHOWN) -> Leaders:
        """Up to so many people that are listed, and so many teams."""
        now = self._clock.now()
        with self._store.reading() as tx:
            users, teams = tx.user_leaders(limit), tx.team_leaders(limit)
            names = {number: _team_name(tx, number) for number in {user.team_id for user, _ in users}}
        people = [
            Leader(
                name=name,
                total=user.earned.total,
                average=average_now(user.earned, now),
                team=names[user.team_id],
                is_me=user.account_id == caller.account_id,
            )
            for user, name in users
        ]
        groups = [Leader(team.name, team.earned.total, average_now(team.earned, now)) for team in teams]
        return Leaders(_best_first(people), _best_first(groups))

    def own(self, caller: Caller) -> OwnStanding | None:
        """None for who never volunteered. Raises Refusal FORBIDDEN for a worker's key."""
        caller.needs_owner()
        with self._store.reading() as tx:
            user = tx.boinc_user(caller.account_id)
            if user is None:
                return None
            team = _team_name(tx, user.team_id)
        return OwnStanding(team, user.listed, user.earned.total, average_now(user.earned, self._clock.now()))

    def choose(self, caller: Caller, user: BoincUserRow, team_name: str, *, listed: bool) -> None:
        """team_name: "" leaves the team; a team of that name is joined, or founded when there is none. user: the
        caller's. Raises Refusal FORBIDDEN or BAD_REQUEST."""
        caller.needs_owner()
        name = checked_name(" ".join(team_name.split())) if team_name.strip() else ""
        with self._store.transaction() as tx:
            team = self._team(tx, name, caller.account_id) if name else None
            tx.set_standing(user.user_id, team.team_id if team else None, listed)

    def _team(self, tx: Tx, name: str, account_id: str) -> TeamRow:
        key = team_key(name)
        found = tx.team_by_name(key) or tx.add_team(name, key, account_id, self._clock.now()) or tx.team_by_name(key)
        assert found is not None  # whoever was faster has committed by now
        return found


def average_now(earned: Earned, now: Micros) -> float:
    """What is left of the average."""
    return fade(earned.average, earned.at / 1e6, now / 1e6, HALF_LIFE_SECONDS)


def _best_first(leaders: list[Leader]) -> tuple[Leader, ...]:
    """Rows are in order as of when each was written; this is as of now."""
    return tuple(sorted(leaders, key=lambda each: -each.average))


def _team_name(tx: Tx, team_id: int | None) -> str:
    team = tx.team(team_id) if team_id is not None else None
    return team.name if team else ""
