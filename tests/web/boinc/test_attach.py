"""Joining with BOINC: recorded exchanges of a real client replayed, people's calls, and everything that is refused."""

import io
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from fallow.control.boinc.users import passwd_hash_of
from fallow.settings import Settings
from fallow.wiring import EmbeddedServer, start_embedded
from fallow.wiring.logs import configure_logs
from tests.web.conftest import House
from tests.web.raw import Wire

RECORDED = Path(__file__).parent / "recorded"
KEY = re.compile(rb"(?<=<authenticator>)[0-9a-f]{32}(?=</authenticator>)")
RIGHT = "correct horse battery"


@pytest.fixture(scope="module")
def open_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """Where strangers make accounts from their clients."""
    data = tmp_path_factory.mktemp("open-house")
    server = start_embedded(Settings(data_dir=data, boinc_sign_up=True, boinc_name="Idle & Co."))
    yield server
    server.stop()


@pytest.fixture
def door(open_house: EmbeddedServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"{open_house.url}/boinc/") as client:
        yield client


@pytest.fixture
def operator(open_house: EmbeddedServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=open_house.url, headers={"authorization": f"Bearer {open_house.admin_key}"}) as client:
        yield client


def replayed(server: EmbeddedServer, name: str) -> tuple[bytes, bytes]:
    """(our body, the recorded one). Only the address in the request's first line is another."""
    request = (RECORDED / f"{name}.request").read_bytes().replace(b"/live/", b"/boinc/", 1)
    with Wire(server.url) as wire:
        wire.send(request)
        answer = wire.answer()
    assert answer.status == 200
    assert answer.header("content-type") == "text/xml; charset=utf-8"
    recorded = (RECORDED / f"{name}.response").read_bytes().partition(b"\r\n\r\n")[2]
    return answer.body, recorded


def error(answer: httpx2.Response) -> int:
    assert answer.status_code == 200
    found = re.search(r"<error>\s*<error_num>(-\d+)</error_num>\s*<error_msg>[^<]+</error_msg>\s*</error>", answer.text)
    assert found, answer.text
    return int(found[1])


def key_in(answer: httpx2.Response) -> str:
    found = KEY.search(answer.content)
    assert found, answer.text
    return found[0].decode()


def stranger() -> dict[str, str]:
    """What a client sends to make an account."""
    email = f"{secrets.token_hex(6)}@example.org"
    return {"email_addr": email, "passwd_hash": passwd_hash_of(RIGHT, email), "user_name": "Somebody"}


# as recorded


def test_accounts_are_made_and_found_as_recorded(open_house: EmbeddedServer) -> None:
    keys = {}
    for name in ("a_000.create_account", "a_001.lookup_account", "b_007.lookup_account", "b_011.create_account"):
        ours, theirs = replayed(open_house, name)
        keys[name] = KEY.findall(ours)
        assert len(keys[name]) == 1
        assert KEY.sub(b"KEY", ours) == KEY.sub(b"KEY", theirs)
    assert keys["a_000.create_account"] == keys["a_001.lookup_account"] == keys["b_007.lookup_account"]
    assert keys["a_000.create_account"] != keys["b_011.create_account"]
    ours, theirs = replayed(open_house, "b_008.lookup_account")
    assert ours == theirs  # the wrong password


def test_the_project_is_described_as_recorded(open_house: EmbeddedServer) -> None:
    ours, theirs = (
        re.findall(rb"<(/?\w+)>([^<\s][^<]*)?", each) for each in replayed(open_house, "b_006.get_project_config")
    )
    assert [tag for tag, _ in ours[: ours.index((b"/platform", b""))]] == [
        tag for tag, _ in theirs[: theirs.index((b"/platform", b""))]
    ]
    said = dict(ours)
    assert said[b"name"] == b"Idle &amp; Co."
    assert said[b"master_url"] == said[b"web_rpc_url_base"] == f"{open_house.url}/boinc/".encode()
    assert said[b"min_passwd_length"] == b"12"
    assert (b"platform_name", b"aarch64-unknown-linux-gnu") in ours


