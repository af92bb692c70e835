"""Who may do what: keys, scopes, other people's things."""

import httpx2
import pytest

from fallow.clock import ManualClock
from fallow.control.callers import Caller
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Scope
from fallow.settings import Settings
from fallow.web.signin import SignIn
from fallow.wiring import start_embedded

CLOSED = [
    ("GET", "/api/jobs"),
    ("GET", "/api/workers"),
    ("GET", "/api/jobs/x"),
    ("POST", "/api/jobs"),
    ("GET", "/api/keys"),
    ("DELETE", "/api/keys/x"),
    ("PUT", "/api/inputs/x"),
    ("POST", "/api/work"),
    ("POST", "/api/work/hello"),
    ("GET", "/api/work/images/sha256:0"),
    ("GET", "/api/jobs/x/output/output.jsonl"),
    ("GET", "/api/jobs/x/events"),
]


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Bearer flw_1_2", "Basic YTpi", "Bearer", "", "\xe9"])
def test_without_a_good_key_nothing_opens(house, method, path, header):
    headers = {} if header is None else {"authorization": header.encode("latin-1")}
    body = {"input_uri": "file:///x.jsonl"} if (method, path) == ("POST", "/api/jobs") else None
    answer = httpx2.request(method, house.url + path, headers=headers, json=body)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthenticated"
    assert "Bearer" in answer.headers["www-authenticate"]


def test_scopes(house):
    work, submit = house.key("work"), house.key("submit")
    with house.client(work) as worker:
        job = {"input_uri": house.input(), "command": ["cat"]}
        assert worker.post("/api/jobs", json=job).status_code == 403
        assert worker.put("/api/inputs/a.jsonl", content=b"{}").status_code == 403
    with house.client(submit) as submitter:
        ask = {"worker_id": "w-1", "session": "s"}
        assert submitter.post("/api/work", json=ask).status_code == 403
        greater = {"name": "more", "scopes": ["operate"]}
        assert submitter.post("/api/keys", json=greater).json()["error"]["code"] == "forbidden"


def test_other_peoples_jobs_are_not_there(house, finished):
    with house.client(house.key("submit", account="eve")) as eve:
        assert eve.get("/api/jobs").json()["jobs"] == []
        for path in ("", "/chunks", "/attempts", "/results", "/output/output.jsonl", "/story", "/events"):
            answer = eve.get(f"/api/jobs/{finished}{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), path
        for verb in ("pause", "resume", "cancel", "rerun"):
            assert eve.post(f"/api/jobs/{finished}/{verb}").status_code == 404
        assert eve.delete(f"/api/jobs/{finished}").status_code == 404


def test_a_key_is_shown_once_and_revoked_at_once(house, admin):
    made = admin.post("/api/keys", json={"name": "mine", "scopes": ["submit"], "account_id": "benny"}).json()
    with house.client(made["key"]) as bob:
        listed = bob.get("/api/keys").json()["keys"]
        assert [each["key_id"] for each in listed] == [made["key_id"]]
        assert "key" not in listed[0]
        assert admin.delete(f"/api/keys/{made['key_id']}").status_code == 204
        assert bob.get("/api/keys").status_code == 401
    assert admin.delete("/api/keys/nobody").status_code == 404


def test_an_open_server_answers_the_seeds_three_reads_and_nothing_else(tmp_path):
    server = start_embedded(Settings(data_dir=tmp_path, open=True, allow_process_jobs=True))
    try:
        with httpx2.Client(base_url=server.url) as anybody:
            assert anybody.get("/api/jobs").json() == {"jobs": [], "next": None}
            assert anybody.get("/api/workers").json() == {"workers": []}
            assert anybody.get("/api/jobs/x").status_code == 404
            assert anybody.get("/api/jobs/x/chunks").status_code == 401
            assert anybody.post("/api/jobs", json={"input_uri": "x"}).status_code == 401
            assert anybody.get("/api/jobs", headers={"authorization": "Bearer wrong"}).status_code == 401
    finally:
        server.stop()


def test_a_good_key_is_remembered_for_seconds_and_a_bad_one_never():
    clock, asked = ManualClock(), []

    def authenticate(token: str) -> Caller:
        asked.append(token)
        if token == "bad":
            raise Refusal(Code.UNAUTHENTICATED, "No.")
        return Caller("k", "a", frozenset({Scope.SUBMIT}))

    signin = SignIn(authenticate, clock, open_reads=False)
    for _ in range(3):
        signin.caller("Bearer good")
        with pytest.raises(Refusal):
            signin.caller("bearer bad")
    assert asked == ["good", "bad", "bad", "bad"]
    clock.advance(5)
    signin.caller("Bearer good")
    signin.forget()
    signin.caller("Bearer good")
    assert asked.count("good") == 3
