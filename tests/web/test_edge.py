"""The outermost ring: ids, bounds, forms of failure, logs, counters, health."""

import io
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest

from fallow.artifacts.port import Verb
from fallow.artifacts.signing import Grant
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros
from fallow.wiring.logs import configure_logs


def error(answer: httpx2.Response) -> dict:
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) >= {"code", "message", "remedy", "details"}
    return body["error"]


def test_every_answer_has_an_id_and_a_callers_own_is_kept(admin):
    ids = {admin.get("/healthz").headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert admin.get("/nothing", headers={"x-request-id": "mine-12345"}).headers["x-request-id"] == "mine-12345"
    odd = admin.get("/healthz", headers={"x-request-id": "a b<script>"}).headers["x-request-id"]
    assert "script" not in odd


def test_addresses_and_methods_that_are_not_there(admin):
    missing = admin.get("/api/nothing")
    assert (missing.status_code, error(missing)["code"]) == (404, "not_found")
    method = admin.patch("/api/jobs")
    assert (method.status_code, error(method)["code"]) == (405, "bad_request")
    assert "GET" in method.headers["allow"] or "POST" in method.headers["allow"]
    assert admin.get("/api/jobs/a%00b").status_code == 404
    assert admin.get("/api/jobs/..%2f..%2fetc").status_code == 404


def test_a_request_that_is_too_large_is_refused_said_or_unsaid(admin):
    large = b'{"input_uri": "' + b"x" * 200_000 + b'"}'
    json_type = {"content-type": "application/json"}
    said = admin.post("/api/jobs", content=large, headers=json_type)
    assert (said.status_code, error(said)["code"]) == (413, "too_large")
    unsaid = admin.post("/api/jobs", content=iter([large[:150_000], large[150_000:]]), headers=json_type)
    assert (unsaid.status_code, error(unsaid)["code"]) == (413, "too_large")
    hot = admin.post("/api/work", content=large)
    assert (hot.status_code, error(hot)["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b"{}", b'{"input_uri": 7}', b'{"input_uri": NaN}'),
        b'{"input_uri": "\\ud800"}',
        b'{"\\ud800": 1, "input_uri": "x"}',
        b'{"input_uri": "a\\u0000b"}',
        b'{"input_uri": "x", "priority": 1e999}',
        b'{"input_uri": "x", "num_chunks": ' + b"9" * 5000 + b"}",
        b'{"input_uri": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"env": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
    ],
)
@pytest.mark.parametrize("path", ["/api/jobs", "/api/keys", "/api/work", "/api/work/hello"])
def test_odd_bodies_are_bad_requests(admin, path, body):
    answer = admin.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 403), answer.text
    assert error(answer)["code"] in ("bad_request", "input_not_allowed")
    assert len(answer.content) < 20_000


def test_a_form_is_told_to_be_json(admin):
    answer = admin.post("/api/jobs", data={"input_uri": "x"})
    assert answer.status_code == 400
    assert "application/json" in error(answer)["remedy"]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, as a machine gets it."""
    stream = io.StringIO()
    configure_logs(stream, level="debug")
    yield stream
    configure_logs()


def test_a_mistake_of_ours_has_an_id_and_no_trace(house, admin, monkeypatch, log):
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(house.server.system.door.views), "workers", broken)
    answer = admin.get("/api/workers")
    assert answer.status_code == 500
    said = error(answer)
    assert said["code"] == "internal"
    assert said["request_id"] == answer.headers["x-request-id"]
    assert "secret detail" not in answer.text
    entries = [json.loads(line) for line in log.getvalue().splitlines()]
    failed = [each for each in entries if each["event"] == "request.failed"]
    assert [each["request_id"] for each in failed] == [said["request_id"]]
    assert failed[0]["exception"][0]["exc_value"] == "secret detail"


def test_a_part_that_cannot_be_reached_makes_the_door_unready(house, admin, monkeypatch):
    def gone(_: object) -> None:
        raise Refusal(Code.STORAGE_UNREACHABLE, "The database is gone.", "Start it.")

    assert admin.get("/readyz").json()["checked"] == ["bytes", "rows"]
    monkeypatch.setitem(house.server.system.door.checks, "rows", lambda: gone(None))
    answer = admin.get("/readyz")
    assert (answer.status_code, error(answer)["code"]) == (503, "storage_unreachable")
    assert admin.get("/healthz").status_code == 200


def test_no_secret_is_logged_or_counted(house, admin, log):
    places = house.server.system.places
    token = places.signer.token(Grant(Verb.GET, "tests/none", Micros(places.clock.now() + 10**9)))
    admin.get(f"/bytes/{token}")
    admin.get(f"/bytes/{token}/name?key={house.server.admin_key}")
    metrics = admin.get("/metrics").text
    assert "/bytes/{token}/{name}" in log.getvalue()
    for text in (log.getvalue(), metrics):
        assert token not in text
        assert house.server.admin_key not in text


def test_counters_have_no_ids(admin, finished):
    admin.get(f"/api/jobs/{finished}")
    text = admin.get("/metrics").text
    assert 'fallow_requests_total{method="GET",route="/api/jobs/{job_id}",status="2xx"}' in text
    assert "fallow_jobs_submitted_total" in text
    assert 'fallow_attempts_reported_total{verdict="accepted"}' in text
    assert "fallow_attempts_leased_total" in text
    assert 'fallow_jobs{state="running"}' in text
    assert finished not in text


def test_the_calls_describe_themselves_and_fetch_nothing(admin):
    described = admin.get("/openapi.json").json()
    assert "/api/jobs/{job_id}/events" in described["paths"]
    docs = admin.get("/docs")
    assert "POST /api/jobs" in docs.text
    for elsewhere in ("<script", "src=", "http://", "https://", "<link", "url("):
        assert elsewhere not in docs.text
    assert admin.get("/").headers["location"] == "/jobs"


def test_version(admin):
    assert set(admin.get("/api/version").json()) == {"version", "protocol"}


def test_garbage_on_the_wire_does_not_stop_the_door(house, admin):
    parts = urlsplit(house.url)
    for junk in (
        b"\x00" * 100 + b"\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/work HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ):
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
            connection.sendall(junk)
            connection.recv(1000)
    assert json.loads(admin.get("/healthz").text) == {"status": "ok"}
