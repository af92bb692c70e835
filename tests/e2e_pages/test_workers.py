"""/workers and /worker in a browser."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from fallow.core.words import Micros, WorkerId
from tests.e2e.house import House
from tests.e2e_pages import scenes
from tests.e2e_pages.conftest import DESKTOP, EVIL, PHONE, Site, Visit, sign_in, violations

Shoot = Callable[[Page, str], None]


def heard_now(site: Site, worker: str = "rack-2", **change: object) -> None:
    """The worker says something at this moment."""
    with site.store.transaction() as tx:
        row = tx.worker(WorkerId(worker))
        assert row is not None
        tx.save_worker(replace(row, seen_at=Micros(site.server.system.clock.now()), **change))  # type: ignore[arg-type]


def all_heard(site: Site) -> None:
    for name in scenes.WORKERS:
        heard_now(site, name)


def test_the_fleet_is_listed_in_every_light(site: Site, visit: Visit, shoot: Shoot) -> None:
    all_heard(site)
    page = visit("/workers")
    row = page.locator("#row-rack-2")
    expect(row.locator(".state")).to_have_text("active")
    expect(row.locator("td[data-label='Slots busy']")).to_contain_text("of 4")
    expect(row.locator("td[data-label=Images]")).to_contain_text("ghcr.io/acme/embed:1.4")
    expect(row.locator("td[data-label=Good]")).to_contain_text("%")
    expect(row.locator("td[data-label='Items/s']")).to_have_text(re.compile(r"\d"))
    for name, more in (("light", {}), ("dark", {"theme": "dark"}), ("phone", {"size": PHONE})):
        each = visit("/workers", **more)
        shoot(each, f"workers-{name}")
        assert violations(each) == []
        assert each.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def test_one_worker_in_every_light(site: Site, visit: Visit, shoot: Shoot) -> None:
    all_heard(site)
    page = visit("/worker?worker_id=lab-7-windows")
    expect(page.locator("#now .state").first).to_have_text("active")
    expect(page.locator("#history tbody tr").first).to_be_visible()
    expect(page.locator(".chart canvas")).to_have_count(1)
    expect(page.locator("#history")).to_contain_text("the image ended with exit code 1")
    for name, more in (("light", {}), ("dark", {"theme": "dark"}), ("phone", {"size": PHONE})):
        each = visit("/worker?worker_id=lab-7-windows", **more)
        expect(each.locator(".chart canvas")).to_have_count(1)
        shoot(each, f"worker-{name}")
        assert violations(each) == []
        assert each.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def test_the_list_is_found_in_by_keyboard_alone(site: Site, visit: Visit) -> None:
    all_heard(site)
    page = visit("/workers")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "q":
            break
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("edge-kiosk")
    page.keyboard.press("Enter")
    expect(page.locator("#fleet tbody tr")).to_have_count(1)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "edge-kiosk-11":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("edge-kiosk-11")


def test_filters_say_when_nothing_is_like_that(visit: Visit) -> None:
    page = visit("/workers?q=nobody-has-this")
    expect(page.locator(".empty")).to_contain_text("No worker is like that")
    page = visit("/workers?label=cloud")
    names = page.locator("#fleet tbody td[data-label=Label]").all_inner_texts()
    assert names
    assert {name.split()[-1] for name in names} == {"cloud"}


def test_a_row_changes_while_it_is_looked_at_and_focus_stays(site: Site, visit: Visit) -> None:
    heard_now(site, "lab-3-anna", failures=0, leaving=False)
    page = visit("/workers")
    expect(page.locator("[data-live]")).to_have_text("live")
    page.locator("a[id='lab-3-anna']").focus()
    heard_now(site, "lab-3-anna", leaving=True)
    expect(page.locator("#row-lab-3-anna .state")).to_have_text("leaving")
    expect(page.locator("a[id='lab-3-anna']")).to_be_focused()
    heard_now(site, "lab-3-anna", leaving=False)
    expect(page.locator("#row-lab-3-anna .state")).not_to_have_text("leaving")


def test_names_are_words_and_never_markup(site: Site, visit: Visit) -> None:
    capability = {"platform": EVIL, "cores": 1, "slots": 1, "engines": [EVIL], "accelerators": [{"model": EVIL}]}
    heard_now(site, "boinc-4411", name=EVIL, capability=json.dumps(capability))
    page = visit("/workers")
    expect(page.locator("#row-boinc-4411 a").first).to_have_text(EVIL)
    page = visit("/worker?worker_id=boinc-4411")
    expect(page.locator("h1")).to_have_text(EVIL)
    assert page.evaluate("document.querySelectorAll('main script').length") == 0


def test_an_operator_holds_a_worker_and_lets_it_go(site: Site, visit: Visit) -> None:
    heard_now(site, "rack-5")
    page = visit("/worker?worker_id=rack-5")
    page.get_by_role("button", name="Give it nothing new").click()
    expect(page.locator(".flash.done")).to_contain_text("nothing new")
    expect(page.locator("#now .state").first).to_have_text("held")
    page.get_by_role("button", name="Give it work again").click()
    expect(page.locator("#now .state").first).not_to_have_text("held")


def test_a_page_outlives_its_server(tmp_path: Path, browser: Browser) -> None:
    """The server is killed under the open page, with its worker, and started again alone: then the page is right."""
    house = House(tmp_path, "--allow-process")
    house.start_server()
    worker = house.worker("anna", "--engine", "process", "--allow-process")
    context = browser.new_context(base_url=house.url, viewport=DESKTOP, locale="en-GB")
    try:
        sign_in(context, house.url, house.key)
        page = context.new_page()
        page.goto("/workers")
        expect(page.locator("#fleet tbody .state")).to_have_text("idle", timeout=30_000)
        expect(page.locator("[data-live]")).to_have_text("live")
        house.server.kill()
        worker.kill()
        expect(page.locator("[data-live]")).to_have_text("reconnecting", timeout=20_000)
        house.start_server()
        expect(page.locator("[data-live]")).to_have_text("live", timeout=30_000)
        expect(page.locator("#fleet tbody .state")).to_have_text("silent", timeout=30_000)
    finally:
        context.close()
        house.stop()
