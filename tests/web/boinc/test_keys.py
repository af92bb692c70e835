"""Keys at the scheduler and at the submit calls: what each opens, and what other people's do not."""

import re
import secrets
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.web.conftest import House

REQUEST = Path(__file__).parents[2] / "protocols" / "boinc" / "recorded" / "a_003.call.request"
BAD_KEY = "Invalid or missing account key"


class Account:
    """Somebody with an account, and what they ask by REST."""

    def __init__(self, house: House, admin: httpx2.Client) -> None:
        self.house, self.admin = house, admin
        self.account_id = f"person-{secrets.token_hex(4)}"
        fields = {"account_id": self.account_id, "name": self.account_id, "scopes": ["submit"]}
        assert admin.post("/api/accounts", json=fields).status_code == 201
        said = self.ask("key")
        self.key, self.weak_key = str(said["key"]), str(said["weak_key"])

    def ask(self, what: str) -> dict[str, Any]:
        return dict(self.admin.get(f"/api/boinc/{what}", params={"account_id": self.account_id}).json())

    def worker_key(self) -> str:
        made = self.admin.post("/api/boinc/worker-keys", json={"name": "lab", "account_id": self.account_id})
        return str(made.json()["key"])

    def hosts(self) -> list[int]:
        return sorted(each["host_id"] for each in self.ask("hosts")["hosts"])


@pytest.fixture
def ada(house: House, admin: httpx2.Client) -> Account:
    return Account(house, admin)


def called(house: House, key: str, machine: str = "1", host_id: int = 0, seqno: int = 0) -> str:
    """The reply to a recorded client's first call, from a machine of ours."""
    body = REQUEST.read_bytes().partition(b"\r\n\r\n")[2].decode()
    for tag, value in (
        ("authenticator", key),
        ("hostid", host_id),
        ("rpc_seqno", seqno),
        ("host_cpid", machine.rjust(32, "a")),
    ):
        body, count = re.subn(rf"<{tag}>[^<]*</{tag}>", f"<{tag}>{value}</{tag}>", body)
        assert count == 1, tag
    answer = httpx2.post(f"{house.url}/boinc/cgi", content=body)
    assert answer.status_code == 200
    return answer.text


def host_in(reply: str) -> int:
    found = re.search(r"<hostid>(\d+)</hostid>", reply)
    assert found, reply
    return int(found[1])


def submitted(house: House, key: str) -> str:
    request = f"<query_batches><authenticator>{key}</authenticator></query_batches>"
    answer = httpx2.post(f"{house.url}/boinc/submit_rpc_handler.php", data={"request": request})
    assert answer.status_code == 200
    return answer.text


def test_each_kind_of_key_joins_for_its_account(house: House, ada: Account) -> None:
    hosts = [
        host_in(called(house, key, str(number))) for number, key in enumerate((ada.key, ada.weak_key, ada.worker_key()))
    ]
    assert len(set(hosts)) == 3
    assert ada.hosts() == sorted(hosts)


def test_a_bound_key_serves_no_second_machine(house: House, ada: Account) -> None:
    key = ada.worker_key()
    first = host_in(called(house, key, "1"))
    [row] = ada.ask("worker-keys")["keys"]
    assert row["host_id"] == first
    assert f"<hostid>{first}</hostid>" not in called(house, key, "1", first, 1)  # it knows its number
    other = called(house, key, "2")
    assert "belongs to another machine" in other
    assert "<hostid>" not in other
    known = host_in(called(house, ada.key, "3"))
    assert "belongs to another machine" in called(house, key, "3", known, 1)
    copied = called(house, key, "1", first, 0)
    assert "belongs to another machine" in copied
    assert ada.hosts() == sorted([first, known])


def test_somebody_elses_host_is_not_had_by_its_number(house: House, ada: Account, admin: httpx2.Client) -> None:
    hers = host_in(called(house, ada.key, "1"))
    mallory = Account(house, admin)
    assert host_in(called(house, mallory.key, "1", hers, 5)) != hers
    assert ada.hosts() == [hers]


def test_dead_keys_join_nothing(house: House, ada: Account, admin: httpx2.Client) -> None:
    worker_key = ada.worker_key()
    [row] = ada.ask("worker-keys")["keys"]
    where = {"account_id": ada.account_id}
    assert admin.delete(f"/api/boinc/worker-keys/{row['key_id']}", params=where).status_code == 204
    assert admin.post("/api/boinc/key/renew", params=where).status_code == 200
    for key in (worker_key, ada.key, ada.weak_key, "", "0" * 32):
        assert BAD_KEY in called(house, key)
    renewed = str(ada.ask("key")["key"])
    assert admin.delete(f"/api/accounts/{ada.account_id}").status_code == 204
    assert BAD_KEY in called(house, renewed)
    assert [
        each for each in admin.get("/api/boinc/hosts").json()["hosts"] if each["account_id"] == ada.account_id
    ] == []


def test_only_the_accounts_own_key_submits(house: House, ada: Account) -> None:
    assert "<error" not in submitted(house, ada.key)
    refused = [submitted(house, key) for key in (ada.weak_key, ada.worker_key(), "0" * 32)]
    assert all("<error_num>" in each for each in refused), refused


def test_keys_stay_what_they_are_in_the_reply(house: House, ada: Account) -> None:
    """A reply names nobody's key: whoever reads a client's files learns no more than is in them."""
    reply = called(house, ada.weak_key)
    assert ada.key not in reply
    assert ada.weak_key not in reply


def test_the_account_page_shows_no_key_to_a_workers_key(house: House, ada: Account) -> None:
    for scope, is_shown in (("submit", True), ("work", False)):
        with httpx2.Client(base_url=house.url) as browser:
            key = house.key(scope, account=ada.account_id)
            assert browser.post("/sign-in", data={"key": key}).status_code == 303
            page = browser.get("/account")
            assert page.status_code == 200
            assert (ada.key in page.text) is is_shown
            assert ("Volunteer with BOINC" in page.text) is is_shown
