"""Server and workers as separate processes that hang, die and come back."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.house import House, fallow, lines_of, numbered, wait_until

pytestmark = pytest.mark.containers

# A little work per item; {"do": "hang"} never answers.
SLOW_OR_HANG = 'while read -r line; do case "$line" in *hang*) sleep 100000;; esac; sleep 0.02; echo "$line"; done'


def submit(house: House, job_id: str, image: str, items: Path, **more: object) -> None:
    body = {"job_id": job_id, "input_uri": items.as_uri(), "container_image": image, "chunk_items": 25, **more}
    answer = house.call("POST", "/api/jobs", body)
    assert answer.status_code == 201, answer.text


def download(house: House, job_id: str, directory: Path) -> Path:
    got = fallow("results", job_id, "--output", directory, FALLOW_SERVER=house.url, FALLOW_TOKEN=house.key)
    assert got.returncode == 0, got.stderr
    return directory


def test_killed_workers_and_servers_change_nothing_in_the_output(
    tmp_path: Path, busybox: str, house: Callable[..., House]
) -> None:
    """One item hangs for ever; a worker, then the server, are killed mid-run and come back."""
    items = tmp_path / "items.jsonl"
    items.write_bytes(b"".join(numbered(400, {111: "hang"})))
    fleet = house()
    limits = {"item_timeout_seconds": 1.0, "start_timeout_seconds": 3.0}
    job = {"command": ["sh", "-c", SLOW_OR_HANG], "limits": limits}
    first, _second = fleet.worker("first", "--slots", "1"), fleet.worker("second", "--slots", "1")

    submit(fleet, "undisturbed", busybox, items, **job)
    assert fleet.wait_over("undisturbed")["state"] == "completed"

    submit(fleet, "disturbed", busybox, items, **job)
    done = lambda: fleet.job("disturbed")["progress"]["completed_items"]  # noqa: E731
    wait_until("some chunks to be done", lambda: done() >= 50)
    first.kill()
    wait_until("more chunks to be done", lambda: done() >= 100)
    fleet.server.kill()
    fleet.start_server()
    fleet.worker("first", "--slots", "1")
    assert fleet.wait_over("disturbed")["state"] == "completed"

    expected = download(fleet, "undisturbed", tmp_path / "a")
    got = download(fleet, "disturbed", tmp_path / "b")
    assert (got / "output.jsonl").read_bytes() == (expected / "output.jsonl").read_bytes()
    errors = lines_of(got / "errors.jsonl")
    assert [(line["item"], line["code"]) for line in errors] == [(111, "item_timeout")]
    assert fallow("verify", got).returncode == 0
    told = fleet.story("disturbed")
    assert "leased -> lost" in told
    assert "item_timeout" in told


def test_a_worker_that_is_told_to_stop_finishes_what_it_holds(
    tmp_path: Path, busybox: str, house: Callable[..., House]
) -> None:
    items = tmp_path / "items.jsonl"
    items.write_bytes(b"".join(numbered(200)))
    fleet = house()
    worker = fleet.worker("only", "--slots", "1")
    submit(fleet, "drained", busybox, items, command=["sh", "-c", SLOW_OR_HANG])
    wait_until("the first chunk", lambda: fleet.job("drained")["progress"]["completed_chunks"] >= 1)
    assert worker.stop() == 0
    counters = fleet.job("drained")["progress"]["counters"]
    assert (counters["attempts_leased"], counters["attempts_lost"], counters["attempts_errored"]) == (0, 0, 0)
    fleet.worker("only", "--slots", "1")
    assert fleet.wait_over("drained")["state"] == "completed"


def test_nothing_is_sent_to_workers_that_do_not_fit_and_the_story_says_so(
    tmp_path: Path, busybox: str, house: Callable[..., House]
) -> None:
    items = tmp_path / "items.jsonl"
    items.write_bytes(b"".join(numbered(10)))
    fleet = house()
    fleet.worker("here", "--slots", "1", "--label", "cloud")
    wait_until("the worker", lambda: fleet.call("GET", "/api/workers").json()["workers"])
    submit(fleet, "edgy", busybox, items, command=["cat"], worker_label="edge")
    told = wait_until("the reason", lambda: text if "label=edge" in (text := fleet.story("edgy")) else None)
    assert "label=edge excludes 1 of 1 workers" in told
    fleet.worker("there", "--slots", "1", "--label", "edge")
    assert fleet.wait_over("edgy")["state"] == "completed"
