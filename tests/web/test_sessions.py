"""Signed-in browsers: cookies, form tokens, waits after wrong guesses, ends of sessions, other sites kept out."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from argon2 import PasswordHasher

from fallow.clock import ManualClock
from fallow.control.accounts import Asked
from fallow.control.callers import Caller, Keys
from fallow.control.entrance import Browser, Entrance
from fallow.control.passwords import Passwords
from fallow.control.people import People, people_of
from fallow.control.sessions import form_token, is_form_token, session_id_of
from fallow.control.tries import Tries
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Scope
from fallow.protocols.rest.refusals import headers_of
from fallow.settings import Settings
from fallow.store.opening import open_store
from fallow.store.port import Store
from fallow.web.browsers import own_path
from fallow.wiring import start_embedded
from tests.web.conftest import House

RIGHT = "correct horse battery"
OPERATOR = Caller("k-op", "operators", frozenset(Scope))


def token_of(page: str) -> str:
    found = re.search(r'"X-CSRF-Token": "([\w-]+)"', page)
    assert found, "the page carries a token"
    return found[1]


def browser(house: House) -> httpx2.Client:
    return httpx2.Client(base_url=house.url)


@pytest.fixture
def person(house: House, admin: httpx2.Client) -> tuple[str, str]:
    """An account's id and address, with the password RIGHT."""
    name = f"person-{secrets.token_hex(4)}"
    email = f"{name}@example.org"
    made = admin.post("/api/accounts", json={"account_id": name, "name": "Ada L.", "email": email})
    assert made.status_code == 201, made.text
    link = admin.post(f"/api/accounts/{name}/password-link").json()["url"]
    with browser(house) as ada:
        form = {"token": link.partition("token=")[2], "password": RIGHT, "again": RIGHT}
        assert ada.post("/sign-in/password", data=form).status_code == 303
    return name, email


@contextmanager
def signed_in(house: House, email: str) -> Iterator[httpx2.Client]:
    with browser(house) as client:
        answer = client.post("/sign-in", data={"email": email, "password": RIGHT})
        assert answer.status_code == 303, answer.text
        yield client


def test_a_password_opens_the_pages_and_the_cookie_is_kept_from_scripts(house: House, person: tuple[str, str]) -> None:
    with browser(house) as ada:
        answer = ada.post("/sign-in", data={"email": person[1].upper(), "password": RIGHT, "next": "/jobs?state=live"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/jobs?state=live")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=lax" in cookie.lower()
        assert "Path=/" in cookie
        page = ada.get("/jobs")
        assert page.status_code == 200
        assert "Ada L." in page.text
        me = ada.get("/api/me").json()
        assert (me["account"]["account_id"], me["scopes"], me["key_id"]) == (person[0], ["submit"], None)


def test_a_key_opens_the_pages_with_the_keys_rights(house: House) -> None:
    with browser(house) as worker:
        assert worker.post("/sign-in", data={"key": house.key("work", account="wendy")}).status_code == 303
        assert worker.get("/api/me").json()["scopes"] == ["work"]
        token = token_of(worker.get("/jobs").text)
        asked = worker.post("/api/jobs", json={"input_uri": "file:///x"}, headers={"x-csrf-token": token})
        assert asked.status_code == 403


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"key": "flw_000000000000_00"},
        {"key": "\u00e9"},
        {"email": "nobody@example.org", "password": RIGHT},
        {"email": "a@b\r\nBcc: c@d", "password": RIGHT},
        {"email": "'; DROP TABLE account; --", "password": RIGHT},
        {"email": "x" * 2000, "password": "x" * 2000},
    ],
)
def test_what_is_wrong_opens_nothing_and_sets_no_session(house: House, form: dict[str, str]) -> None:
    with browser(house) as stranger:
        answer = stranger.post("/sign-in", data=form)
        assert answer.status_code == 401
        assert "fallow_session" not in answer.headers.get("set-cookie", "")
        assert stranger.get("/jobs").headers["location"].startswith("/sign-in?next=%2Fjobs")


def test_signing_in_again_begins_a_new_session_and_ends_the_old_one(house: House, person: tuple[str, str]) -> None:
    with signed_in(house, person[1]) as ada:
        before = ada.cookies["fallow_session"]
        assert ada.post("/sign-in", data={"email": person[1], "password": RIGHT}).status_code == 303
        assert ada.cookies["fallow_session"] != before
    assert httpx2.get(f"{house.url}/api/me", cookies={"fallow_session": before}).status_code == 401


