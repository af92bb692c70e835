"""What the first prototype of this system promised: its JSON, and an image written from its text alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.house import House, fallow, lines_of, numbered
from tests.e2e.test_fleet import download

pytestmark = pytest.mark.containers

# Pulls its input, works on it, pushes the output, writes a receipt: shell and wget are enough.
DIRECT = r"""
set -e
wget -q -O /tmp/in.jsonl "$AI_INPUT_URI"
name=chunk-$AI_CHUNK_ID.jsonl
sed 's/"n"/"answer"/' /tmp/in.jsonl > /out/$name
sha=$(sha256sum /out/$name | cut -d' ' -f1)
wget -q -O /dev/null --post-file=/out/$name "$AI_OUTPUT_URI/$name"
cat > /out/receipt.json <<END
{"job_id": "$AI_JOB_ID", "chunk_id": $AI_CHUNK_ID, "artifact": {"uri": "$AI_OUTPUT_URI/$name", "sha256": "$sha"}}
END
"""


def test_the_seeds_own_request_runs_and_its_gets_answer(
    tmp_path: Path, busybox: str, house: Callable[..., House]
) -> None:
    items = tmp_path / "items.jsonl"
    items.write_bytes(b"".join(numbered(40)))
    fleet = house("--open")
    fleet.worker("edge-1", "--slots", "1", "--label", "edge")
    asked = {
        "job_id": "job-123",
        "input_uri": items.as_uri(),
        "output_uri": (tmp_path / "output").as_uri(),
        "container_image": busybox,
        "worker_label": "edge",
        "num_chunks": 4,
        "chunk_range": {"start": 10, "end": 29},
    }
    created = fleet.call("POST", "/api/jobs", asked)
    assert created.status_code == 201, created.text
    assert {"job_id", "created_at", "input_uri", "output_uri", "container_image", "status", "chunks"} <= set(
        created.json()
    )
    fleet.wait_over("job-123")
    listed = fleet.call("GET", "/api/jobs", key="").json()["jobs"][0]
    assert (listed["job_id"], listed["status"]) == ("job-123", "completed")
    assert listed["progress"]["completed_chunks"] == listed["progress"]["total_chunks"] == 4
    assert "created_at" in listed
    detail = fleet.call("GET", "/api/jobs/job-123", key="").json()
    assert [
        (chunk["chunk_id"], chunk["status"], chunk["retries"], chunk["failure_reason"], chunk["verification"])
        for chunk in detail["chunks"]
    ] == [(number, "completed", 0, None, "verified") for number in range(4)]
    worker = fleet.call("GET", "/api/workers", key="").json()["workers"][0]
    assert (worker["label"], worker["state"]) == ("edge", "idle")
    assert {"worker_id", "last_seen"} <= set(worker)
    assert fleet.call("GET", "/api/jobs/none", key="").status_code == 404
    assert [line["n"] for line in lines_of(tmp_path / "output/output.jsonl")] == list(range(10, 30))


def test_without_open_the_gets_want_a_key(house: Callable[..., House]) -> None:
    fleet = house()
    for path in ("/api/jobs", "/api/jobs/any", "/api/workers"):
        assert fleet.call("GET", path, key="").status_code == 401


def test_a_direct_image_written_from_the_seeds_text_runs_and_is_proved(
    tmp_path: Path, busybox: str, house: Callable[..., House]
) -> None:
    items = tmp_path / "items.jsonl"
    items.write_bytes(b"".join(numbered(30)))
    fleet = house()
    fleet.worker("edge-1", "--slots", "1")
    asked = {
        "job_id": "direct-1",
        "input_uri": items.as_uri(),
        "container_image": busybox,
        "contract": "direct",
        "command": ["sh", "-c", DIRECT],
        "num_chunks": 3,
    }
    assert fleet.call("POST", "/api/jobs", asked).status_code == 201
    job = fleet.wait_over("direct-1")
    assert job["state"] == "completed", fleet.story("direct-1", 0)
    out = download(fleet, "direct-1", tmp_path / "out")
    assert lines_of(out / "output.jsonl") == [{"answer": n} for n in range(30)]
    assert fallow("verify", out).returncode == 0
