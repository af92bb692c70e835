"""Pages that are open while things happen: work goes on, the server is killed and comes back."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.house import House
from tests.e2e_pages import scenes
from tests.e2e_pages.conftest import DESKTOP, EVIL, sign_in


def test_rows_and_map_follow_the_work(visit, site):
    now = site.server.system.clock.now()
    job = scenes.add_job(site.store, "moving", 40, now)
    listed, page = visit("/jobs?q=moving"), visit("/job?job_id=moving")
    page.wait_for_selector("[data-map][data-drawn]")
    expect(listed.locator("#job-moving .progress-cell")).to_contain_text("0 / 40 chunks")
    listed.locator("#open-moving").focus()
    leased = scenes.lease(site.store, job.job_key, "rack-2", 20, now)
    expect(page.locator("[data-legend]")).to_contain_text("running 20")
    scenes.finish(site.store, job.job_key, leased[:15], now)
    scenes.fail(site.store, leased[15], now)
    expect(listed.locator("#job-moving .progress-cell")).to_contain_text("15 / 40 chunks")
    assert listed.evaluate("document.activeElement.id") == "open-moving"
    expect(page.locator("[data-legend]")).to_contain_text("done 15")
    expect(page.locator("#head")).to_contain_text("of 40,000 items done")
    expect(page.locator("#failures")).to_contain_text("no space left on device", timeout=20_000)
    expect(page.locator("#charts")).to_be_visible()
    fresh = scenes.add_job(site.store, "moving-too", 1, now)
    expect(listed.locator(f"#job-{fresh.job_id}")).to_be_visible()


def test_an_open_chunk_follows_its_attempts(visit, site):
    now = site.server.system.clock.now()
    job = scenes.add_job(site.store, "followed", 3, now)
    page = visit("/job?job_id=followed&chunk=0")
    expect(page.locator("#chunk")).to_contain_text("None yet")
    [leased] = scenes.lease(site.store, job.job_key, "rack-5", 1, now)
    expect(page.locator("#chunk .attempt")).to_contain_text("It runs.")
    scenes.fail(site.store, leased, now, scenes.FAULTS[1])
    expect(page.locator("#chunk .attempt pre")).to_contain_text("KeyError: 'text'")


def test_names_are_text_wherever_they_come_from(visit, site):
    """The name, the command and the log of `evil` are markup; `visit` fails when any of it runs."""
    page = visit("/jobs?q=script")
    expect(page.locator("#open-evil")).to_have_text(EVIL)
    page.click("#open-evil")
    expect(page.locator("h1")).to_have_text(EVIL)
    page.wait_for_selector("#failures article")
    expect(page.locator("#failures pre").first).to_contain_text("<img src=x onerror=alert(2)>")
    page.click("#open-chunk-0")
    expect(page.locator("#chunk pre").first).to_contain_text("<img src=x onerror=alert(2)>")
    assert page.locator("main img").count() == 0
    assert "alert" not in page.evaluate("[...document.scripts].map(each => each.textContent).join()")
    with page.expect_navigation():
        page.click("#chunk >> text=whole log")
    assert page.evaluate("document.images.length") == 0


def test_a_chunk_that_is_not_there(browser, site):
    context = browser.new_context(base_url=site.url, viewport=DESKTOP)
    sign_in(context, site.url, site.key)
    page = context.new_page()
    page.goto("/job?job_id=finished")
    page.fill("#chunk-number", "777")
    page.press("#chunk-number", "Enter")
    expect(page.locator("#chunk [role=alert]")).to_contain_text("The job has no chunk 777.")
    context.close()


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path, FALLOW_ALLOW_PROCESS_JOBS="true", FALLOW_CLAIM_SECONDS="2")
    made.start_server()
    yield made
    made.stop()


def test_a_page_that_was_open_while_the_server_was_killed_is_right_again(browser, house, tmp_path):
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n": {n}}}\n' for n in range(50)))
    job = {"job_id": "kept", "input_uri": f"file://{tmp_path}/in.jsonl", "command": ["cat"], "chunk_items": 5}
    assert house.call("POST", "/api/jobs", job).status_code == 201
    context = browser.new_context(base_url=house.url, viewport=DESKTOP)
    sign_in(context, house.url, house.key)
    listed, page = context.new_page(), context.new_page()
    listed.goto("/jobs")
    page.goto("/job?job_id=kept")
    for each in (page, listed):
        each.bring_to_front()
        expect(each.locator("[data-live]")).to_have_text("live")
    expect(listed.locator("#job-kept .progress-cell")).to_contain_text("10 chunks", timeout=30_000)
    house.server.kill()
    for each in (page, listed):
        each.bring_to_front()
        expect(each.locator("[data-live]")).to_have_text("reconnecting")
    house.start_server()
    assert house.call("POST", "/api/jobs/kept/pause").status_code == 200
    for each, state in ((listed, "#job-kept .state"), (page, "#head .state")):
        each.bring_to_front()
        expect(each.locator("[data-live]")).to_have_text("live", timeout=60_000)
        expect(each.locator(state).first).to_have_text("paused", timeout=30_000)
    expect(page.locator("[data-legend]")).to_contain_text(re.compile("planned 10"))
    context.close()
