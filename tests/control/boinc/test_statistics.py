"""The daily export for statistics sites, and averages that fade, on both databases."""

import gzip
import secrets
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from fallow.artifacts.filesystem import FilesystemStore
from fallow.artifacts.signing import Signer
from fallow.clock import ManualClock
from fallow.control.boinc.statistics import DAY_MICROS, FOLDER, Statistics
from fallow.core.credit import HALF_LIFE_SECONDS, add, fade
from fallow.core.volunteers import HostFacts
from fallow.core.words import AttemptId, JobKey, Micros, WorkerId
from fallow.protocols.boinc import statistics as form
from fallow.protocols.boinc.accounts import external_cpid
from fallow.settings import Settings
from fallow.store.port import CreditRow, HostRow, Store
from tests.store.yard import T0

FACTS = HostFacts(os="Linux", vendor="AuthenticAMD", model="EPYC <7B13>", cores=8.0, flops=4.5e9, memory_bytes=2**34)
DAY = 86400


class Desk:
    def __init__(self, store: Store, folder: Path, exported: bool = True) -> None:
        self.store, self.clock = store, ManualClock(T0)
        signer = Signer(secrets.token_bytes(32), "http://door.test")
        self.artifacts = FilesystemStore(folder / "data", signer, self.clock.now, reserve_bytes=0)
        self.role = Statistics(store, self.artifacts, self.clock, Settings(boinc_statistics=exported), form)
        self.attempts = 0

    def volunteer(self, account: str, name: str, *, team: str = "", listed: bool = True, email: str = "") -> WorkerId:
        number = f"{sum(account.encode()):x}"
        with self.store.transaction() as tx:
            tx.add_account(account, name, T0)
            row = tx.account(account)
            assert row is not None
            tx.save_account(replace(row, email=email or None))
            user = tx.add_boinc_user(account, number.zfill(64), number.zfill(32), T0)
            made = (tx.team_by_name(team.lower()) or tx.add_team(team, team.lower(), account, T0)) if team else None
            tx.save_boinc_user(replace(user, team_id=made.team_id if made else None, listed=listed))
            said = msgspec.json.encode(replace(FACTS, address="203.0.113.9")).decode()
            return tx.add_host(HostRow(0, WorkerId(""), account, 1, number.zfill(32), "", 1, T0, T0, said)).worker_id

    def earn(self, worker: WorkerId, credit: float) -> None:
        self.attempts += 1
        with self.store.transaction() as tx:
            host = tx.host_of_worker(worker)
            assert host is not None
            now = self.clock.now()
            row = CreditRow(AttemptId(self.attempts), JobKey(1), worker, host.account_id, now, credit, credit)
            tx.grant_credit([row], HALF_LIFE_SECONDS)

    def read(self, name: str) -> ET.Element:
        data = b"".join(self.artifacts.get(f"{FOLDER}/{name}"))
        return ET.fromstring(gzip.decompress(data) if name.endswith(".gz") else data)

    def text(self) -> str:
        names = ("tables.xml", "user.gz", "host.gz", "team.gz")
        return " ".join(ET.tostring(self.read(name), "unicode") for name in names)


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    return Desk(store, tmp_path)


def values(element: ET.Element) -> dict[str, str]:
    return {each.tag: each.text or "" for each in element}


