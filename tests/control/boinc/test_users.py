"""BOINC keys on both databases: who comes by which, what each may do, and what a stranger finds out."""

import hashlib
from dataclasses import dataclass, replace

import pytest
from argon2 import PasswordHasher

from fallow.clock import ManualClock
from fallow.control.accounts import Accounts, Asked
from fallow.control.boinc.sign_up import BoincAccounts
from fallow.control.boinc.users import BoincUsers, passwd_hash_of
from fallow.control.boinc.worker_keys import WorkerKeys
from fallow.control.callers import Caller, Keys
from fallow.control.entrance import Browser, Entrance
from fallow.control.passwords import Passwords
from fallow.control.sessions import Sessions
from fallow.control.tries import Tries
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Scope
from fallow.settings import Settings
from fallow.store.port import Store, SubmitRight
from tests.store.conftest import store, store_url  # noqa: F401  fixtures

OPERATOR = Caller("k-op", "operators", frozenset(Scope))
RIGHT = "correct horse battery"
HERE = "192.0.2.1"


@dataclass(frozen=True)
class Hall:
    store: Store
    clock: ManualClock
    users: BoincUsers
    found: BoincAccounts
    keys: WorkerKeys
    accounts: Accounts
    entrance: Entrance

    def account(self, name: str, *scopes: Scope, email: str | None = None) -> Caller:
        """An account and its owner, in a browser."""
        asked = Asked(name=name, email=email, scopes=frozenset(scopes or {Scope.SUBMIT}))
        row = self.accounts.create(OPERATOR, asked, name)
        return Caller("", row.account_id, row.scopes, row.name, "session")

    def choose_password(self, account_id: str, password: str) -> None:
        token = self.accounts.password_link(OPERATOR, account_id).url.partition("token=")[2]
        self.accounts.use_link(token, password)


@pytest.fixture
def hall(store: Store) -> Hall:  # noqa: F811
    return hall_over(store, sign_up=True)


@pytest.fixture
def closed(store: Store) -> Hall:  # noqa: F811
    """Where strangers make no accounts."""
    return hall_over(store, sign_up=False)


def hall_over(rows: Store, sign_up: bool) -> Hall:
    clock, settings = ManualClock(), Settings(boinc_sign_up=sign_up)
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    tries, sessions = Tries(rows, clock), Sessions(rows, clock, settings)
    users = BoincUsers(rows, clock, passwords, b"secret")
    entrance = Entrance(rows, clock, Keys(rows, clock), passwords, sessions, tries, settings, users)
    return Hall(
        rows,
        clock,
        users,
        BoincAccounts(rows, clock, users, passwords, tries, settings),
        WorkerKeys(rows, clock, users),
        Accounts(rows, clock, passwords, tries, b"secret", "http://here", users),
        entrance,
    )


def refused(code: Code) -> pytest.RaisesExc[Refusal]:
    return pytest.RaisesExc(Refusal, check=lambda refusal: refusal.code is code)


def unknown() -> pytest.RaisesExc[Refusal]:
    return refused(Code.UNAUTHENTICATED)


# the account's key


def test_the_key_names_its_account_and_is_in_no_row(hall: Hall) -> None:
    ada = hall.account("ada")
    key = hall.users.authenticator_of("ada")
    assert key == hall.users.shown(ada)
    assert len(key) == 32
    assert set(key) <= set("0123456789abcdef")
    who = hall.users.identify(key)
    assert (who.caller.account_id, who.name, who.is_weak, who.key_id) == ("ada", "ada", False, None)
    with hall.store.reading() as tx:
        row = tx.boinc_user("ada")
    assert row is not None
    assert key not in repr(row)
    assert row.key_sha256 == hashlib.sha256(key.encode()).hexdigest()


