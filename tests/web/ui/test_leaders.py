"""/leaders, the BOINC part of /worker, the choice on /account: what is shown, to whom, and that names are words."""

import json
from dataclasses import replace
from html import unescape

import httpx2
import msgspec
import pytest

from fallow.core.credit import HALF_LIFE_SECONDS
from fallow.core.volunteers import HostFacts
from fallow.core.words import AttemptId, JobKey, WorkerId
from fallow.store.port import CreditRow, HostRow, ReputationRow, WorkerRow
from tests.web.conftest import House
from tests.web.ui.visiting import Visiting, faults

EVIL = '<script>alert(1)</script>"onmouseover="x'


def volunteer(house: House, account: str, name: str, credit: float = 0.0, team: str = "", venue: str = "") -> WorkerId:
    """An account with a BOINC client that has earned something."""
    store, now = house.server.system.store, house.server.system.clock.now()
    number = f"{sum(account.encode()):x}"
    facts = HostFacts(os=EVIL, vendor=EVIL, client_version=80204, engine="podman", address="203.0.113.9")
    with store.transaction() as tx:
        tx.add_account(account, name, now)
        user = tx.add_boinc_user(account, number.zfill(64), number.zfill(32), now)
        made = (tx.team_by_name(team.casefold()) or tx.add_team(team, team.casefold(), account, now)) if team else None
        tx.save_boinc_user(replace(user, team_id=made.team_id if made else None))
        said = msgspec.json.encode(facts).decode()
        row = HostRow(0, WorkerId(""), account, 1, "c" * 32, "", 1, now, now, said, venue=venue)
        host = tx.add_host(row)
        capability = json.dumps({"platform": "linux/amd64", "cores": 4, "slots": 1, "engines": ["podman"]})
        tx.save_worker(WorkerRow(host.worker_id, account, "desk", None, b"", capability, "boinc", now, now))
        tx.save_reputation(ReputationRow(host.worker_id, "sha256:" + "ab" * 32, 100, valid=12, valid_in_row=3))
        if credit:
            attempt = AttemptId(1_000_000 + host.host_id)
            grant = CreditRow(attempt, JobKey(1), host.worker_id, account, now, credit, credit)
            tx.grant_credit([grant], HALF_LIFE_SECONDS)
    return host.worker_id


@pytest.fixture(scope="module")
def operator(house: House) -> Visiting:
    return Visiting(house)


@pytest.fixture(scope="module")
def submitter(house: House) -> Visiting:
    return Visiting(house, house.key("submit", account="sue"))


def test_an_empty_board_says_how_to_get_on_it(operator: Visiting) -> None:
    page = operator.get("/leaders")
    assert page.status_code == 200
    assert faults(page.text) == []
    assert "Nobody has earned credit yet." in page.text
    assert 'href="/account#boinc-head"' in page.text
    assert "No team has earned credit yet." in page.text


def test_leaders_are_listed_best_first_and_their_names_are_words(house: House, operator: Visiting) -> None:
    volunteer(house, "low", "Low", 1.5)
    volunteer(house, "evil", EVIL, 1234.0, team=EVIL)
    page = operator.get("/leaders")
    assert faults(page.text) == []
    assert "<script>alert" not in page.text
    assert "1,234" in page.text
    assert page.text.index("alert(1)") < page.text.index("Low")
    assert 'aria-current="page">Leaders' in page.text
    assert 'href="/leaders"' in operator.get("/jobs").text


def test_leaders_are_for_those_who_may_see_pages(house: House) -> None:
    answer = httpx2.get(f"{house.url}/leaders")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


def test_a_boinc_clients_page_shows_it_and_no_address(house: House, operator: Visiting) -> None:
    worker = volunteer(house, "shown", "Shown", 12.5, venue="work")
    page = operator.get(f"/worker?worker_id={worker}")
    assert page.status_code == 200
    assert faults(page.text) == []
    text = unescape(page.text)
    for words in ("8.2.4", "said by its venue", "on_prem", "12.5 in all", "is checked; 7 good in a row to go"):
        assert words in text, words
    assert "203.0.113.9" not in page.text
    assert "<script>alert" not in page.text


def test_only_an_operator_sees_and_sends_the_labels_form(house: House, operator: Visiting, submitter: Visiting) -> None:
    worker = volunteer(house, "label", "Label")
    assert 'action="/worker/label"' in operator.get(f"/worker?worker_id={worker}").text
    assert 'action="/worker/label"' not in submitter.get(f"/worker?worker_id={worker}").text
    assert submitter.post("/worker/label", {"worker_id": worker, "label": "edge"}).status_code == 403
    assert operator.post("/worker/label", {"worker_id": worker, "label": "edge"}, token="wrong").status_code == 403
    assert operator.post("/worker/label", {"worker_id": worker, "label": "moon"}).status_code == 400
    assert operator.post("/worker/label", {"worker_id": "b-999.1", "label": "edge"}).status_code == 404
    done = operator.post("/worker/label", {"worker_id": worker, "label": "edge"})
    assert done.status_code == 200
    assert "The label is edge now." in done.text
    assert "edge, said by an operator" in done.text
    assert "The label is none now." in operator.post("/worker/label", {"worker_id": worker}).text


def test_an_operator_is_told_when_the_machine_itself_says_otherwise(house: House, operator: Visiting) -> None:
    worker = volunteer(house, "venue", "Venue", venue="home")
    done = operator.post("/worker/label", {"worker_id": worker, "label": "cloud"})
    assert "What counts is edge: its venue says so." in done.text


def test_a_native_workers_page_has_no_boinc_part(house: House, operator: Visiting) -> None:
    store, now = house.server.system.store, house.server.system.clock.now()
    with store.transaction() as tx:
        tx.add_account("native", "Native", now)
        tx.save_worker(WorkerRow(WorkerId("w-native"), "native", "n", None, b"k" * 32, "{}", "s", now, now))
    page = operator.get("/worker?worker_id=w-native").text
    assert "Its BOINC client" not in page


def test_one_chooses_a_team_and_not_to_be_seen(house: House, submitter: Visiting) -> None:
    submitter.get("/account")
    page = submitter.get("/account").text
    assert faults(page) == []
    assert "Team and leader board" in page
    done = submitter.post("/account/boinc/standing", {"team": f" {EVIL} "})
    assert done.status_code == 200
    assert faults(done.text) == []
    assert "<script>alert" not in done.text
    with house.server.system.store.reading() as tx:
        user = tx.boinc_user("sue")
        assert user is not None
        assert user.team_id is not None
        team = tx.team(user.team_id)
    assert team is not None
    assert (team.name, user.listed) == (EVIL, False)
    assert "are not listed" in submitter.get("/leaders").text
    submitter.post("/account/boinc/standing", {"team": "", "listed": "true"})
    with house.server.system.store.reading() as tx:
        user = tx.boinc_user("sue")
    assert user is not None
    assert (user.team_id, user.listed) == (None, True)


def test_a_bad_teams_name_is_refused_on_the_page(submitter: Visiting) -> None:
    refused = submitter.post("/account/boinc/standing", {"team": "x" * 300})
    assert refused.status_code == 400
    assert "1 to" in refused.text
    assert submitter.post("/account/boinc/standing", {"team": "Owls"}, token="wrong").status_code == 403