def test_signing_out_ends_the_session_itself(house: House, person: tuple[str, str]) -> None:
    with signed_in(house, person[1]) as ada:
        cookie = ada.cookies["fallow_session"]
        token = token_of(ada.get("/jobs").text)
        assert ada.post("/sign-out", data={"csrf": token}).headers["location"] == "/sign-in"
        assert "fallow_session" not in ada.cookies
    assert httpx2.get(f"{house.url}/api/me", cookies={"fallow_session": cookie}).status_code == 401


def test_every_change_by_cookie_needs_a_token_of_this_session(house: House, person: tuple[str, str]) -> None:
    with signed_in(house, person[1]) as ada, signed_in(house, person[1]) as elsewhere:
        job = {"input_uri": house.input(), "command": ["cat"]}
        other = token_of(elsewhere.get("/jobs").text)
        ended = token_of(ada.get("/jobs").text)
        ada.post("/sign-in", data={"email": person[1], "password": RIGHT})
        for token in ("", "x", other, ended, other[:-4], "A" * 86, "\u00ff"):
            answer = ada.post("/api/jobs", json=job, headers=[(b"x-csrf-token", token.encode())])
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), token
            assert ada.post("/sign-out", data={"csrf": token}).status_code == 403
        first, second = token_of(ada.get("/jobs").text), token_of(ada.get("/jobs").text)
        assert first != second, "masked anew for each page"
        for token in (first, second, first):
            assert ada.post("/api/jobs", json=job, headers={"x-csrf-token": token}).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "file://"},
    ],
)
def test_another_sites_page_can_neither_act_nor_sign_somebody_in(
    house: House, person: tuple[str, str], headers: dict[str, str]
) -> None:
    with signed_in(house, person[1]) as ada:
        token = token_of(ada.get("/jobs").text)
        assert ada.post("/sign-out", data={"csrf": token}, headers=headers).status_code == 403
        assert ada.delete("/api/sessions", headers={"x-csrf-token": token, **headers}).status_code == 403
        assert ada.get("/api/me").status_code == 200
    with browser(house) as victim:
        assert victim.post("/sign-in", data={"email": person[1], "password": RIGHT}, headers=headers).status_code == 403
        assert "fallow_session" not in victim.cookies


def test_this_servers_own_pages_may(house: House, person: tuple[str, str]) -> None:
    with signed_in(house, person[1]) as ada:
        headers = {
            "x-csrf-token": token_of(ada.get("/jobs").text),
            "origin": house.url,
            "sec-fetch-site": "same-origin",
        }
        assert ada.delete("/api/sessions", headers=headers).status_code == 204
        headers["origin"] = "null"
        assert ada.delete("/api/sessions", headers=headers).status_code == 204


def test_a_key_needs_no_token_and_is_preferred_to_a_cookie(house: House, person: tuple[str, str]) -> None:
    with signed_in(house, person[1]) as ada:
        key = {"authorization": f"Bearer {house.key('submit', account='keyed')}"}
        assert ada.get("/api/me", headers=key).json()["account"]["account_id"] == "keyed"
        assert ada.post("/api/keys", json={"name": "k", "scopes": ["submit"]}, headers=key).status_code == 201
        assert ada.get("/api/me", headers={"authorization": "Bearer wrong"}).status_code == 401


def test_ones_own_sessions_are_listed_and_ended_and_nobody_elses(house: House, person: tuple[str, str]) -> None:
    with signed_in(house, person[1]) as here, signed_in(house, person[1]) as there, browser(house) as other:
        other.post("/sign-in", data={"key": house.key("submit", account="other")})
        theirs = other.get("/api/sessions").json()["sessions"][0]["session"]
        listed = here.get("/api/sessions").json()["sessions"]
        assert sorted(each["current"] for each in listed) == [False, True]
        assert not {theirs} & {each["session"] for each in listed}
        token = {"x-csrf-token": token_of(here.get("/jobs").text)}
        assert here.delete(f"/api/sessions/{theirs}", headers=token).status_code == 404
        [away] = [each["session"] for each in listed if not each["current"]]
        assert here.delete(f"/api/sessions/{away}", headers=token).status_code == 204
        assert there.get("/api/me").status_code == 401
        assert other.get("/api/me").status_code == 200


def test_disabling_an_account_shuts_its_sessions_and_keys_out_at_once(
    house: House, admin: httpx2.Client, person: tuple[str, str]
) -> None:
    key = house.key("submit", account=person[0])
    with signed_in(house, person[1]) as ada, house.client(key) as program:
        assert program.get("/api/me").status_code == ada.get("/api/me").status_code == 200
        assert admin.delete(f"/api/accounts/{person[0]}").status_code == 204
        assert program.get("/api/me").status_code == ada.get("/api/me").status_code == 401
        assert ada.post("/sign-in", data={"email": person[1], "password": RIGHT}).status_code == 401
        refused = admin.post("/api/keys", json={"name": "k", "scopes": ["submit"], "account_id": person[0]})
        assert refused.status_code == 409
        assert admin.patch(f"/api/accounts/{person[0]}", json={"disabled": False}).json()["disabled_at"] is None
        assert program.get("/api/me").status_code == 200


