"""What every page keeps to: its policy, its escaping, its forms; and who may see what."""

import html.parser
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from fallow.control.charts import Cell, ChunkMap
from fallow.settings import Settings
from fallow.web.ui.job_data import packed
from fallow.wiring import start_embedded
from tests.web.conftest import House

EVIL = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
VOID = {"meta", "link", "input", "br", "img"}
BROWSER = {"accept": "text/html"}


@contextmanager
def signed_in(house: House, key: str | None = None) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=house.url, headers=BROWSER) as client:
        answer = client.post("/sign-in", data={"key": key or house.server.admin_key}, headers={"origin": house.url})
        assert answer.status_code == 303, answer.text
        yield client


@pytest.fixture(scope="module")
def browser(house: House) -> Iterator[httpx2.Client]:
    with signed_in(house) as client:
        yield client


@pytest.fixture(scope="module")
def evil(house: House, admin: httpx2.Client) -> str:
    """The id of a job whose name and command are markup."""
    job = {"job_id": "evil-job", "name": EVIL, "input_uri": house.input(name="evil.jsonl"), "command": ["echo", EVIL]}
    assert admin.post("/api/jobs", json=job).status_code == 201
    return "evil-job"


def token_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found
    return found[1]


class Outline(html.parser.HTMLParser):
    """Every element that is opened is closed; collects what a strict policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name == "style" or name.startswith(("on", "hx-on")) or (value or "").startswith("javascript:"):
                self.wrong.append(f"{tag} {name}")
        if tag == "script" and "src" not in dict(attrs):
            self.wrong.append("a script in the page")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag


def outline(page: str) -> Outline:
    found = Outline()
    found.feed(page)
    assert found.open == []
    assert found.wrong == []
    assert len(found.ids) == len(set(found.ids))
    return found


PAGES = [
    "/jobs",
    "/jobs?q=%3Cscript%3E&state=live",
    "/job?job_id={job}",
    "/job?job_id={job}&chunk=0",
    "/job/cancel?job_id={job}",
    "/job?job_id=nobodys",
    "/job",
]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_whole_and_uses_nothing_but_our_files(browser: httpx2.Client, finished: str, path: str) -> None:
    answer = browser.get(path.format(job=finished))
    policy = answer.headers["content-security-policy"]
    for part in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ):
        assert part in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    outline(answer.text)
    assert '<html lang="en">' in answer.text
    assert answer.text.count("<h1") == 1
    for address in re.findall(r'(?:src|href|action|hx-get)="([^"]*)"', answer.text):
        assert address.startswith(("/", "#")), address
        assert not address.startswith("//")


@pytest.mark.parametrize("path", ["head", "chunks", "failures", "preview", "chunk?chunk=0&"])
def test_a_piece_of_a_page_is_whole_too(browser: httpx2.Client, finished: str, path: str) -> None:
    answer = browser.get(f"/ui/job/{path}{'' if '?' in path else '?'}job_id={finished}")
    assert answer.status_code == 200
    assert "content-security-policy" in answer.headers
    assert "<html" not in answer.text
    outline(answer.text)


def test_names_are_text(browser: httpx2.Client, evil: str) -> None:
    for path in (f"/jobs?q={evil}", f"/job?job_id={evil}", f"/job/cancel?job_id={evil}", "/jobs?q=" + EVIL):
        text = browser.get(path).text
        outline(text)
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    assert "&lt;script&gt;alert(1)" in browser.get(f"/jobs?q={evil}").text


def test_strangers_are_led_to_the_sign_in_and_back(house: House) -> None:
    with httpx2.Client(base_url=house.url) as stranger:
        answer = stranger.get("/job?job_id=x&chunk=2")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/sign-in?next=%2Fjob%3Fjob_id%3Dx%26chunk%3D2"
        assert stranger.get("/ui/job/head?job_id=x", headers={"hx-request": "true"}).headers["hx-refresh"] == "true"
        assert stranger.get("/ui/jobs/events", headers={"accept": "text/event-stream"}).status_code == 401
        assert stranger.post("/job/cancel", data={"job_id": "x"}).status_code == 303


def test_other_peoples_jobs_are_not_there(house: House, finished: str) -> None:
    with signed_in(house, house.key("submit", account="mallory")) as mallory:
        for path in (
            "/job?",
            "/job?chunk=0&",
            "/ui/job/head?",
            "/ui/job/map?",
            "/ui/job/runs?",
            "/ui/job/series?",
            "/ui/job/failures?",
            "/ui/job/preview?",
            "/ui/job/chunks?",
            "/ui/job/chunk?chunk=0&",
            "/ui/job/log?attempt=1&",
            "/ui/job/envelope?attempt=1&",
            "/ui/job/output?name=output.jsonl&",
        ):
            there, nowhere = mallory.get(f"{path}job_id={finished}"), mallory.get(f"{path}job_id=nowhere-x")
            assert there.status_code == nowhere.status_code == 404, path
        assert finished not in mallory.get("/jobs").text
        token = token_of(mallory.get("/jobs").text)
        for verb in ("pause", "resume", "cancel", "rerun", "delete"):
            assert mallory.post(f"/job/{verb}", data={"job_id": finished, "csrf": token}).status_code == 404


def test_a_form_needs_the_token_of_its_own_sign_in(house: House, browser: httpx2.Client, evil: str) -> None:
    own = token_of(browser.get("/jobs").text)
    with signed_in(house) as elsewhere:
        replayed = token_of(elsewhere.get("/jobs").text)
    assert replayed != own
    for token in ({}, {"csrf": ""}, {"csrf": "wrong"}, {"csrf": replayed}, {"csrf": own + "x"}, {"csrf": "é"}):
        refused = browser.post("/job/pause", data={"job_id": evil, **token})
        assert refused.status_code == 403, token
        outline(refused.text)
    assert 'class="state paused"' not in browser.get(f"/job?job_id={evil}").text
    done = browser.post("/job/pause", data={"job_id": evil, "csrf": own})
    assert (done.status_code, done.headers["location"]) == (303, f"/job?job_id={evil}")
    page = browser.get(f"/job?job_id={evil}")
    assert "The job is paused." in page.text
    assert "The job is paused." not in browser.get(f"/job?job_id={evil}").text  # said once
    resumed = browser.post("/job/resume", data={"job_id": evil}, headers={"x-csrf-token": own})
    assert resumed.status_code == 303


def test_deeds_that_are_none_and_ids_that_are_none(browser: httpx2.Client) -> None:
    token = token_of(browser.get("/jobs").text)
    assert browser.get("/job/explode?job_id=x").status_code == 404
    assert browser.post("/job/explode", data={"job_id": "x", "csrf": token}).status_code == 404
    assert browser.post("/job/cancel", data={"job_id": "../../etc", "csrf": token}).status_code == 404
    assert browser.post("/job/cancel", data={"csrf": token}).status_code == 400
    for query in ("job_id=a%0d%0ab", "job_id=" + "x" * 500, "job_id=%00"):
        assert browser.get(f"/job?{query}").status_code in (400, 404)
    assert browser.get("/jobs?after=nowhere").status_code == 404
    assert browser.get("/jobs?q=" + "x" * 201).status_code == 400


def test_a_chunk_shows_its_receipt_and_log(browser: httpx2.Client, finished: str) -> None:
    page = browser.get(f"/job?job_id={finished}&chunk=0").text
    assert "seven!" in page
    assert "receipt_version" in page
    [attempt] = set(re.findall(r"/ui/job/envelope\?job_id=[\w-]+&amp;attempt=(\d+)", page))
    sealed = browser.get(f"/ui/job/envelope?job_id={finished}&attempt={attempt}")
    assert sealed.json()["payloadType"] == "application/vnd.fallow.receipt+json"
    assert "attachment" in sealed.headers["content-disposition"]
    log = browser.get(f"/ui/job/log?job_id={finished}&attempt={attempt}")
    assert log.text == "seven!\n"
    assert "sandbox" in log.headers["content-security-policy"]
    assert browser.get(f"/ui/job/envelope?job_id={finished}&attempt=99999").status_code == 404
    output = browser.get(f"/ui/job/output?job_id={finished}&name=output.jsonl")
    assert output.text.count("\n") == 25
    assert browser.get(f"/ui/job/output?job_id={finished}&name=../x").status_code == 404


def test_an_event_says_what_changed_and_only_that(house: House, admin: httpx2.Client, browser: httpx2.Client) -> None:
    job = {"job_id": "watched", "input_uri": house.input(name="watched.jsonl"), "command": ["cat"]}
    with browser.stream("GET", "/ui/jobs/events?q=watched", timeout=30) as events:
        lines = events.iter_lines()
        assert next(lines) == "retry: 1000"
        admin.post("/api/jobs", json=job)
        said = next(line for line in lines if line.startswith("data:"))
    assert '"changed":["watched"]' in said


def test_statics_are_kept_for_ever_and_nothing_else_is_served(browser: httpx2.Client) -> None:
    [address] = re.findall(r'href="(/static/[^"]+base.css)"', browser.get("/jobs").text)
    with httpx2.Client(base_url=str(browser.base_url)) as anybody:
        sheet = anybody.get(address)
        assert sheet.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert sheet.headers["content-encoding"] == "gzip"
        assert anybody.get(address, headers={"accept-encoding": "identity"}).content == sheet.content
        again = anybody.get(address, headers={"if-none-match": sheet.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        old = anybody.get(re.sub(r"/static/\w+/", "/static/0123/", address))
        assert old.headers["cache-control"] == "no-cache"
        for other in ("../site.py", "..%2fsite.py", "templates/base.html", "", "vendor"):
            assert anybody.get(f"/static/0/{other}").status_code == 404


def test_an_open_server_shows_jobs_to_anybody_and_lets_nobody_act(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", open=True, allow_process_jobs=True, allowed_roots=(tmp_path,))
    server = start_embedded(settings)
    try:
        house = House(server, tmp_path)
        with house.client() as admin:
            job = {"job_id": "shown", "input_uri": house.input(), "command": ["cat"], "env": {"TOKEN": "s3cret"}}
            admin.post("/api/jobs", json=job)
        with httpx2.Client(base_url=server.url) as anybody:
            assert "shown" in anybody.get("/jobs").text
            page = anybody.get("/job?job_id=shown").text
            assert "s3cret" not in page
            assert '<form method="post"' not in page
            assert anybody.get("/ui/job/map?job_id=shown").status_code == 200
            for path in ("/job?job_id=shown&chunk=0",):
                assert 'id="chunk-title"' not in anybody.get(path).text
            for path in ("/ui/job/preview?job_id=shown", "/ui/job/chunk?job_id=shown&chunk=0"):
                assert anybody.get(path).status_code == 303
            assert anybody.post("/job/cancel", data={"job_id": "shown"}).headers["location"] == "/sign-in"
    finally:
        server.stop()


def test_a_packed_map_is_what_the_page_reads() -> None:
    cells = (Cell(3, (0, 1, 2, 3, 4, 5, 6, 70_000)), Cell(9, (1, 0, 0, 0, 0, 0, 0, 0)))
    data = packed(ChunkMap(chunks=100, per_cell=10, mark=2**40 + 7, whole=False, cells=cells))
    assert struct.unpack_from("<8I", data) == (1, 100, 10, 2, 0, 7, 2**8, 0)
    assert struct.unpack_from("<2I", data, 32) == (3, 9)
    assert struct.unpack_from("<16H", data, 40) == (0, 1, 2, 3, 4, 5, 6, 65535, 1, 0, 0, 0, 0, 0, 0, 0)
    assert len(data) == 32 + 2 * 4 + 2 * 16
