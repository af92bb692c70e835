"""What /account says of BOINC, in a real browser: the command is hidden until asked for, keys are made and revoked."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e_pages.conftest import DESKTOP, EVIL, PHONE, Site, Visit, violations

Shot = Callable[[Page, str], None]


def test_the_command_is_shown_when_asked_for_and_renewed_after_a_question(visit: Visit, site: Site) -> None:
    page = visit("/account")
    command = page.locator("#boinc-command")
    expect(command).to_be_hidden()
    page.get_by_text("Show the command with your key").click()
    first = command.inner_text()
    assert re.fullmatch(rf"boinccmd --project_attach {site.url}/boinc/ [0-9a-f]{{32}}", first)
    page.get_by_role("button", name="Make another key").click()
    page.get_by_role("button", name="Keep it").click()
    assert command.inner_text() == first
    page.get_by_role("button", name="Make another key").click()
    page.get_by_role("button", name="Make another", exact=True).click()
    expect(page.locator(".flash.done")).to_contain_text("another one now")
    page.get_by_text("Show the command with your key").click()
    assert command.inner_text() != first


def test_a_machine_gets_a_key_that_is_shown_once(visit: Visit) -> None:
    page = visit("/account")
    name = f"{EVIL} in the lab"
    page.get_by_label("Which machine is the new key for?").fill(name)
    page.get_by_role("button", name="Add the machine").click()
    shown = page.locator("#new-key").inner_text()
    assert re.fullmatch(r"boinccmd --project_attach \S+/boinc/ [0-9a-f]{32}", shown)
    page.goto("/account")
    assert shown[-32:] not in page.content()
    row = page.get_by_role("row", name=re.compile("in the lab"))
    expect(row).to_contain_text("nobody yet")
    row.get_by_role("button", name=re.compile("Revoke")).click()
    page.get_by_role("button", name="Revoke it").locator("visible=true").click()
    expect(page.locator(".flash.done")).to_contain_text("revoked")
    expect(page.get_by_role("row", name=re.compile("in the lab"))).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everybody_can_read_it(visit: Visit, shoot: Shot, theme: str, size: dict[str, int]) -> None:
    page = visit("/account", theme=theme, size=size)
    page.get_by_label("Which machine is the new key for?").fill("office machine 7")
    page.get_by_role("button", name="Add the machine").click()
    page.goto("/account")
    page.get_by_text("Show the command with your key").click()
    shoot(page, f"account-boinc-{theme}-{size['width']}")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
