"""/leaders, a BOINC client's worker page and the choice of a team, in a browser."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Page, expect

from fallow.core.credit import HALF_LIFE_SECONDS
from fallow.core.volunteers import HostFacts
from fallow.core.words import AttemptId, JobKey, WorkerId
from fallow.store.port import CreditRow, HostRow, ReputationRow, WorkerRow
from tests.e2e_pages import scenes
from tests.e2e_pages.conftest import PHONE, Site, Visit, violations

Shoot = Callable[[Page, str], None]
LIGHTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("light", {}),
    ("dark", {"theme": "dark"}),
    ("phone", {"size": PHONE}),
)
PEOPLE = (
    ("ines", "Inês Carvalho", "Universidade de Coimbra", 48_210.0),
    ("tom", "Tom from the garden shed with the long name", "Night Owls", 9_120.4),
    ("yuki", "雪", "Night Owls", 88.25),
    ("zed", "zed", "", 0.4),
)


@pytest.fixture(scope="module")
def worker(site: Site) -> WorkerId:
    """A BOINC client among several volunteers that have earned something."""
    found = [_volunteer(site, number, *person) for number, person in enumerate(PEOPLE, start=1)]
    return found[0]


def _volunteer(site: Site, number: int, account: str, name: str, team: str, credit: float) -> WorkerId:
    now = site.server.system.clock.now()
    facts = HostFacts(
        *("Linux Debian GNU/Linux 12 (bookworm) [6.1.0-18-amd64]", "AuthenticAMD", "AMD Ryzen 7 5800X [Family 25]"),
        cores=16.0,
        client_version=72005,
        on_fraction=0.61,
        engine="podman",
    )
    with site.store.transaction() as tx:
        tx.add_account(account, name, now)
        user = tx.add_boinc_user(account, f"{number:064x}", f"{number:032x}", now)
        made = (tx.team_by_name(team.casefold()) or tx.add_team(team, team.casefold(), account, now)) if team else None
        tx.save_boinc_user(replace(user, team_id=made.team_id if made else None))
        said = msgspec.json.encode(facts).decode()
        row = HostRow(0, WorkerId(""), account, 1, "c" * 32, "", 1, now, now, said, venue="work", label_at=now)
        host = tx.add_host(row)
        capability = json.dumps({"platform": "linux/amd64", "cores": 16, "slots": 1, "engines": ["podman"]})
        tx.save_worker(
            WorkerRow(host.worker_id, account, f"{account}-pc", "on_prem", b"", capability, "boinc", now, now)
        )
        record = ReputationRow(
            host.worker_id, scenes.IMAGE.digest, 100, 41, 1, 2, valid_in_row=14, seconds_per_item=0.8
        )
        tx.save_reputations([record, replace(record, image="sha256:" + "9c" * 32, valid=2, valid_in_row=2)])
        attempt = AttemptId(5_000_000 + number)
        tx.grant_credit(
            [CreditRow(attempt, JobKey(1), host.worker_id, account, now, credit, credit)], HALF_LIFE_SECONDS
        )
    return host.worker_id


def test_leaders_in_every_light(worker: WorkerId, visit: Visit, shoot: Shoot) -> None:
    page = visit("/leaders")
    names = page.locator("section[aria-labelledby=h-people] tbody td.lead")
    expect(names.first).to_have_text("1. Inês Carvalho")
    expect(names.last).to_have_text("4. zed")
    teams = page.locator("section[aria-labelledby=h-teams] tbody td.lead")
    expect(teams.first).to_have_text("1. Universidade de Coimbra")
    _in_every_light(visit, shoot, "/leaders", "leaders")


def test_a_boinc_client_in_every_light(worker: WorkerId, visit: Visit, shoot: Shoot) -> None:
    page = visit(f"/worker?worker_id={worker}")
    expect(page.locator("section[aria-labelledby=h-boinc]")).to_contain_text("7.20.5")
    expect(page.locator("section[aria-labelledby=h-trust] tbody tr")).to_have_count(2)
    _in_every_light(visit, shoot, f"/worker?worker_id={worker}", "worker-boinc")


def test_a_team_is_chosen_and_shown(worker: WorkerId, visit: Visit, shoot: Shoot) -> None:
    visit("/account")
    page = visit("/account")
    page.get_by_label("Team", exact=True).fill("Night Owls")
    page.get_by_label("see my name among the leaders").uncheck()
    page.locator("section[aria-labelledby=standing-head]").get_by_role("button", name="Keep").click()
    expect(page.locator(".flash.done")).to_contain_text("are kept")
    expect(page.get_by_label("Team", exact=True)).to_have_value("Night Owls")
    expect(page.get_by_label("see my name among the leaders")).not_to_be_checked()
    _in_every_light(visit, shoot, "/account", "account-boinc")


def test_an_operator_labels_a_machine(worker: WorkerId, visit: Visit) -> None:
    page = visit(f"/worker?worker_id={worker}")
    page.get_by_label("Call it").select_option("cloud")
    page.get_by_role("button", name="Keep").click()
    expect(page.locator(".flash.done")).to_contain_text("What counts is on_prem")
    expect(page.get_by_label("Call it")).to_have_value("cloud")


def _in_every_light(visit: Visit, shoot: Shoot, path: str, name: str) -> None:
    for light, more in LIGHTS:
        each = visit(path, **more)
        shoot(each, f"{name}-{light}")
        assert violations(each) == []
        assert each.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