def test_a_revoked_key_ends_the_session_that_it_began(house: House, admin: httpx2.Client) -> None:
    made = admin.post("/api/keys", json={"name": "k", "scopes": ["submit"], "account_id": "rev"}).json()
    with browser(house) as rev:
        rev.post("/sign-in", data={"key": made["key"]})
        assert rev.get("/api/me").status_code == 200
        admin.delete(f"/api/keys/{made['key_id']}")
        assert rev.get("/api/me").status_code == 401
        assert rev.get("/jobs").headers["location"].startswith("/sign-in")


def test_changing_ones_password_needs_the_old_one_and_ends_other_sessions(
    house: House, person: tuple[str, str]
) -> None:
    with signed_in(house, person[1]) as here, signed_in(house, person[1]) as there:
        token = {"x-csrf-token": token_of(here.get("/jobs").text)}
        change = {"old": "not that one at all", "new": "another one entirely"}
        assert here.post("/api/me/password", json=change, headers=token).status_code == 403
        for weak in ("short", "a" * 20, person[1], "x" * 1025):
            refused = here.post("/api/me/password", json={"old": RIGHT, "new": weak}, headers=token)
            assert refused.status_code == 400, weak
            assert weak not in refused.text
        change = {"old": RIGHT, "new": "another one entirely"}
        assert here.post("/api/me/password", json=change, headers=token).status_code == 204
        assert here.get("/api/me").status_code == 200
        assert there.get("/api/me").status_code == 401
        again = {"email": person[1], "password": "another one entirely"}
        assert there.post("/sign-in", data=again).status_code == 303


def test_a_password_link_works_once(house: House, admin: httpx2.Client, person: tuple[str, str]) -> None:
    first, second = (
        admin.post(f"/api/accounts/{person[0]}/password-link").json()["url"].partition("token=")[2] for _ in range(2)
    )
    with browser(house) as ada:
        assert person[1] in ada.get("/sign-in/password", params={"token": first}).text
        form = {"token": first, "password": "quite another one", "again": "quite another"}
        assert ada.post("/sign-in/password", data=form).status_code == 400
        form["again"] = form["password"]
        assert ada.post("/sign-in/password", data=form).status_code == 303
        for token in (first, second, first[:-1], f"operators{first[len(person[0]) :]}", "x", "~~", "\u00e9~9~9"):
            assert ada.post("/sign-in/password", data={**form, "token": token}).status_code == 403, token
    assert admin.post("/api/accounts/nobody/password-link").status_code == 404
    assert admin.post("/api/accounts/operators/password-link").status_code == 409


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/job?job_id=a%20b", "/job?job_id=a%20b"),
        ("", "/jobs"),
        ("jobs", "/jobs"),
        ("//evil.example", "/jobs"),
        ("/\\evil.example", "/jobs"),
        ("/\t/evil.example", "/jobs"),
        ("/\r\nset-cookie: a=b", "/jobs"),
        ("https://evil.example/", "/jobs"),
        ("javascript:alert(1)", "/jobs"),
        ("/sign-in", "/jobs"),
        ("/sign-out", "/jobs"),
        ("/" + "a" * 3000, "/jobs"),
        ("/\u00e9", "/jobs"),
    ],
)
def test_a_sign_in_leads_to_this_server_only(text: str, path: str) -> None:
    assert own_path(text) == path


def test_under_https_the_cookie_is_secure_and_of_this_host_alone(tmp_path: Path) -> None:
    server = start_embedded(Settings(data_dir=tmp_path))
    try:
        object.__setattr__(server.system.door.settings, "public_url", "https://fallow.example")
        answer = httpx2.post(f"{server.url}/sign-in", data={"key": server.admin_key})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-fallow_session=")
        assert "Secure" in cookie
        assert "Domain" not in cookie
    finally:
        server.stop()


@dataclass
class Hall:
    """The entrance by itself, with a clock that is moved and cheap hashes."""

    store: Store
    clock: ManualClock
    people: People
    entrance: Entrance

    def enter(self, password: str, email: str = "ada@example.org", address: str = "192.0.2.1") -> str:
        return self.entrance.with_password(email, password, Browser(address, "test"))

    def waits(self, password: str, **more: str) -> int:
        """The seconds to wait, 0 for a plain refusal; fails when it opens."""
        with pytest.raises(Refusal) as caught:
            self.enter(password, **more)
        if caught.value.code is Code.UNAUTHENTICATED:
            return 0
        assert caught.value.code is Code.TOO_MANY
        return int(str(caught.value.details["retry_seconds"]))


