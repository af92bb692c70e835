"""/receipts in a browser, and the proof outside of it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.e2e_pages.conftest import DESKTOP, EVIL, PHONE, Site, Visit, sign_in, violations

Shoot = Callable[[Page, str], None]


def output(site: Site, job_id: str = "finished") -> list[str]:
    with site.client() as admin:
        return admin.get(f"/api/jobs/{job_id}/output/output.jsonl").text.splitlines()


def verify(proof: Path, line: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fallow", "verify", "--proof", str(proof), "--line", str(line)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_pasted_line_names_its_maker_and_is_proved_offline(
    site: Site, visit: Visit, shoot: Shoot, tmp_path: Path
) -> None:
    line = output(site)[17]
    page = visit("/receipts")
    page.locator("#line").fill(line)
    page.get_by_role("button", name="Look it up").click()
    expect(page.locator("#h-found")).to_contain_text("Item 17 of")
    expect(page.locator(".chain")).to_contain_text("atelier")
    expect(page.locator(".chain")).to_contain_text("items 10 to 19")
    expect(page.locator("#h-found + .state")).to_have_text("signed and proved")
    assert violations(page) == []
    files = []
    for name in ("Download the proof", "Download the line"):
        with page.expect_download() as download:
            page.get_by_role("link", name=name, exact=True).click()
        files.append(tmp_path / name.split()[-1])
        download.value.save_as(files[-1])
    good = verify(*files)
    assert good.returncode == 0, good.stderr
    assert "item 17 of job finished" in good.stdout
    files[1].write_text(line.replace("17", "71"))
    wrong = verify(*files)
    assert wrong.returncode == 1
    assert "not the one that was signed" in wrong.stderr


def test_the_page_in_every_light(site: Site, visit: Visit, shoot: Shoot) -> None:
    for name, more in (("light", {}), ("dark", {"theme": "dark"}), ("phone", {"size": PHONE})):
        page = visit("/receipts?job_id=finished&item=23", **more)
        page.locator("details summary", has_text="Its parts").click()
        shoot(page, f"receipts-{name}")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def test_a_line_of_nobodys_says_how_far_was_looked(visit: Visit) -> None:
    page = visit("/receipts")
    page.locator("#line").fill(json.dumps({"text": EVIL}))
    page.get_by_role("button", name="Look it up").click()
    expect(page.locator(".flash.wait")).to_contain_text("No output holds exactly this line")
    expect(page.locator("#line")).to_have_value(json.dumps({"text": EVIL}))
    assert page.evaluate("document.querySelectorAll('main script').length") == 0


def test_an_error_line_is_the_servers(site: Site, visit: Visit) -> None:
    page = visit("/receipts?job_id=evil&item=0")
    expect(page.locator("#h-found + .state")).to_have_text("an error line of the server")


def test_by_keyboard_alone(site: Site, visit: Visit) -> None:
    page = visit("/receipts")

    def reach(name: str) -> None:
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()") == name:
                return
        raise AssertionError(f"the Tab key does not reach {name}")

    reach("job_id")
    page.keyboard.type("finished")
    reach("item")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    expect(page.locator("#h-found")).to_contain_text("Item 3 of")
    reach("Download the proof")


def test_what_is_not_there_is_said(site: Site, browser: Browser) -> None:
    context = browser.new_context(base_url=site.url, viewport=DESKTOP)
    sign_in(context, site.url, site.key)
    page = context.new_page()
    for address, said in (
        ("/receipts?job_id=finished&item=4000", "Item 4000 of job finished"),
        ("/receipts?job_id=finished&item=x", "not an item's number"),
        ("/receipts?job_id=nobodys&item=1", "no job"),
    ):
        page.goto(address)
        expect(page.locator(".flash.problem")).to_contain_text(said)
    context.close()
