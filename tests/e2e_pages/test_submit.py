"""/submit in a browser."""

import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.e2e_pages.conftest import DESKTOP, EVIL, PHONE, Site, Visit, sign_in, violations

Shoot = Callable[[Page, str], None]
TWICE = """async () => {
  const form = document.querySelector("form.submit");
  const send = () => fetch(form.action, { method: "POST", body: new FormData(form) });
  return (await Promise.all([send(), send()])).map((answer) => answer.url);
}"""


def items(folder: Path, name: str, count: int = 1000) -> Path:
    path = folder / name
    path.write_text("".join(json.dumps({"n": number, "text": f"title {number}"}) + "\n" for number in range(count)))
    return path


def ask(page: Page, button: str) -> None:
    page.get_by_role("button", name=button).click()


def test_a_job_by_a_file_that_goes_up_at_once(site: Site, visit: Visit, tmp_path: Path) -> None:
    page = visit("/submit")
    page.locator("#file").set_input_files(items(tmp_path, "titles.jsonl"))
    expect(page.locator("[data-upload-said]")).to_contain_text("is there")
    assert page.locator("#input_uri").input_value().startswith("fallow:blobs/")
    assert page.locator("#input_format").input_value() == "jsonl"
    page.locator("#command").fill("cat")
    ask(page, "See what it would be")
    expect(page.locator("h1")).to_have_text("titles.jsonl")
    expect(page.locator("table.items tbody tr")).to_have_count(8)
    expect(page.locator("table.items")).to_contain_text('{"n": 0, "text": "title 0"}')
    expect(page.locator(".tiles")).to_contain_text("1,000")
    with site.client() as admin:
        before = len(admin.get("/api/jobs?limit=1000").json()["jobs"])
        twice = page.evaluate(TWICE)
        ask(page, "Create the job")
        page.wait_for_url("**/job?job_id=**")
        assert {twice[0], twice[1]} == {page.url}, "three clicks are one job"
        assert len(admin.get("/api/jobs?limit=1000").json()["jobs"]) == before + 1


def test_the_pages_in_every_light(site: Site, visit: Visit, shoot: Shoot) -> None:
    path = items(site.folder, "every-light.jsonl", 200)
    path.write_text(path.read_text().replace('{"n": 3,', "{n: 3,"))
    for name, more in (("light", {}), ("dark", {"theme": "dark"}), ("phone", {"size": PHONE})):
        page = visit("/submit?clone=finished", **more)
        shoot(page, f"submit-{name}")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
        page.locator("#input_uri").fill(f"file://{path}")
        ask(page, "See what it would be")
        expect(page.locator(".flash.wait", has_text="cannot be sent")).to_be_visible()
        expect(page.locator("table.items tr.bad .state")).to_have_text("not JSON")
        expect(page.locator("#h-sum")).to_be_visible()
        expect(page.get_by_text("ran the same before")).to_be_visible()
        shoot(page, f"submit-preview-{name}")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def test_a_refusal_stands_beside_its_field(site: Site, browser: Browser, shoot: Shoot) -> None:
    path = items(site.folder, "five.jsonl", 5)
    context = browser.new_context(base_url=site.url, viewport=DESKTOP, locale="en-GB")
    sign_in(context, site.url, site.key)
    page = context.new_page()
    page.goto("/submit")
    page.locator("#input_uri").fill(f"file://{path}")
    page.locator("#command").fill("cat")
    page.locator("details.more summary").click()
    page.locator("#range_end").fill("9")
    ask(page, "See what it would be")
    expect(page.locator("#fault-range_end")).to_contain_text("the input's last item is 4")
    expect(page.locator("#range_end")).to_be_focused()
    expect(page.locator("#range_end")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#input_uri")).to_have_value(f"file://{path}")
    shoot(page, "submit-refused")
    assert violations(page) == []
    page.locator("#range_end").fill("3")
    ask(page, "See what it would be")
    expect(page.locator(".tiles")).to_contain_text("4")
    ask(page, "Change it")
    expect(page.locator("#range_end")).to_have_value("3")
    context.close()


def test_by_keyboard_alone_and_names_are_words(site: Site, visit: Visit) -> None:
    path = site.folder / "evil.jsonl"
    path.write_text(json.dumps({"text": EVIL}) + "\n")
    page = visit("/submit")

    def reach(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()") == name:
                return
        raise AssertionError(f"the Tab key does not reach {name}")

    for field, value in (("input_uri", f"file://{path}"), ("command", f"echo '{EVIL}'"), ("name", EVIL)):
        reach(field)
        page.keyboard.type(value)
    reach("See what it would be")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(EVIL)
    expect(page.locator("table.items code")).to_contain_text(EVIL)
    assert page.evaluate("document.querySelectorAll('main script').length") == 0
    reach("Create the job")
    page.keyboard.press("Enter")
    page.wait_for_url("**/job?job_id=**")


def test_without_javascript(site: Site, visit: Visit, tmp_path: Path) -> None:
    page = visit("/submit", java_script_enabled=False)
    page.locator("#file").set_input_files(items(tmp_path, "plain.csv", 3))
    page.locator("#command").fill("cat")
    ask(page, "See what it would be")
    expect(page.locator("h1")).to_have_text("plain.csv")
    ask(page, "Create the job")
    assert "/job?job_id=" in page.url