@pytest.fixture
def hall() -> Iterator[Hall]:
    store, clock = open_store("sqlite::memory:"), ManualClock()
    store.migrate()
    settings = Settings(session_idle_seconds=3600, session_seconds=10_000)
    keys = Keys(store, clock)
    people = people_of(store, clock, keys, settings, b"secret")
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    entrance = Entrance(store, clock, keys, cheap, people.sessions, Tries(store, clock), settings, people.boinc_users)
    ada = people.accounts.create(OPERATOR, Asked(name="Ada", email="ada@example.org"), "ada")
    with store.transaction() as tx:
        tx.set_password(ada.account_id, cheap.hash(RIGHT))
    yield Hall(store, clock, people, entrance)
    store.close()


def test_wrong_guesses_wait_longer_and_longer_but_never_for_ever(hall: Hall) -> None:
    assert [hall.waits("wrong") for _ in range(5)] == [0] * 5
    assert hall.waits(RIGHT) == 1, "the right one is refused too while it waits"
    waited = []
    for _ in range(14):
        seconds = hall.waits("wrong")
        waited.append(seconds)
        hall.clock.advance(seconds)
        assert hall.waits("wrong") == 0
    assert waited == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]
    hall.clock.advance(900)
    assert hall.enter(RIGHT)
    elsewhere = [hall.waits("wrong", address="198.51.100.7") for _ in range(5)]
    assert elsewhere == [0] * 5, "the account is forgiven"


def test_one_network_address_cannot_guess_at_many_accounts(hall: Hall) -> None:
    waits = [hall.waits("wrong", email=f"user{n}@example.org") for n in range(25)]
    assert waits[:20] == [0] * 20
    assert min(waits[20:]) > 0
    assert hall.waits(RIGHT) > 0
    assert hall.enter(RIGHT, address="198.51.100.7"), "others are let in"


def test_a_stolen_session_cannot_guess_the_password_either(hall: Hall) -> None:
    ada = hall.people.sessions.open(hall.enter(RIGHT)).caller
    codes = []
    for _ in range(6):
        with pytest.raises(Refusal) as caught:
            hall.people.accounts.change_password(ada, "not that one at all", "another one entirely")
        codes.append(caught.value.code)
    assert codes == [Code.FORBIDDEN] * 5 + [Code.TOO_MANY]
    assert headers_of(caught.value) == {"retry-after": "1"}
    hall.clock.advance(1)
    hall.people.accounts.change_password(ada, RIGHT, "another one entirely")
    assert hall.enter("another one entirely")


def test_failures_are_forgotten_after_a_day(hall: Hall) -> None:
    hall.waits("wrong", email="somebody@example.org")
    hall.clock.advance(2 * 86400)
    hall.enter(RIGHT)
    with hall.store.reading() as tx:
        assert tx.signin_failure("email somebody@example.org") is None


def test_sessions_end_when_nobody_uses_them_and_after_a_while_anyway(hall: Hall) -> None:
    idle = hall.enter(RIGHT)
    hall.clock.advance(3601)
    with pytest.raises(Refusal):
        hall.people.sessions.open(idle)
    busy = hall.enter(RIGHT)
    for _ in range(3):
        hall.clock.advance(3000)
        assert hall.people.sessions.open(busy).caller.by == "account ada"
    hall.clock.advance(1001)
    with pytest.raises(Refusal):
        hall.people.sessions.open(busy)


def test_an_account_has_a_hundred_sessions_at_most(hall: Hall) -> None:
    first = hall.enter(RIGHT)
    for _ in range(100):
        hall.clock.advance(0.001)
        last = hall.enter(RIGHT)
    caller = hall.people.sessions.open(last).caller
    assert len(hall.people.sessions.listed(caller)) == 100
    with pytest.raises(Refusal):
        hall.people.sessions.open(first)


def test_rows_hold_no_cookie_and_tokens_belong_to_one_session(hall: Hall) -> None:
    one, other = hall.enter(RIGHT), hall.enter(RIGHT)
    rows = [hall.people.sessions.open(cookie).session for cookie in (one, other)]
    assert rows[0].session_id == session_id_of(one)
    assert one not in repr(rows)
    token = form_token(rows[0])
    assert is_form_token(rows[0], token)
    assert not is_form_token(rows[1], token)
    assert re.fullmatch(r"[\w-]{86}", token)


def test_an_old_hash_is_made_anew_at_sign_in(hall: Hall) -> None:
    with hall.store.transaction() as tx:
        tx.set_password("ada", PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(RIGHT))
    hall.enter(RIGHT)
    with hall.store.reading() as tx:
        row = tx.account("ada")
    assert row is not None
    assert row.password is not None
    assert "m=8,t=1,p=1" in row.password
