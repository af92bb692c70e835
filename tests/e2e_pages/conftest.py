"""A server with jobs in every state, and a real browser that is signed in at it."""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from fallow.core.lifecycle import JobEvent
from fallow.core.words import Engine, Micros
from fallow.settings import Settings
from fallow.store.port import Store
from fallow.wiring import EmbeddedServer, start_embedded
from fallow.worker.agent import run_agent
from fallow.worker.options import AgentOptions
from tests.e2e_pages import scenes

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / ".cache" / "screenshots"
AXE = ROOT / ".cache" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
DESKTOP = {"width": 1360, "height": 900}
PHONE = {"width": 390, "height": 844}
EVIL = "<script>alert(1)</script>"
LOGIC = """case "$line" in *'"n": 7}'*) echo "seven is not wanted" >&2
echo '{"error":{"code":"seven","message":"no sevens"}}';;
*) echo "$line";; esac"""


@dataclass(frozen=True)
class Site:
    """A server with jobs in it: finished, running, failed, paused, evil."""

    server: EmbeddedServer
    folder: Path

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def key(self) -> str:
        return self.server.admin_key

    @property
    def store(self) -> Store:
        return self.server.system.store

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, headers={"authorization": f"Bearer {self.key}"}, timeout=60)

    def submit(self, job_id: str, script: str, items: int = 40, chunk_items: int = 10, **more: object) -> None:
        """A job of numbered items; the script is what each line goes through."""
        path = self.folder / f"{job_id}.jsonl"
        path.write_text("".join(json.dumps({"n": number}) + "\n" for number in range(items)))
        command = ["sh", "-c", f"while IFS= read -r line; do {script}; done"]
        job = {"job_id": job_id, "input_uri": f"file://{path}", "command": command, "chunk_items": chunk_items, **more}
        with self.client() as admin:
            answer = admin.post("/api/jobs", json=job)
        assert answer.status_code == 201, answer.text

    def state(self, job_id: str) -> str:
        with self.client() as admin:
            return str(admin.get(f"/api/jobs/{job_id}").json()["state"])


def until(what: str, true: Callable[[], Any], seconds: float = 60) -> None:
    """Polls a real process; fails, naming what was waited for."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("pages")
    server = start_embedded(Settings(data_dir=folder / "data", allowed_roots=(folder,), allow_process_jobs=True))
    made = Site(server, folder)
    made.submit("finished", LOGIC, name="Titles of the archive, first half")
    made.submit("broken", "echo 'cannot load the model' >&2; exit 3", items=30, name="Wrong image")
    made.submit("evil", "echo '<img src=x onerror=alert(2)>' >&2; exit 4", items=1, name=EVIL)
    _work(made, "finished", "broken", "evil")
    now = server.system.clock.now()
    scenes.add_workers(made.store, now)
    running = scenes.add_job(made.store, "running", 640, now - 2 * scenes.HOUR, name="Embeddings of 640,000 abstracts")
    scenes.run_half(made.store, running, 380, now)
    paused = scenes.add_job(made.store, "paused", 12, now - scenes.HOUR, account="bob", name="Nightly captions")
    scenes.add_job(made.store, "waiting", 50, now - scenes.HOUR, account="bob")
    with made.store.transaction() as tx:
        tx.move_job(paused.job_key, JobEvent.PAUSE, "", "key k-1", Micros(now))
    yield made
    server.stop()


def _work(site: Site, *job_ids: str) -> None:
    """A real worker, until these jobs are over."""
    stop = threading.Event()
    options = AgentOptions(
        server=site.url,
        token=site.key,
        data_dir=site.folder / "worker",
        name="atelier",
        engine=Engine.PROCESS,
        allow_process=True,
        drain_seconds=5,
    )
    worker = threading.Thread(target=run_agent, args=(options, stop))
    worker.start()
    over = {"completed", "failed", "cancelled", "expired"}
    try:
        until(f"the end of {job_ids}", lambda: all(site.state(each) in over for each in job_ids), 120)
    finally:
        stop.set()
        worker.join(30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or the one that CHROMIUM names. Not for the whole session: while Playwright runs, its thread
    counts as inside an event loop, in which tests of other files could not start theirs."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "the pages' tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


Visit = Callable[..., Page]


def sign_in(context: BrowserContext, url: str, key: str) -> None:
    """As the sign-in page leaves a browser."""
    assert context.request.post(f"{url}/sign-in", form={"key": key}).ok


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Visit]:
    """Opens a page in a signed-in browser; fails when the page complains, breaks its policy or a script goes wrong."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened(
        path: str,
        *,
        theme: str = "light",
        size: dict[str, int] = DESKTOP,
        key: str = "",
        cut_off: bool = False,
        **more: Any,
    ) -> Page:
        context = browser.new_context(base_url=site.url, color_scheme=theme, viewport=size, locale="en-GB", **more)
        contexts.append(context)
        sign_in(context, site.url, key or site.key)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda wrong: complaints.append(str(wrong)))
        if not cut_off:  # whose requests the test breaks: the browser says so for each
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def shoot() -> Callable[[Page, str], None]:
    """Keeps a picture of the whole page for people to look at."""
    SHOTS.mkdir(parents=True, exist_ok=True)

    def shot(page: Page, name: str) -> None:
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    return shot


def violations(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.2 A and AA on the page as it stands."""
    page.evaluate(AXE.read_text())  # not as a script element, which the page's policy would refuse
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = page.evaluate("tags => axe.run(document, {runOnly: tags})", tags)
    return [
        f"{each['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]
