"""The log of an attempt that runs, on the page of its job: it grows while somebody looks."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from fallow.core.words import Engine
from fallow.worker.agent import run_agent
from fallow.worker.options import AgentOptions
from tests.e2e_pages.conftest import Site, until, violations

SCRIPT = """
i=0; while [ $i -lt 60 ]; do echo "line $i <script>alert(1)</script>" >&2; i=$((i+1)); done
while [ ! -e "$0.one" ]; do sleep 0.05; done
echo 'now it goes on' >&2
while [ ! -e "$0.two" ]; do sleep 0.05; done
echo 'the end' >&2
cat
"""


@pytest.fixture
def told(site: Site, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The running job `told-...` of one chunk, whose program goes on when PATH.one and PATH.two are there."""
    job_id = f"told-{len(request.node.name)}"
    gate = site.folder / job_id
    (site.folder / f"{job_id}.jsonl").write_text('{"n":1}\n')
    job = {"job_id": job_id, "input_uri": f"file://{site.folder / job_id}.jsonl", "priority": 99, "reuse": "never"}
    with site.client() as admin:
        answer = admin.post("/api/jobs", json=job | {"command": ["sh", "-c", SCRIPT, str(gate)]})
    assert answer.status_code == 201, answer.text
    stop = threading.Event()
    options = AgentOptions(
        server=site.url,
        token=site.key,
        data_dir=site.folder / "teller",
        name="teller",
        engine=Engine.PROCESS,
        allow_process=True,
        drain_seconds=5,
    )
    worker = threading.Thread(target=run_agent, args=(options, stop), daemon=True)
    worker.start()
    try:
        until("it runs", lambda: _states(site, job_id) == ["leased"])
        yield gate
        for end in (".one", ".two"):
            gate.with_suffix(end).touch()
        until("its end", lambda: site.state(job_id) == "completed")
    finally:
        stop.set()
        worker.join(30)


def _states(site: Site, job_id: str) -> list[str]:
    with site.client() as admin:
        return [each["state"] for each in admin.get(f"/api/jobs/{job_id}/attempts").json()["attempts"]]


def test_a_log_grows_on_the_page(visit, shoot, told):
    page = visit(f"/job?job_id={told.name}&chunk=0")
    log = page.locator("#chunk pre[data-follow]")
    expect(log).to_contain_text("line 59 <script>alert(1)</script>", timeout=30_000)
    expect(page.locator("#chunk [data-log-live]")).to_be_visible()
    assert log.evaluate("pre => pre.scrollHeight - pre.scrollTop - pre.clientHeight") < 24, "it stays at the end"
    assert page.locator("#chunk pre script").count() == 0
    assert violations(page) == []
    shoot(page, "job-live-log")
    log.evaluate("pre => { pre.scrollTop = 0 }")
    told.with_suffix(".one").touch()
    expect(log).to_contain_text("now it goes on", timeout=30_000)
    assert log.evaluate("pre => pre.scrollTop") == 0, "who reads further up is left there"
    assert log.inner_text().count("line 59 ") == 1
    told.with_suffix(".two").touch()
    whole = page.locator("#chunk pre[id^=log-end-]:not([data-follow])")
    expect(whole).to_contain_text("now it goes on\nthe end", timeout=30_000)
    expect(page.locator("#chunk")).to_contain_text("whole log")


def test_without_scripts_a_reload_shows_the_newest(visit, told):
    page = visit(f"/job?job_id={told.name}&chunk=0", java_script_enabled=False)

    def shown(text):
        page.reload()
        return text in page.locator("#chunk").inner_text()

    until("the log is there", lambda: shown("line 59 <script>"))
    told.with_suffix(".one").touch()
    until("the newest is there", lambda: shown("now it goes on"))
    assert page.locator("#chunk [data-log-live]").is_hidden()
    page.click("#chunk >> text=what is known of it")
    assert "now it goes on" in page.inner_text("body")


def test_a_job_leads_to_the_receipts_of_its_lines(visit):
    page = visit("/job?job_id=finished&chunk=0")
    page.wait_for_selector("#chunk-receipts")
    page.click("#chunk-receipts")
    expect(page.locator("#job_id")).to_have_value("finished")
    page.go_back()
    page.click("#do-receipts")
    expect(page.locator("#job_id")).to_have_value("finished")
