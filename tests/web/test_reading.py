"""What a job leaves behind is read whole, in part, and page by page."""

import json

EXPECTED = b"".join(b'{"n": %d}\n' % number for number in range(25))


def test_results_page_by_page(admin, finished):
    after, items = -1, []
    while True:
        page = admin.get(f"/api/jobs/{finished}/results", params={"after": after, "limit": 10})
        assert page.headers["content-type"] == "application/jsonl"
        lines = [json.loads(line) for line in page.text.splitlines()]
        items += lines
        after = int(page.headers["x-fallow-next"])
        if page.headers["x-fallow-over"] == "true":
            break
    assert items == [{"item": number, "output": {"n": number}} for number in range(25)]
    assert admin.get(f"/api/jobs/{finished}/results?after=24").content == b""


def test_output_whole(admin, finished):
    answer = admin.get(f"/api/jobs/{finished}/output/output.jsonl")
    assert answer.content == EXPECTED
    assert answer.headers["content-length"] == str(len(EXPECTED))
    manifest = admin.get(f"/api/jobs/{finished}/output/manifest.json").json()
    assert manifest["job"]["job_id"] == finished
    assert admin.get(f"/api/jobs/{finished}/output/errors.jsonl").content == b""
    assert admin.get(f"/api/jobs/{finished}/output/passwd").status_code == 404


def test_output_in_part(admin, finished):
    path = f"/api/jobs/{finished}/output/output.jsonl"
    part = admin.get(path, headers={"range": "bytes=9-17"})
    assert (part.status_code, part.content) == (206, EXPECTED[9:18])
    assert part.headers["content-range"] == f"bytes 9-17/{len(EXPECTED)}"
    assert admin.get(path, headers={"range": "bytes=-4"}).content == EXPECTED[-4:]
    past = admin.get(path, headers={"range": "bytes=99999-"})
    assert past.status_code == 416
    assert past.headers["content-range"] == f"bytes */{len(EXPECTED)}"
    assert past.json()["error"]["code"] == "range_not_satisfiable"


def test_an_etag_saves_reading_again_and_guards_a_range(admin, finished):
    path = f"/api/jobs/{finished}/output/output.jsonl"
    etag = admin.head(path).headers["etag"]
    assert admin.get(path, headers={"if-none-match": etag}).status_code == 304
    assert admin.get(path, headers={"range": "bytes=0-1", "if-range": etag}).status_code == 206
    assert admin.get(path, headers={"range": "bytes=0-1", "if-range": '"other"'}).content == EXPECTED


def test_the_log_of_an_attempt(admin, finished):
    attempt = admin.get(f"/api/jobs/{finished}/chunks/0/attempts").json()["attempts"][0]
    log = admin.get(f"/api/jobs/{finished}/attempts/{attempt['attempt_id']}/log")
    assert log.text == "seven!\n"
    assert log.headers["content-type"].startswith("text/plain")
    assert admin.get(f"/api/jobs/{finished}/attempts/999999/log").status_code == 404


def test_a_job_that_delivered_nothing_yet(house, admin):
    job = {"input_uri": house.input(), "command": ["cat"], "worker_label": "cloud"}
    job_id = admin.post("/api/jobs", json=job).json()["job_id"]
    assert admin.get(f"/api/jobs/{job_id}/output/output.jsonl").status_code == 404
    page = admin.get(f"/api/jobs/{job_id}/results")
    admin.post(f"/api/jobs/{job_id}/cancel")
    assert (page.content, page.headers["x-fallow-next"], page.headers["x-fallow-over"]) == (b"", "-1", "false")
