"""The buttons of a job: with a mouse, with keys only, and in a browser without JavaScript."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e_pages import scenes
from tests.e2e_pages.conftest import violations


@pytest.fixture
def waiting(site, request):
    """A job of its own that nobody works at."""
    name = re.sub(r"\W+", "-", request.node.name)[:60]
    scenes.add_job(site.store, name, 30, site.server.system.clock.now())
    return name


def test_pause_resume_cancel_rerun_and_delete(visit, site, waiting):
    page = visit(f"/job?job_id={waiting}")
    page.click("#do-pause")
    expect(page.locator(".flash.done")).to_have_text("The job is paused. What runs may finish.")
    assert site.state(waiting) == "paused"
    page.click("#do-resume")
    expect(page.locator("#head .state").first).to_have_text("running")
    page.click("#do-cancel")
    expect(page.locator("#ask-cancel")).to_be_visible()
    assert violations(page) == []
    page.click("#ask-cancel >> text=Leave it")
    assert site.state(waiting) == "running"
    page.click("#do-cancel")
    page.click("#ask-cancel button.grave")
    expect(page.locator("#head .state").first).to_have_text("cancelled")
    page.click("#do-rerun")
    page.click("#ask-rerun button.grave")
    expect(page.locator("#head .state").first).to_have_text("running")
    page.click("#do-cancel")
    page.click("#ask-cancel button.grave")
    page.click("#do-delete")
    page.click("#ask-delete button.grave")
    page.wait_for_url("**/jobs")
    expect(page.locator(".flash.done")).to_have_text("The job is deleted.")
    assert page.locator(f"#job-{waiting}").count() == 0


def test_a_deed_that_came_too_late_says_so(visit, site, waiting):
    page = visit(f"/job?job_id={waiting}", cut_off=True)
    page.route("**/ui/job/**", lambda route: route.abort())  # a page that hears of nothing
    with site.client() as admin:
        admin.post(f"/api/jobs/{waiting}/cancel")
    page.evaluate("document.getElementById('ask-cancel').showModal()")
    page.click("#ask-cancel button.grave")
    expect(page.locator(".flash.problem").first).to_contain_text("cannot cancel")


def press_until(page, key, selector, most=80):
    """Presses the key until the element has the focus, as somebody without a mouse does."""
    for _ in range(most):
        page.keyboard.press(key)
        if page.evaluate("s => !!document.activeElement?.matches(s)", selector):
            return
    raise AssertionError(f"{key} never led to {selector}")


def outlined(page):
    return page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_everything_is_done_without_a_mouse(visit, site, waiting):
    page = visit("/jobs")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    press_until(page, "Tab", "#q")
    page.keyboard.type(waiting)
    page.keyboard.press("Enter")
    page.wait_for_url("**q=**")
    press_until(page, "Tab", f"#open-{waiting}")
    assert outlined(page)
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-map][data-drawn]")
    press_until(page, "Tab", "#do-cancel")
    assert outlined(page)
    page.keyboard.press("Enter")
    expect(page.locator("#ask-cancel")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#ask-cancel")).to_be_hidden()
    assert page.evaluate("document.activeElement.id") == "do-cancel"
    press_until(page, "Tab", "[name=map-mode]")
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-map]")).to_have_attribute("data-drawn", "worker")
    press_until(page, "Tab", "[data-map]")
    for key in ("ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator("#announcer")).to_contain_text("chunk 2: planned")
    page.keyboard.press("Enter")
    expect(page.locator("#chunk-title")).to_have_text("Chunk 2")
    assert page.evaluate("document.activeElement.id") == "chunk-title"
    press_until(page, "Shift+Tab", "#do-pause")
    page.keyboard.press("Enter")
    expect(page.locator("#head .state").first).to_have_text("paused")
    assert site.state(waiting) == "paused"


def test_all_of_it_works_without_javascript(visit, site, waiting):
    page = visit(f"/jobs?q={waiting}", java_script_enabled=False)
    page.click(f"#open-{waiting}")
    page.click("#do-pause")
    assert page.inner_text(".flash.done").startswith("The job is paused")
    page.click("#open-chunk-3")
    assert page.inner_text("#chunk-title") == "Chunk 3"
    assert "the job is paused" in page.inner_text("#chunk")
    page.select_option("#chunk-state", "done")
    page.click("#chunk-filter button")
    assert "No chunk here is like that." in page.inner_text("#chunks")
    page.click("#do-cancel")
    assert "What runs is stopped at once" in page.inner_text("main")
    page.click("button.grave")
    assert page.inner_text("#head .state >> nth=0") == "cancelled"
    assert site.state(waiting) == "cancelled"