def test_a_client_finds_the_scheduler_on_the_master_page(open_house: EmbeddedServer, door: httpx2.Client) -> None:
    """As clients look: line by line, 255 bytes of each."""
    page = door.get("")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    lines = [line[:255] for line in page.content.splitlines()]
    url = f"{open_house.url}/boinc/cgi".encode()
    assert sum(b"<scheduler>" + url + b"</scheduler>" in line for line in lines) == 1
    assert sum(b'<link rel="boinc_scheduler" href="' + url + b'">' in line for line in lines) == 1
    assert "Idle &amp; Co." in page.text
    assert door.head("").status_code == 200
    assert httpx2.get(f"{open_house.url}/boinc").headers["location"] == "/boinc/"


def test_another_host_name_is_told_the_configured_address(open_house: EmbeddedServer, door: httpx2.Client) -> None:
    for path in ("", "get_project_config.php"):
        answer = door.get(path, headers={"host": "evil.example"})
        assert "evil.example" not in answer.text
        assert f"{open_house.url}/boinc/" in answer.text


# accounts


def test_fields_of_a_form_are_as_good_as_a_query(door: httpx2.Client) -> None:
    said = stranger()
    made = key_in(door.post("create_account.php", data=said))
    assert key_in(door.post("lookup_account.php", data=said)) == made
    for kind in ("text/xml", "application/octet-stream"):
        body = httpx2.QueryParams(said).__str__()
        answer = door.post("lookup_account.php", content=body, headers={"content-type": kind})
        assert key_in(answer) == made
    assert key_in(door.get("lookup_account.php", params={**said, "get_opaque_auth": "1", "ldap_auth": "1"})) == made


def test_without_a_password_the_address_is_looked_up(door: httpx2.Client) -> None:
    said = stranger()
    door.get("create_account.php", params=said)
    answer = door.get("lookup_account.php", params={"email_addr": said["email_addr"]})
    assert answer.text.endswith("<account_out>\n    <success/>\n</account_out>\n")
    assert error(door.get("lookup_account.php", params={"email_addr": "nobody@example.org"})) == -136


@pytest.mark.parametrize(
    ("path", "changes", "number"),
    [
        ("lookup_account.php", {"email_addr": "nobody-here@example.org"}, -136),
        ("lookup_account.php", {"email_addr": "no address"}, -205),
        ("lookup_account.php", {"email_addr": ""}, -205),
        ("create_account.php", {"email_addr": "a@b\r\n.example"}, -205),
        ("create_account.php", {"email_addr": "x" * 5000 + "@b.example"}, -205),
        ("create_account.php", {"user_name": ""}, -188),
        ("create_account.php", {"user_name": "two\nlines"}, -188),
        ("create_account.php", {"user_name": "x" * 201}, -188),
        ("create_account.php", {"user_name": "nul\0"}, -188),
        ("create_account.php", {"passwd_hash": "short"}, -1),
        ("create_account.php", {"passwd_hash": ""}, -1),
        ("am_get_info.php", {}, -136),
        ("am_get_info.php", {"account_key": "0" * 32}, -136),
        ("login_token_lookup.php", {"user_id": "1", "token": "abc"}, -136),
    ],
)
def test_what_cannot_be_has_boincs_number(door: httpx2.Client, path: str, changes: dict[str, str], number: int) -> None:
    assert error(door.get(path, params={**stranger(), **changes})) == number


def test_a_taken_address_is_told(door: httpx2.Client) -> None:
    said = stranger()
    door.get("create_account.php", params=said)
    assert error(door.get("create_account.php", params={**said, "passwd_hash": "0" * 32})) == -137
    assert error(door.get("lookup_account.php", params={**said, "passwd_hash": "0" * 32})) == -206


