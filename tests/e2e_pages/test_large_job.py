"""A job of 100,000 chunks: one canvas, a bounded page, and numbers on how fast it is there."""

import json
import time

import pytest
from playwright.sync_api import expect

from tests.e2e_pages import scenes
from tests.e2e_pages.conftest import PHONE, violations

CHUNKS = 100_000
DONE = 60_000
DOM_NODES_MAX = 2_500
HEAP_BYTES_MAX = 24 << 20
ANSWER_BYTES_MAX = 300_000
PAINTED = """() => {
  const canvas = document.querySelector('[data-map] canvas');
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const shades = new Set();
  for (let n = 0; n < data.length; n += 4)
    if (data[n + 3] === 255) shades.add(data[n] << 16 | data[n + 1] << 8 | data[n + 2]);
  return [canvas.width, canvas.height, shades.size];
}"""


@pytest.fixture(scope="module")
def large(site):
    """60,000 chunks done, a few hundred that failed at first, some running, the rest planned."""
    now = site.server.system.clock.now()
    start = now - 3 * scenes.HOUR
    job = scenes.add_job(site.store, "large", CHUNKS, start, name="A hundred thousand chunks", items=100)
    step = 1500
    for first in range(0, DONE, step):
        at = start + int(2.9 * scenes.HOUR * first / DONE)
        leased = scenes.lease(site.store, job.job_key, scenes.WORKERS[first // step % 6], step, at)
        for each in leased[::400]:
            scenes.fail(site.store, each, at + scenes.SECOND, scenes.FAULTS[first // step % 3])
        good = [each for n, each in enumerate(leased) if n % 400]
        scenes.finish(site.store, job.job_key, good, at + (20 + first % 90) * scenes.SECOND)
    scenes.lease(site.store, job.job_key, "rack-2", 40, now)
    return job


def figures(page):
    """What Chromium itself counts, after a collection of garbage."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    found = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return {
        "heap_bytes": int(found["JSHeapUsedSize"]),
        "nodes": int(found["Nodes"]),
        "listeners": int(found["JSEventListeners"]),
    }


def test_a_hundred_thousand_chunks(visit, site, large, shoot, capsys):
    page = visit("/job?job_id=running")  # warm: the browser has the scripts, as after a first visit
    page.wait_for_selector("[data-map][data-drawn]")
    started = time.monotonic()
    page.goto("/job?job_id=large")
    page.wait_for_selector("[data-map][data-drawn]")
    seen = time.monotonic() - started
    timing = page.evaluate(
        "() => { const n = performance.getEntriesByType('navigation')[0]; return {"
        " interactive: n.domInteractive, loaded: n.domContentLoadedEventEnd,"
        " map: performance.getEntriesByName('fallow-map-drawn')[0].startTime}; }"
    )
    page.wait_for_selector("#charts:not([hidden]) canvas")
    page.wait_for_selector("#failures article")
    sizes = page.evaluate(
        "performance.getEntriesByType('resource').map(e => [e.name.replace(/.*8?[0-9]+[/]/, ''), e.decodedBodySize])"
    )
    before = figures(page)
    for mode in ("worker", "duration", "retries", "state"):
        page.check(f"[name=map-mode][value={mode}]", force=True)
        page.wait_for_selector(f"[data-map][data-drawn={mode}]")
        _, height, shades = page.evaluate(PAINTED)
        assert shades >= 2, mode
        assert height <= 800, mode
    shoot(page, "job-large-light")
    assert page.locator("[data-map] canvas").count() == 1
    assert "10 to a cell" in page.inner_text("[data-map-scale]")
    assert violations(page) == []

    leased = scenes.lease(site.store, large.job_key, "rack-5", 200, site.server.system.clock.now())
    expect(page.locator("[data-legend]")).to_contain_text("running 240")
    scenes.finish(site.store, large.job_key, leased, site.server.system.clock.now())
    expect(page.locator("[data-legend]")).to_contain_text("running 40")
    after = figures(page)
    with capsys.disabled():
        said = {"seconds to the drawn map": round(seen, 3), **{k: round(v) for k, v in timing.items()}}
        print(f"\n100,000 chunks: {json.dumps(said)} before: {json.dumps(before)} after: {json.dumps(after)}")
    for each in (before, after):
        assert each["nodes"] < 4 * DOM_NODES_MAX  # Chromium counts those of axe and of earlier pages too
        assert each["heap_bytes"] < HEAP_BYTES_MAX
    assert page.evaluate("document.querySelectorAll('*').length") < DOM_NODES_MAX
    assert max(size for name, size in sizes if "ui/job/map" in name) < ANSWER_BYTES_MAX


def test_what_changes_of_a_large_map_is_asked_for_alone(visit, site, large):
    page = visit("/job?job_id=large")
    page.wait_for_selector("[data-map][data-drawn]")
    with page.expect_response(lambda answer: "/ui/job/map" in answer.url and "after=" in answer.url) as answered:
        scenes.lease(site.store, large.job_key, "edge-kiosk-11", 5, site.server.system.clock.now())
    assert len(answered.value.body()) < 2_000


def test_a_cell_of_many_chunks_leads_to_its_table(visit, large, shoot):
    page = visit("/job?job_id=large", size=PHONE)
    page.wait_for_selector("[data-map][data-drawn]")
    page.focus("[data-map]")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator("#chunk-title")).to_have_text("Chunk 99990")
    expect(page.locator("#chunks tbody tr").first).to_have_attribute("id", "chunk-99990")
    page.evaluate("scrollTo(0, 0)")
    shoot(page, "job-large-phone")
