"""Logs: an event and fields, one line each, in text or JSON; and never a secret."""

import io
import json
import logging
from collections.abc import Iterator

import httpx2
import pytest
import structlog

from fallow.artifacts.port import Verb
from fallow.artifacts.signing import Grant
from fallow.core.words import Micros
from fallow.wiring.logs import configure_logs


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logs(stream, level="debug", form="json")
    yield stream
    configure_logs()


def entries(log: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def named(log: io.StringIO, event: str) -> list[dict]:
    return [each for each in entries(log) if each["event"] == event]


def planned(admin: httpx2.Client, house) -> str:
    """A job whose input has been read."""
    job = {"input_uri": house.input(20), "command": ["cat"], "chunk_items": 10, "worker_label": "cloud"}
    job_id = str(admin.post("/api/jobs", json=job).json()["job_id"])
    with admin.stream("GET", f"/api/jobs/{job_id}/events", timeout=30) as events:
        assert any('"event":"planned"' in line for line in events.iter_lines())
    return job_id


def test_every_request_is_a_line_with_its_id_and_its_route(admin, log):
    admin.get("/api/jobs/none", headers={"x-request-id": "request-12345"})
    [line] = [each for each in named(log, "request.done") if each["request_id"] == "request-12345"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/jobs/{job_id}", 404)
    assert line["level"] == "info"
    assert line["milliseconds"] >= 0
    assert "none" not in json.dumps(line)


def test_every_move_is_a_line_with_its_job_chunk_and_cause(admin, house, log):
    job_id = planned(admin, house)
    admin.post(f"/api/jobs/{job_id}/cancel")
    mine = [each for each in entries(log) if each.get("job") == job_id]
    assert [each["event"] for each in mine[:1]] == ["job.planning"]
    assert {(each["event"], each.get("chunk")) for each in mine} >= {
        ("chunk.planned", 0),
        ("chunk.planned", 1),
        ("job.running", None),
        ("job.cancelled", None),
    }
    levels = {each["event"]: each["level"] for each in mine}
    assert (levels["job.running"], levels["chunk.planned"]) == ("info", "debug")


def test_by_default_what_goes_well_is_not_told_chunk_by_chunk(admin, house):
    stream = io.StringIO()
    configure_logs(stream, form="json")
    try:
        job_id = planned(admin, house)
        admin.post(f"/api/jobs/{job_id}/cancel")
        admin.get("/healthz")
        events = [each["event"] for each in entries(stream)]
    finally:
        configure_logs()
    assert "job.running" in events
    assert "chunk.planned" not in events
    assert "/healthz" not in [each.get("route") for each in entries(stream)]


def test_text_is_for_people_and_one_line_each(admin):
    stream = io.StringIO()
    configure_logs(stream, form="text")
    try:
        admin.get("/api/jobs")
        lines = [line for line in stream.getvalue().splitlines() if "request.done" in line]
    finally:
        configure_logs()
    assert "route=/api/jobs" in lines[0]
    assert "\x1b" not in lines[0]


def test_other_libraries_write_in_the_same_form(log):
    logging.getLogger("uvicorn.error").warning("Something with %s in it.", "a placeholder")
    [line] = [each for each in entries(log) if "placeholder" in each["event"]]
    assert line["level"] == "warning"


def test_what_is_said_cannot_make_lines_of_its_own(log):
    structlog.get_logger("test").info("odd", name='a\n{"event": "forged"}\r\nb')
    assert len(log.getvalue().splitlines()) == 1


def test_no_secret_of_a_whole_flow_is_in_the_log(house, admin, log):
    made = admin.post("/api/keys", json={"name": "k", "scopes": ["submit"], "account_id": "carol"}).json()["key"]
    places = house.server.system.places
    token = places.signer.token(Grant(Verb.GET, "tests/none", Micros(places.clock.now() + 10**9)))
    with house.client(made) as carol:
        carol.put("/api/inputs/c.jsonl", content=b"1\n")
        carol.post("/api/jobs", json={"input_uri": "http://someone:hunter2secret@127.0.0.1:9/x", "command": ["cat"]})
        carol.get(f"/bytes/{token}")
        carol.get(f"/api/jobs?key={made}")
    httpx2.get(f"{house.url}/api/jobs", headers={"authorization": f"Bearer {made[:-1]}f"})
    for login in ("/login", "/signin", "/api/login", "/api/sessions"):
        httpx2.post(f"{house.url}{login}", data={"email": "a@b.example", "password": "hunter2secret"})
        httpx2.post(f"{house.url}{login}", json={"email": "a@b.example", "password": "hunter2secret"})
    planned(admin, house)
    text = log.getvalue()
    assert len(text.splitlines()) > 12
    for secret in (made, made.rpartition("_")[2], token, token[:40], house.server.admin_key, "hunter2secret"):
        assert secret not in text


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ("key flw_00112233aabb_8aed0b91c49d71191b", "8aed0b91c49d71191b"),
        ("GET /bytes/QUJDREVGR0hJSktMTU5PUFFSU1RVVldY/name", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"),
        ("Authorization: Bearer abc.def.ghi", "abc.def.ghi"),
        ("whsec_c2VjcmV0c2VjcmV0", "c2VjcmV0c2VjcmV0"),
        ("postgresql://fallow:pa55w0rd@db/fallow", "pa55w0rd"),
    ],
)
@pytest.mark.parametrize("form", ["json", "text"])
def test_a_secret_that_gets_into_a_line_does_not_leave(said, secret, form):
    stream = io.StringIO()
    configure_logs(stream, form=form)
    try:
        structlog.get_logger("test").warning("odd", said=said)
        logging.getLogger("other").warning(said)
        try:
            raise ValueError(said)
        except ValueError:
            structlog.get_logger("test").exception("worse")
    finally:
        configure_logs()
    assert secret not in stream.getvalue()
    assert stream.getvalue().count("odd") == 1