def test_two_accounts_and_two_installations_have_other_keys(hall: Hall) -> None:
    hall.account("ada"), hall.account("grace")
    keys = {hall.users.authenticator_of("ada"), hall.users.authenticator_of("grace")}
    elsewhere = BoincUsers(hall.store, hall.clock, Passwords(), b"another secret")
    assert len(keys | {elsewhere.authenticator_of("ada")}) == 3


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        ({Scope.SUBMIT}, {Scope.SUBMIT, Scope.WORK}),
        ({Scope.WORK}, {Scope.WORK}),
        ({Scope.OPERATE}, {Scope.SUBMIT, Scope.WORK}),
        (set(Scope), {Scope.SUBMIT, Scope.WORK}),
    ],
)
def test_a_key_submits_if_its_account_may_and_never_operates(hall: Hall, scopes: set[Scope], may: set[Scope]) -> None:
    hall.account("ada", *scopes)
    caller = hall.users.identify(hall.users.authenticator_of("ada")).caller
    assert caller.scopes == may
    assert not caller.sees_all
    assert caller.by.startswith("key boinc-")


def test_a_renewed_key_is_another_and_the_old_one_is_dead(hall: Hall) -> None:
    ada = hall.account("ada")
    old = hall.users.shown(ada)
    weak = hall.users.weak_key_of(hall.users.identify(old).user)
    new = hall.users.renew(ada)
    assert new == hall.users.shown(ada) != old
    assert hall.users.identify(new).caller.account_id == "ada"
    for dead in (old, weak):
        with unknown():
            hall.users.identify(dead)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "0" * 32,
        "0" * 31,
        "g" * 32,
        "_",
        "1_",
        "1_" + "0" * 32,
        "0_" + "0" * 32,
        "999999999999999_" + "0" * 32,
        "9" * 5000 + "_" + "0" * 32,
        "-1_" + "0" * 32,
        "\u0661_" + "0" * 32,
        "\ud800" * 32,
        "x" * 100_000,
        "' OR 1=1 --",
    ],
)
def test_what_is_no_key_of_anybody_opens_nothing(hall: Hall, key: str) -> None:
    hall.users.authenticator_of(hall.account("ada").account_id)
    with unknown():
        hall.users.identify(key)


def test_a_key_with_something_behind_it_opens_nothing(hall: Hall) -> None:
    key = hall.users.shown(hall.account("ada"))
    for wrong in (key + "\n", key.upper(), " " + key, key + "0"):
        if wrong != key:
            with unknown():
                hall.users.identify(wrong)


def test_no_key_of_a_disabled_account_opens_anything(hall: Hall) -> None:
    ada = hall.account("ada")
    key, own = hall.users.shown(ada), hall.keys.create(ada, "laptop")[1]
    weak = hall.users.weak_key_of(hall.users.identify(key).user)
    hall.accounts.change(OPERATOR, "ada", Asked(disabled=True))
    for each in (key, weak, own):
        with unknown():
            hall.users.identify(each)
    for ask in (hall.users.shown, hall.users.renew):
        with refused(Code.STATE_CONFLICT):
            ask(OPERATOR, "ada")


def test_only_its_owner_and_operators_are_shown_a_key(hall: Hall) -> None:
    ada, grace = hall.account("ada"), hall.account("grace")
    assert hall.users.shown(OPERATOR, "ada") == hall.users.shown(ada)
    for ask in (hall.users.shown, hall.users.renew, hall.keys.listed):
        with refused(Code.NOT_FOUND):
            ask(grace, "ada")
        with refused(Code.NOT_FOUND):
            ask(OPERATOR, "nobody")
    worker = Caller("k-1", "ada", frozenset({Scope.WORK}))
    for ask in (hall.users.shown, hall.users.renew, hall.keys.listed):
        with refused(Code.FORBIDDEN):
            ask(worker)
    with refused(Code.NOT_FOUND):
        hall.users.authenticator_of("nobody")


# weak keys


def test_a_weak_key_only_computes(hall: Hall) -> None:
    ada = hall.account("ada", *Scope)
    strong = hall.users.identify(hall.users.shown(ada))
    weak = hall.users.identify(hall.users.weak_key_of(strong.user))
    assert (weak.caller.account_id, weak.is_weak, weak.user) == ("ada", True, strong.user)
    assert weak.caller.scopes == {Scope.WORK}
    with refused(Code.FORBIDDEN):
        weak.caller.needs(Scope.SUBMIT, Scope.OPERATE)
    with refused(Code.FORBIDDEN):
        hall.users.shown(weak.caller)  # it cannot be turned into the strong one
    with refused(Code.FORBIDDEN):
        hall.keys.create(weak.caller, "laptop")


