"""/job in a browser: every part of it, with a mouse, with keys only, without JavaScript."""

import pytest

from tests.e2e_pages.conftest import PHONE, violations


@pytest.mark.parametrize("name", ["running", "finished", "broken"])
def test_a_job_in_light_dark_and_on_a_phone(visit, shoot, name):
    for variant, more in (("light", {}), ("dark", {"theme": "dark"}), ("phone", {"size": PHONE})):
        page = visit(f"/job?job_id={name}", **more)
        page.wait_for_selector("[data-map][data-drawn]")
        page.wait_for_selector("#failures p, #failures article, #failures table")
        page.wait_for_selector("#preview table, #preview p")
        if name == "broken":
            assert page.locator("#charts").is_hidden()
        else:
            page.wait_for_selector("[data-chart=pace] canvas")
        assert violations(page) == []
        page.evaluate("scrollTo(0, 0)")
        shoot(page, f"job-{name}-{variant}")


def test_a_chunk_has_its_story_attempts_log_and_receipt(visit, shoot):
    page = visit("/job?job_id=finished")
    page.click("#open-chunk-0")
    page.wait_for_selector("#chunk .attempt")
    panel = page.locator("#chunk")
    assert "seven is not wanted" in panel.inner_text()
    page.click("#chunk .receipt summary")
    assert '"receipt_version": 1' in panel.inner_text()
    assert "accept" in panel.locator("table.story").inner_text()
    assert "chunk=0" in page.url
    with page.expect_download() as download:
        page.click("text=As it was signed")
    assert download.value.suggested_filename.startswith("receipt-")
    assert violations(page) == []
    shoot(page, "job-chunk-light")
    page.click("[data-close-chunk]")
    assert panel.is_hidden()
    assert page.evaluate("document.activeElement.id") == "open-chunk-0"
