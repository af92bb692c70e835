"""The submitters' calls, over a real socket."""

import json

import pytest

from fallow.web import events

SEED_SUMMARY = {"job_id", "status", "created_at", "progress"}
SEED_DETAIL = {"job_id", "created_at", "input_uri", "output_uri", "container_image", "status", "chunks"}
SEED_CHUNK = {"chunk_id", "status", "retries", "failure_reason", "verification"}
SEED_WORKER = {"worker_id", "label", "state", "last_seen"}


def submit(house, client, **fields):
    answer = client.post("/api/jobs", json={"input_uri": house.input(), "command": ["cat"]} | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def code(answer):
    error = answer.json()["error"]
    assert set(error) >= {"code", "message", "remedy", "details"}
    return answer.status_code, error["code"]


def test_a_finished_job_has_the_seeds_fields_and_ours(admin, finished):
    listed = admin.get("/api/jobs").json()
    summary = next(each for each in listed["jobs"] if each["job_id"] == finished)
    assert set(summary) >= SEED_SUMMARY
    assert summary["status"] == "completed"
    assert summary["progress"]["completed_chunks"] == summary["progress"]["total_chunks"] == 3
    detail = admin.get(f"/api/jobs/{finished}").json()
    assert set(detail) >= SEED_DETAIL
    assert [set(each) >= SEED_CHUNK for each in detail["chunks"]] == [True] * 3
    assert [(each["status"], each["verification"], each["retries"]) for each in detail["chunks"]] == [
        ("completed", "verified", 0)
    ] * 3
    assert detail["progress"]["completed_items"] == 25
    assert detail["output"]["items"] == 25
    workers = admin.get("/api/workers").json()["workers"]
    assert set(workers[0]) >= SEED_WORKER
    assert workers[0]["state"] == "idle"


def test_the_verbs_and_their_conflicts(house, admin):
    job_id = submit(house, admin)["job_id"]
    assert admin.post(f"/api/jobs/{job_id}/pause").json()["state"] == "paused"
    assert code(admin.post(f"/api/jobs/{job_id}/pause")) == (409, "state_conflict")
    assert code(admin.delete(f"/api/jobs/{job_id}")) == (409, "state_conflict")
    assert admin.post(f"/api/jobs/{job_id}/resume").json()["state"] == "running"
    assert admin.post(f"/api/jobs/{job_id}/cancel").json()["state"] == "cancelled"
    assert admin.post(f"/api/jobs/{job_id}/rerun").json()["state"] == "running"
    assert admin.post(f"/api/jobs/{job_id}/cancel").status_code == 200
    assert admin.delete(f"/api/jobs/{job_id}").status_code == 204
    assert code(admin.get(f"/api/jobs/{job_id}")) == (404, "not_found")


def test_pages_of_jobs_and_chunks_are_complete(house, admin, finished):
    for _ in range(3):
        admin.post(f"/api/jobs/{submit(house, admin)['job_id']}/cancel")
    seen, after = [], None
    while True:
        page = admin.get("/api/jobs", params={"limit": 2} | ({"after": after} if after else {})).json()
        seen += [each["job_id"] for each in page["jobs"]]
        after = page["next"]
        if after is None:
            break
    everything = [each["job_id"] for each in admin.get("/api/jobs?limit=1000").json()["jobs"]]
    assert seen == everything
    first = admin.get(f"/api/jobs/{finished}/chunks?limit=2").json()
    rest = admin.get(f"/api/jobs/{finished}/chunks?limit=2&after={first['next']}").json()
    assert [each["chunk_id"] for each in first["chunks"] + rest["chunks"]] == [0, 1, 2]
    assert rest["next"] is None
    assert len(admin.get(f"/api/jobs/{finished}/chunks?state=done").json()["chunks"]) == 3
    assert admin.get(f"/api/jobs/{finished}/chunks?state=failed").json()["chunks"] == []
    cancelled = admin.get("/api/jobs?state=cancelled").json()["jobs"]
    assert {each["state"] for each in cancelled} == {"cancelled"}


def test_attempts_carry_their_receipts(admin, finished):
    attempts = admin.get(f"/api/jobs/{finished}/attempts").json()["attempts"]
    assert [each["state"] for each in attempts] == ["valid"] * 3
    receipt = attempts[0]["receipt"]
    assert receipt["job_id"] == finished
    assert receipt["artifact"]["sha256"] == attempts[0]["artifact_sha256"]
    of_chunk = admin.get(f"/api/jobs/{finished}/chunks/1/attempts").json()["attempts"]
    assert [each["chunk_id"] for each in of_chunk] == [1]
    assert code(admin.get(f"/api/jobs/{finished}/chunks/99/attempts")) == (404, "not_found")


def test_the_story_of_a_chunk(admin, finished):
    story = admin.get(f"/api/jobs/{finished}/story?chunk=0").json()
    moves = [(line["kind"], line["event"]) for line in story["lines"]]
    assert moves == [
        ("chunk", "plan"),
        ("chunk", "open"),
        ("attempt", "queue"),
        ("attempt", "lease"),
        ("attempt", "report"),
        ("chunk", "verify"),
        ("attempt", "agree"),
        ("chunk", "accept"),
    ]
    assert story["why_waiting"] == []
    short = admin.get(f"/api/jobs/{finished}/story?chunk=0&limit=2").json()
    assert short["next"] == short["lines"][-1]["story_id"]


def test_a_job_says_why_it_waits(house, admin):
    job_id = submit(house, admin, worker_label="cloud")["job_id"]
    with admin.stream("GET", f"/api/jobs/{job_id}/events", timeout=30) as events:
        for line in events.iter_lines():
            if '"event":"planned"' in line:
                break
    waiting = admin.get(f"/api/jobs/{job_id}/story").json()["why_waiting"]
    admin.post(f"/api/jobs/{job_id}/cancel")
    assert waiting
    assert all(isinstance(each, str) for each in waiting)


def test_events_resume_and_end(admin, finished):
    def events(**headers):
        with admin.stream("GET", f"/api/jobs/{finished}/events", headers=headers, timeout=30) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            return list(answer.iter_lines())

    lines = events()
    ids = [int(line[4:]) for line in lines if line.startswith("id: ")]
    assert ids == sorted(set(ids))
    assert lines[-3:] == ["event: over", "data: {}", ""]
    data = [json.loads(line[6:]) for line in lines if line.startswith("data: {")][:-1]
    assert data[0]["event"] == "submit"
    rest = events(**{"Last-Event-ID": str(ids[-2])})
    assert [int(line[4:]) for line in rest if line.startswith("id: ")] == ids[-1:]


def test_a_stream_of_events_ends_by_itself_so_that_its_reader_is_asked_who_it_is(admin, house, monkeypatch):
    """A key that was revoked hears no more than the rest of a stream; whoever may comes back, and misses nothing."""
    monkeypatch.setattr(events, "_LASTS_SECONDS", 0.0)
    job = {"input_uri": house.input(), "command": ["cat"]}
    job_id = admin.post("/api/jobs", json=job).json()["job_id"]
    with admin.stream("GET", f"/api/jobs/{job_id}/events", timeout=30) as answer:
        assert "event: over" not in list(answer.iter_lines())
    assert admin.post(f"/api/jobs/{job_id}/cancel").json()["state"] == "cancelled", "it was not over"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"input_uri": "file:///etc/passwd.jsonl"}, (403, "input_not_allowed")),
        ({"input_uri": "gopher://x/in.jsonl"}, (403, "input_not_allowed")),
        ({"job_id": "../../x"}, (400, "job_id_invalid")),
        ({"num_chunks": 0}, (400, "chunks_invalid")),
        ({"num_chunks": 10**9}, (400, "chunks_invalid")),
        ({"chunk_range": {"start": -1, "end": 3}}, (400, "range_invalid")),
        ({"chunk_range": {"start": 5, "end": 3}}, (400, "range_invalid")),
        ({"chunk_range": {"start": 0, "end": 25}}, (400, "range_past_end")),
        ({"verify": "quorum:7"}, (400, "bad_request")),
        ({"container_image": "UPPER CASE"}, (400, "image_invalid")),
        ({"container_image": "oci:/nowhere/at/all"}, (400, "image_unknown")),
        ({"output_uri": "file:///etc/out"}, (403, "output_not_allowed")),
        ({"colour": "blue"}, (400, "bad_request")),
        ({"priority": 10**6}, (400, "bad_request")),
        ({"plugins": {"verifier": "exec:/bin/true"}}, (400, "plugin_unknown")),
    ],
)
def test_what_cannot_be_done_is_refused_at_the_door(house, admin, fields, expected):
    before = len(admin.get("/api/jobs?limit=1000").json()["jobs"])
    answer = admin.post("/api/jobs", json={"input_uri": house.input(), "command": ["cat"]} | fields)
    assert code(answer) == expected
    assert len(admin.get("/api/jobs?limit=1000").json()["jobs"]) == before


def test_a_missing_file_and_a_taken_name(house, admin):
    missing = {"input_uri": f"file://{house.folder}/none.jsonl", "command": ["cat"]}
    assert code(admin.post("/api/jobs", json=missing)) == (400, "input_missing")
    submit(house, admin, job_id="taken-1")
    again = {"input_uri": house.input(), "command": ["cat"], "job_id": "taken-1"}
    assert code(admin.post("/api/jobs", json=again)) == (409, "job_id_taken")
    admin.post("/api/jobs/taken-1/cancel")


def test_a_validation_error_names_the_field_and_not_the_value(admin):
    answer = admin.post("/api/jobs", json={"input_uri": "x", "limits": {"memory_bytes": "s3cret"}})
    assert code(answer) == (400, "bad_request")
    error = answer.json()["error"]
    assert error["details"]["fields"][0]["field"] == "limits.memory_bytes"
    assert "s3cret" not in answer.text