def test_a_weak_key_under_another_number_opens_nothing(hall: Hall) -> None:
    ada, grace = hall.account("ada"), hall.account("grace")
    first = hall.users.identify(hall.users.shown(ada)).user
    second = hall.users.identify(hall.users.shown(grace)).user
    digest = hall.users.weak_key_of(first).partition("_")[2]
    with unknown():
        hall.users.identify(f"{second.user_id}_{digest}")


def test_a_weak_key_ends_with_the_password(hall: Hall) -> None:
    ada = hall.account("ada", email="ada@example.org")
    hall.choose_password("ada", RIGHT)
    weak = hall.users.weak_key_of(hall.users.identify(hall.users.shown(ada)).user)
    assert hall.users.identify(weak).is_weak
    hall.choose_password("ada", RIGHT + " and another")
    with unknown():
        hall.users.identify(weak)


# machines' own keys


def test_a_machines_key_is_its_first_users(hall: Hall) -> None:
    ada = hall.account("ada", *Scope)
    row, key = hall.keys.create(ada, "laptop")
    who = hall.users.identify(key)
    assert (who.caller.account_id, who.key_id, who.host_id, who.is_weak) == ("ada", row.key_id, None, True)
    assert who.caller.scopes == {Scope.WORK}
    who.check_host(7)
    hall.users.bind(row.key_id, 7)
    hall.users.bind(row.key_id, 7)
    bound = hall.users.identify(key)
    assert bound.host_id == 7
    bound.check_host(7)
    with refused(Code.FORBIDDEN):
        bound.check_host(8)
    with refused(Code.FORBIDDEN):
        hall.users.bind(row.key_id, 8)
    assert hall.users.identify(key).host_id == 7


def test_machines_keys_are_shown_once_listed_and_revoked(hall: Hall) -> None:
    ada, grace = hall.account("ada"), hall.account("grace")
    row, key = hall.keys.create(ada, "laptop")
    hall.clock.advance(1)
    other, still_good = hall.keys.create(OPERATOR, "desk", "ada")
    assert [each.name for each in hall.keys.listed(ada)] == ["laptop", "desk"]
    assert key not in repr(hall.keys.listed(ada))
    assert hall.keys.listed(grace) == []
    with refused(Code.NOT_FOUND):
        hall.keys.revoke(grace, row.key_id)
    assert hall.users.identify(key).key_id == row.key_id
    hall.keys.revoke(ada, row.key_id)
    with unknown():
        hall.users.identify(key)
    with refused(Code.NOT_FOUND):
        hall.keys.revoke(ada, row.key_id)
    assert [each.key_id for each in hall.keys.listed(ada)] == [other.key_id]
    hall.users.renew(ada)
    assert hall.users.identify(still_good).caller.account_id == "ada"  # it lives on


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 300])
def test_a_machines_key_has_a_name_of_one_line(hall: Hall, name: str) -> None:
    with refused(Code.BAD_REQUEST):
        hall.keys.create(hall.account("ada"), name)


