"""Leaders, and one's own choice of a team, on both databases."""

from dataclasses import replace

import pytest

from fallow.clock import ManualClock
from fallow.control.boinc.standings import OwnStanding, Standings
from fallow.control.callers import Caller
from fallow.core.credit import HALF_LIFE_SECONDS
from fallow.core.refusals import Code, Refusal
from fallow.core.words import AttemptId, JobKey, Scope, WorkerId
from fallow.store.port import BoincUserRow, CreditRow, Store
from tests.store.yard import T0

WEEK = 7 * 86400
NOBODY = WorkerId("b-99.1")  # a host that is not there: its account earns all the same


class Board:
    def __init__(self, store: Store) -> None:
        self.store, self.clock = store, ManualClock(T0)
        self.standings = Standings(store, self.clock)
        self.attempts = 0

    def user(self, account: str) -> BoincUserRow:
        with self.store.transaction() as tx:
            tx.add_account(account, account.title(), T0)
            number = f"{sum(account.encode()):x}"
            return tx.add_boinc_user(account, number.zfill(64), number.zfill(32), T0)

    def earn(self, account: str, credit: float) -> None:
        self.attempts += 1
        row = CreditRow(AttemptId(self.attempts), JobKey(1), NOBODY, account, self.clock.now(), credit, credit)
        with self.store.transaction() as tx:
            tx.grant_credit([row], HALF_LIFE_SECONDS)

    def choose(self, account: str, team: str, *, listed: bool = True) -> None:
        with self.store.reading() as tx:
            user = tx.boinc_user(account)
        assert user is not None
        self.standings.choose(caller(account), user, team, listed=listed)

    def people(self) -> list[tuple[str, str]]:
        return [(each.name, each.team) for each in self.standings.leaders(caller("ada")).people]


def caller(account: str, *scopes: Scope, key_id: str = "") -> Caller:
    return Caller(key_id, account, frozenset(scopes or (Scope.SUBMIT,)), account.title(), "s-1")


@pytest.fixture
def board(store: Store) -> Board:
    made = Board(store)
    for account in ("ada", "bob"):
        made.user(account)
    return made


def test_nobody_leads_before_anybody_has_earned(board: Board) -> None:
    assert board.standings.leaders(caller("ada")).people == ()
    assert board.standings.leaders(caller("ada")).teams == ()


def test_leaders_are_as_of_now_and_know_their_team_and_who_asks(board: Board) -> None:
    board.choose("ada", "  Night   Owls ")
    board.earn("ada", 100.0)
    board.clock.advance(WEEK)
    board.earn("bob", 60.0)
    leaders = board.standings.leaders(caller("ada"))
    assert [(each.name, each.team, each.is_me, each.total) for each in leaders.people] == [
        ("Bob", "", False, 60.0),
        ("Ada", "Night Owls", True, 100.0),
    ], "what was earned a week ago counts half"
    first, second = leaders.people
    assert second.average / first.average == pytest.approx(50 / 60)
    assert [(each.name, each.total) for each in leaders.teams] == [("Night Owls", 100.0)]


def test_a_team_is_founded_joined_and_left(board: Board) -> None:
    board.choose("ada", "Night Owls")
    board.choose("bob", "NIGHT  owls")
    for account in ("ada", "bob"):
        board.earn(account, 10.0)
    assert sorted(board.people()) == [("Ada", "Night Owls"), ("Bob", "Night Owls")]
    board.choose("bob", "")
    board.earn("bob", 5.0)
    assert sorted(board.people()) == [("Ada", "Night Owls"), ("Bob", "")]
    [team] = board.standings.leaders(caller("ada")).teams
    assert team.total == 20.0, "what was earned in the team stays the team's, and nothing more comes"


def test_who_does_not_want_to_be_seen_is_not(board: Board) -> None:
    board.earn("ada", 10.0)
    board.earn("bob", 20.0)
    board.choose("bob", "Owls", listed=False)
    assert board.people() == [("Ada", "")]
    own = board.standings.own(caller("bob"))
    assert own is not None
    assert (own.team, own.listed, own.total) == ("Owls", False, 20.0)


def test_ones_own_standing_is_there_once_one_volunteered(board: Board) -> None:
    assert board.standings.own(caller("ada")) == OwnStanding("", True, 0.0, 0.0)
    with board.store.transaction() as tx:
        tx.add_account("eve", "Eve", T0)
    assert board.standings.own(caller("eve")) is None


def test_a_choice_does_not_bring_back_an_old_key(board: Board) -> None:
    """Somebody makes another key after the choice's page was read."""
    with board.store.transaction() as tx:
        old = tx.boinc_user("ada")
        assert old is not None
        tx.save_boinc_user(replace(old, key_sha256="f" * 64, key_version=2))
    board.standings.choose(caller("ada"), old, "Owls", listed=False)
    with board.store.reading() as tx:
        now = tx.boinc_user("ada")
    assert now is not None
    assert (now.key_sha256, now.key_version, now.listed) == ("f" * 64, 2, False)


def test_a_workers_key_chooses_nothing(board: Board) -> None:
    with board.store.reading() as tx:
        user = tx.boinc_user("ada")
    assert user is not None
    carried = caller("ada", Scope.WORK, key_id="k-1")
    with pytest.raises(Refusal) as refused:
        board.standings.own(carried)
    assert refused.value.code is Code.FORBIDDEN
    with pytest.raises(Refusal) as refused:
        board.standings.choose(carried, user, "Owls", listed=True)
    assert refused.value.code is Code.FORBIDDEN


@pytest.mark.parametrize("name", ["x" * 201, "a\nb\x07", "a\x00b"])
def test_a_teams_name_is_one_line_of_words(board: Board, name: str) -> None:
    with pytest.raises(Refusal) as refused:
        board.choose("ada", name)
    assert refused.value.code is Code.BAD_REQUEST
    with board.store.reading() as tx:
        assert tx.team(1) is None


def test_averages_show_what_is_left_of_them(board: Board) -> None:
    board.earn("ada", 100.0)
    before = board.standings.own(caller("ada"))
    board.clock.advance(WEEK)
    after = board.standings.own(caller("ada"))
    assert before is not None
    assert after is not None
    assert after.average == pytest.approx(before.average / 2)