def test_a_name_in_any_script_comes_back_whole(door: httpx2.Client, operator: httpx2.Client) -> None:
    said = {**stranger(), "user_name": "Żółć <b>&amp; 名"}
    key = key_in(door.get("create_account.php", params=said))
    [made] = [
        each
        for each in operator.get("/api/accounts?limit=1000").json()["accounts"]
        if each["email"] == said["email_addr"]
    ]
    assert made["name"] == "Żółć <b>&amp; 名"
    assert (made["scopes"], made["submit_right"]) == (["work"], "none")
    assert operator.get("/api/boinc/key", params={"account_id": made["account_id"]}).json()["key"] == key
    info = door.get("am_get_info.php", params={"account_key": key})
    assert "<name>%C5%BB%C3%B3%C5%82%C4%87+%3Cb%3E%26amp%3B+%E5%90%8D</name>" in info.text


def test_guesses_are_blocked_and_the_client_is_told_to_come_later(tmp_path: Path) -> None:
    server = start_embedded(Settings(data_dir=tmp_path, boinc_sign_up=True))
    try:
        with httpx2.Client(base_url=f"{server.url}/boinc/") as door:
            said = stranger()
            door.get("create_account.php", params=said)
            numbers = [
                error(door.get("lookup_account.php", params={**said, "passwd_hash": f"{guess:032x}"}))
                for guess in range(40)
            ]
            assert set(numbers[:4]) == {-206}
            assert numbers[-1] == -183
            assert error(door.get("lookup_account.php", params=said)) == -183
    finally:
        server.stop()


def test_too_much_is_refused(door: httpx2.Client) -> None:
    assert error(door.post("lookup_account.php", content=b"x" * 20_000)) == -1
    assert error(door.get("lookup_account.php?" + "a=1&" * 100)) == -1
    assert door.put("lookup_account.php").status_code == 405
    for path in ("../api/keys", "%2e%2e/api/keys", "nothing.php", "lookup_account.php/x", "lookup_account.php%00"):
        assert door.get(path).status_code in (400, 401, 404)


@pytest.mark.parametrize(
    "query", ["%", "%zz", "email_addr=%ff%fe&passwd_hash=%00", "=&=&&&", "email_addr", "%7f%00", "ü"]
)
def test_nonsense_has_an_answer(door: httpx2.Client, query: str) -> None:
    for path in ("lookup_account.php", "create_account.php", "am_get_info.php", "login_token_lookup.php"):
        assert error(door.get(f"{path}?{query}")) in (-1, -136, -188, -205)
        assert error(door.post(path, content=query.encode())) in (-1, -136, -188, -205)


# where nobody may sign up


def test_a_closed_door_makes_no_accounts_and_tells_nothing(house: House) -> None:
    with httpx2.Client(base_url=f"{house.url}/boinc/") as door:
        assert "<account_creation_disabled/>" in door.get("get_project_config.php").text
        assert error(door.get("create_account.php", params=stranger())) == -208
        unknown = stranger()
        assert error(door.get("lookup_account.php", params=unknown)) == -206
        assert error(door.get("lookup_account.php", params={"email_addr": unknown["email_addr"]})) == -206


def test_an_account_with_a_password_attaches_with_it(house: House, admin: httpx2.Client) -> None:
    name = f"person-{secrets.token_hex(4)}"
    email = f"{name}@example.org"
    assert admin.post("/api/accounts", json={"account_id": name, "name": "Ada", "email": email}).status_code == 201
    link = admin.post(f"/api/accounts/{name}/password-link").json()["url"]
    form = {"token": link.partition("token=")[2], "password": RIGHT, "again": RIGHT}
    assert httpx2.post(f"{house.url}/sign-in/password", data=form).status_code == 303
    said = {"email_addr": email, "passwd_hash": passwd_hash_of(RIGHT, email)}
    found = key_in(httpx2.get(f"{house.url}/boinc/lookup_account.php", params=said))
    assert found == admin.get("/api/boinc/key", params={"account_id": name}).json()["key"]