def test_there_is_an_end_to_machines_keys(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallow.control.boinc.worker_keys._KEYS_MAX", 3)
    ada = hall.account("ada")
    rows = [hall.keys.create(ada, f"machine {number}")[0] for number in range(3)]
    with refused(Code.TOO_MANY):
        hall.keys.create(ada, "one more")
    hall.keys.revoke(ada, rows[0].key_id)
    assert hall.keys.create(ada, "one more")[0].name == "one more"


# accounts looked up


def test_an_account_is_found_by_the_password_it_signs_in_with(hall: Hall) -> None:
    ada = hall.account("ada", email="Ada@Example.org")
    hall.choose_password("ada", RIGHT)
    hashed = passwd_hash_of(RIGHT, "ada@example.org")
    assert hashed == hashlib.md5(f"{RIGHT}ada@example.org".encode()).hexdigest()
    assert hall.found.look_up("ADA@example.org ", hashed, HERE) == hall.users.shown(ada)
    with unknown():
        hall.found.look_up("ada@example.org", passwd_hash_of("wrong", "ada@example.org"), HERE)
    hall.choose_password("ada", RIGHT + "!")
    with unknown():
        hall.found.look_up("ada@example.org", hashed, HERE)


def test_a_password_from_before_is_known_to_boinc_after_the_next_sign_in(hall: Hall) -> None:
    hall.account("ada", email="ada@example.org")
    hall.choose_password("ada", RIGHT)
    with hall.store.transaction() as tx:
        user = tx.boinc_user("ada")
        assert user is not None
        tx.save_boinc_user(replace(user, password=None))
    hashed = passwd_hash_of(RIGHT, "ada@example.org")
    with unknown():
        hall.found.look_up("ada@example.org", hashed, HERE)
    assert hall.entrance.with_password("ada@example.org", RIGHT, Browser(HERE, "b"))
    assert hall.found.look_up("ada@example.org", hashed, HERE)


def test_another_address_needs_another_sign_in(hall: Hall) -> None:
    hall.account("ada", email="ada@example.org")
    hall.choose_password("ada", RIGHT)
    hall.accounts.change(OPERATOR, "ada", Asked(email="ada@new.example"))
    with unknown():
        hall.found.look_up("ada@new.example", passwd_hash_of(RIGHT, "ada@new.example"), HERE)
    with refused(Code.NOT_FOUND):
        hall.found.look_up("ada@example.org", passwd_hash_of(RIGHT, "ada@example.org"), HERE)
    hall.entrance.with_password("ada@new.example", RIGHT, Browser(HERE, "b"))
    assert hall.found.look_up("ada@new.example", passwd_hash_of(RIGHT, "ada@new.example"), HERE)


def test_who_has_an_account_is_not_told_where_nobody_can_make_one(closed: Hall) -> None:
    closed.account("ada", email="ada@example.org")
    closed.choose_password("ada", RIGHT)
    told = set()
    for email in ("ada@example.org", "nobody@example.org"):
        with pytest.raises(Refusal) as caught:
            closed.found.look_up(email, "0" * 32, HERE)
        told.add((caught.value.code, caught.value.message))
        with unknown():
            closed.found.exists(email, HERE)
    assert len(told) == 1
    with refused(Code.FORBIDDEN):
        closed.found.create("new@example.org", "0" * 32, "New", "", HERE)


def test_a_disabled_account_is_not_found_by_its_password(hall: Hall) -> None:
    hall.account("ada", email="ada@example.org")
    hall.choose_password("ada", RIGHT)
    hall.accounts.change(OPERATOR, "ada", Asked(disabled=True))
    with unknown():
        hall.found.look_up("ada@example.org", passwd_hash_of(RIGHT, "ada@example.org"), HERE)
    with refused(Code.ALREADY_EXISTS):
        hall.found.create("ada@example.org", passwd_hash_of(RIGHT, "ada@example.org"), "Ada", "", HERE)


def test_ten_thousand_guesses_are_blocked(hall: Hall) -> None:
    hall.account("ada", email="ada@example.org")
    hall.choose_password("ada", RIGHT)
    looked_at = 0
    for number in range(10_000):
        with pytest.raises(Refusal) as caught:
            hall.found.look_up("ada@example.org", f"{number:032x}", HERE)
        looked_at += caught.value.code is Code.UNAUTHENTICATED
    assert looked_at == 5  # then each next one waits twice as long
    with refused(Code.TOO_MANY):
        hall.found.look_up("ada@example.org", passwd_hash_of(RIGHT, "ada@example.org"), HERE)
    hall.clock.advance(3600)
    assert hall.found.look_up("ada@example.org", passwd_hash_of(RIGHT, "ada@example.org"), HERE)


def test_guessing_at_boincs_door_blocks_the_pages_too(hall: Hall) -> None:
    hall.account("ada", email="ada@example.org")
    hall.choose_password("ada", RIGHT)
    for number in range(7):
        with pytest.raises(Refusal):
            hall.found.look_up("ada@example.org", f"{number:032x}", HERE)
    with refused(Code.TOO_MANY):
        hall.entrance.with_password("ada@example.org", RIGHT, Browser("198.51.100.9", "b"))


def test_an_address_that_asks_for_many_is_blocked(hall: Hall) -> None:
    codes = []
    for number in range(40):
        with pytest.raises(Refusal) as caught:
            hall.found.look_up(f"person{number}@example.org", "0" * 32, HERE)
        codes.append(caught.value.code)
    assert codes.count(Code.NOT_FOUND) == 20
    assert codes[-1] is Code.TOO_MANY


# accounts made


@pytest.fixture
def made(hall: Hall) -> str:
    return hall.found.create("Bob@Example.org", passwd_hash_of(RIGHT, "bob@example.org"), "Bob B.", "", HERE)


def test_an_account_made_by_a_client_only_computes(hall: Hall, made: str) -> None:
    who = hall.users.identify(made)
    assert (who.account.name, who.account.email) == ("Bob B.", "bob@example.org")
    assert who.account.scopes == {Scope.WORK}
    assert who.account.submit_right is SubmitRight.NONE
    assert who.caller.scopes == {Scope.WORK}
    assert who.account.email_confirmed_at is None


def test_it_is_found_made_again_and_kept_from_others(hall: Hall, made: str) -> None:
    hashed = passwd_hash_of(RIGHT, "bob@example.org")
    assert hall.found.look_up("bob@example.org", hashed, HERE) == made
    assert hall.found.create("bob@example.org", hashed, "Bob again", "", HERE) == made
    assert hall.found.exists("bob@example.org", HERE)
    assert not hall.found.exists("nobody@example.org", HERE)
    with refused(Code.ALREADY_EXISTS):
        hall.found.create("bob@example.org", "0" * 32, "Mallory", "", HERE)


def test_it_signs_in_on_the_pages_with_that_password(hall: Hall, made: str) -> None:
    with unknown():
        hall.entrance.with_password("bob@example.org", "wrong password", Browser(HERE, "b"))
    assert hall.entrance.with_password("Bob@example.org", RIGHT, Browser(HERE, "b"))
    with hall.store.reading() as tx:
        account = tx.account_by_email("bob@example.org")
    assert account is not None
    assert account.password is not None  # from now on as any account's
    assert hall.entrance.with_password("bob@example.org", RIGHT, Browser(HERE, "b"))
    assert hall.users.identify(made).account.account_id == account.account_id


def test_two_people_of_one_name_have_two_accounts(hall: Hall, made: str) -> None:
    other = hall.found.create("bob@example.net", "1" * 32, "Bob B.", "", HERE)
    assert hall.users.identify(other).account.account_id != hall.users.identify(made).account.account_id


def test_the_team_is_joined_if_there_is_one(hall: Hall) -> None:
    founder = hall.account("ada")
    with hall.store.transaction() as tx:
        team = tx.add_team("The  Idlers", "the idlers", founder.account_id, hall.clock.now())
    assert team is not None
    first = hall.users.identify(hall.found.create("a@example.org", "1" * 32, "A", " the IDLERS", HERE))
    second = hall.users.identify(hall.found.create("b@example.org", "1" * 32, "B", "No such team", HERE))
    assert (first.user.team_id, second.user.team_id) == (team.team_id, None)


@pytest.mark.parametrize(
    ("email", "hashed", "name", "field"),
    [
        ("none", "0" * 32, "Name", "email"),
        ("a@b.example\r\nBcc: c@d.example", "0" * 32, "Name", "email"),
        ("a@b.example", "0" * 32, "", "name"),
        ("a@b.example", "0" * 32, "two\nlines", "name"),
        ("a@b.example", "0" * 32, "x" * 300, "name"),
        ("a@b.example", "0" * 31, "Name", None),
        ("a@b.example", "Z" * 32, "Name", None),
        ("a@b.example", "0" * 100_000, "Name", None),
    ],
)
def test_what_cannot_be_an_account_is_none(hall: Hall, email: str, hashed: str, name: str, field: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        hall.found.create(email, hashed, name, "", HERE)
    assert (caught.value.code, caught.value.details.get("field")) == (Code.BAD_REQUEST, field)


def test_an_address_cannot_make_accounts_without_end(hall: Hall) -> None:
    made = 0
    with refused(Code.TOO_MANY):
        for number in range(100):
            hall.found.create(f"p{number}@example.org", "1" * 32, f"P {number}", "", HERE)
            made += 1
    assert made == 20