def test_what_listed_volunteers_earned_is_exported(desk: Desk) -> None:
    ada = desk.volunteer("ada", "Ada & Söhne", team="Owls", email="Ada@example.org")
    bob = desk.volunteer("bob", "Bob", team="Owls")
    desk.earn(ada, 10.0)
    desk.earn(bob, 2.5)
    assert desk.role.step()
    first, second = desk.read("user.gz")
    assert values(first) == {
        "id": "1",
        "name": "Ada & Söhne",
        "country": "None",
        "create_time": str(T0 // 1_000_000),
        "total_credit": "10.000000",
        "expavg_credit": f"{add(0.0, 0.0, 10.0, 1.0):f}",
        "expavg_time": f"{T0 / 1e6:f}",
        "cpid": external_cpid(f"{sum(b'ada'):x}".zfill(32), "Ada@example.org"),
        "teamid": "1",
    }
    assert values(second)["name"] == "Bob"
    host = values(desk.read("host.gz")[0])
    assert {name: host[name] for name in ("id", "userid", "p_vendor", "p_model", "os_name", "ncpus", "p_fpops")} == {
        "id": "1",
        "userid": "1",
        "p_vendor": "AuthenticAMD",
        "p_model": "EPYC <7B13>",
        "os_name": "Linux",
        "ncpus": "8",
        "p_fpops": "4500000000.000000",
    }
    team = values(desk.read("team.gz")[0])
    assert (team["name"], team["nusers"], team["founder_name"], team["total_credit"]) == (
        "Owls",
        "2",
        "Ada & Söhne",
        "12.500000",
    )
    tables = values(desk.read("tables.xml"))
    assert (tables["nusers_total"], tables["nhosts_total"], tables["nteams_total"]) == ("2", "2", "1")
    assert (tables["total_credit"], tables["update_time"]) == ("12.500000", str(T0 // 1_000_000))


def test_nobody_learns_an_address_or_of_who_is_not_listed(desk: Desk) -> None:
    ada = desk.volunteer("ada", "Ada", email="ada@example.org")
    eve = desk.volunteer("eve", "Eve", team="Foxes", listed=False, email="eve@example.org")
    desk.volunteer("idle", "Idle")
    desk.earn(ada, 10.0)
    desk.earn(eve, 5.0)
    desk.role.step()
    text = desk.text()
    for secret in ("example.org", "203.0.113.9", "Eve", "Idle"):
        assert secret not in text
    assert [values(each)["name"] for each in desk.read("team.gz")] == ["Foxes"], "its total is no person"
    assert values(desk.read("team.gz")[0])["userid"] == "0"
    assert len(desk.read("host.gz")) == 1


def test_it_is_done_once_a_day_and_follows_who_leaves(desk: Desk) -> None:
    ada = desk.volunteer("ada", "Ada")
    assert desk.role.step(), "averages fade"
    assert not desk.role.step()
    assert desk.artifacts.head(f"{FOLDER}/tables.xml") is None, "there is nobody to tell of"
    desk.earn(ada, 10.0)
    assert desk.role.step(), "the first that earned something is told at once"
    assert not desk.role.step()
    with desk.store.transaction() as tx:
        user = tx.boinc_user("ada")
        assert user is not None
        tx.save_boinc_user(replace(user, listed=False))
    desk.clock.advance(DAY - 1)
    assert not desk.role.step()
    desk.clock.advance(1)
    assert desk.role.step()
    assert (len(desk.read("user.gz")), len(desk.read("host.gz"))) == (0, 0)
    assert values(desk.read("tables.xml"))["total_credit"] == "0.000000"


def test_nothing_is_exported_where_the_operator_does_not_want_it(store: Store, tmp_path: Path) -> None:
    desk = Desk(store, tmp_path, exported=False)
    desk.earn(desk.volunteer("ada", "Ada"), 10.0)
    desk.role.step()
    assert desk.artifacts.head(f"{FOLDER}/tables.xml") is None


def test_more_than_a_page_is_exported(desk: Desk) -> None:
    for number in range(501):
        with desk.store.transaction() as tx:
            tx.add_account(f"a{number}", f"A{number}", T0)
            tx.add_boinc_user(f"a{number}", f"{number:064x}", f"{number:032x}", T0)
            row = CreditRow(AttemptId(number), JobKey(1), WorkerId("b-9.1"), f"a{number}", T0, 1.0, 1.0)
            tx.grant_credit([row], HALF_LIFE_SECONDS)
    desk.role.step()
    assert [values(each)["name"] for each in desk.read("user.gz")] == [f"A{number}" for number in range(501)]


def test_averages_of_those_who_stopped_fade_to_nothing(desk: Desk) -> None:
    worker = desk.volunteer("ada", "Ada", team="Owls")
    desk.earn(worker, 100.0)
    with desk.store.reading() as tx:
        [(before, _)] = tx.user_leaders(9)
    desk.clock.advance(7 * DAY)
    desk.role.step()
    with desk.store.reading() as tx:
        [(user, _)] = tx.user_leaders(9)
        [team] = tx.team_leaders(9)
        host = tx.host_of_worker(worker)
    assert host is not None
    for earned in (user.earned, team.earned, host.earned):
        assert earned.average == pytest.approx(before.earned.average / 2)
        assert (earned.total, earned.at) == (100.0, T0 + 7 * DAY_MICROS)
    desk.clock.advance(365 * DAY)
    desk.role.step()
    with desk.store.reading() as tx:
        assert tx.user_leaders(9) == []
        assert tx.team_leaders(9) == []
        left = tx.boinc_user("ada")
    assert left is not None
    assert (left.earned.average, left.earned.total) == (0.0, 100.0)


def test_an_average_of_today_is_left_alone(desk: Desk) -> None:
    worker = desk.volunteer("ada", "Ada")
    desk.clock.advance(10 * DAY)
    desk.earn(worker, 100.0)
    with desk.store.transaction() as tx:
        assert tx.fade_averages("users", 0, 10, Micros(desk.clock.now() + 5), HALF_LIFE_SECONDS) is None
        user = tx.boinc_user("ada")
    assert user is not None
    assert user.earned.at == desk.clock.now()
    assert fade(user.earned.average, 0, 0) == user.earned.average