# people's calls


def test_a_key_is_shown_renewed_and_attaches(house: House) -> None:
    with house.client(house.key("submit", account="alice")) as alice:
        first = alice.get("/api/boinc/key").json()
        assert first["account_id"] == "alice"
        assert first["attach"] == f"boinccmd --project_attach {house.url}/boinc/ {first['key']}"
        info = httpx2.get(f"{house.url}/boinc/am_get_info.php", params={"account_key": first["key"]})
        assert f"<id>{first['user_id']}</id>" in info.text
        assert f"<weak_auth>{first['weak_key']}</weak_auth>" in info.text
        weak = httpx2.get(f"{house.url}/boinc/am_get_info.php", params={"account_key": first["weak_key"]})
        assert error(weak) == -136
        second = alice.post("/api/boinc/key/renew").json()
        assert second["key"] != first["key"]
        assert alice.get("/api/boinc/key").json() == second
        old = httpx2.get(f"{house.url}/boinc/am_get_info.php", params={"account_key": first["key"]})
        assert error(old) == -136


def test_machines_keys_are_made_listed_and_revoked(house: House) -> None:
    with house.client(house.key("submit", account="alice")) as alice:
        made = alice.post("/api/boinc/worker-keys", json={"name": "lab 7"})
        assert made.status_code == 201
        assert made.json()["attach"].endswith(made.json()["key"])
        key_id = made.json()["key_id"]
        [listed] = [each for each in alice.get("/api/boinc/worker-keys").json()["keys"] if each["key_id"] == key_id]
        assert (listed["name"], listed["host_id"]) == ("lab 7", None)
        assert made.json()["key"] not in alice.get("/api/boinc/worker-keys").text
        assert alice.delete(f"/api/boinc/worker-keys/{key_id}").status_code == 204
        assert alice.delete(f"/api/boinc/worker-keys/{key_id}").status_code == 404
        assert alice.post("/api/boinc/worker-keys", json={"name": "two\nlines"}).status_code == 400
        assert alice.get("/api/boinc/hosts").json() == {"hosts": []}


def test_other_peoples_keys_are_nobodys(house: House) -> None:
    with house.client(house.key("submit", account="alice")) as alice:
        key_id = alice.post("/api/boinc/worker-keys", json={"name": "lab 8"}).json()["key_id"]
    worker = house.key("work", account="alice")
    with house.client(house.key("submit", account="bob")) as bob, house.client(worker) as carried:
        for path in ("/api/boinc/key", "/api/boinc/worker-keys", "/api/boinc/hosts"):
            assert bob.get(path, params={"account_id": "alice"}).status_code == 404
            assert bob.get(path, params={"account_id": "../alice"}).status_code == 404
            assert carried.get(path).status_code == 403
            assert httpx2.get(house.url + path).status_code == 401
        assert bob.post("/api/boinc/key/renew", params={"account_id": "alice"}).status_code == 404
        assert bob.post("/api/boinc/worker-keys", json={"name": "n", "account_id": "alice"}).status_code == 404
        assert bob.delete(f"/api/boinc/worker-keys/{key_id}").status_code == 404
        assert bob.delete(f"/api/boinc/worker-keys/{key_id}", params={"account_id": "alice"}).status_code == 404
        assert carried.post("/api/boinc/key/renew").status_code == 403


def test_no_key_and_no_password_is_logged(door: httpx2.Client) -> None:
    stream = io.StringIO()
    configure_logs(stream, level="debug", form="json")
    try:
        said = stranger()
        key = key_in(door.get("create_account.php", params=said))
        door.get("lookup_account.php", params=said)
        door.get("am_get_info.php", params={"account_key": key})
        door.post("lookup_account.php", data=said)
    finally:
        configure_logs()
    log = stream.getvalue()
    assert "lookup_account.php" in log
    for secret in (key, said["passwd_hash"], said["email_addr"]):
        assert secret not in log
