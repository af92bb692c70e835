"""A server that is killed under a batch: after its restart every request is answered, and told once."""

import json
import sys
from pathlib import Path

import httpx2

from tests.e2e.house import House, wait_until
from tests.openai.conftest import ENDPOINT, add_model, key_of

REQUESTS = 24


def test_a_server_killed_under_a_batch(tmp_path: Path) -> None:
    house = House(tmp_path, "--allow-process", FALLOW_CLAIM_SECONDS="2", FALLOW_ROLE_SECONDS="0.1")
    try:
        house.start_server()
        add_model(house, "echo", ENDPOINT, {"command": [sys.executable, "-S", str(Path(__file__).parent / "model.py")]})
        house.worker("worker", "--engine", "process", "--allow-process", "--slots", "2")
        headers = {"authorization": f"Bearer {key_of(house, 'a')}"}
        with httpx2.Client(base_url=house.url + "/v1", headers=headers, timeout=30) as client:
            batch_id = started(client)
            wait_until("some answers", lambda: counts(client, batch_id)["completed"] >= 5)
            house.server.kill()
            house.start_server()
            over = wait_until("the batch's end", lambda: ended(client, batch_id))
            output = client.get(f"/files/{over['output_file_id']}/content").text.splitlines()
            errors = client.get(f"/files/{over['error_file_id']}/content").text.splitlines()
            listed = client.get("/files", params={"purpose": "batch_output"}).json()["data"]
    finally:
        house.stop()
    assert over["status"] == "completed"
    names = [json.loads(line)["custom_id"] for line in output]
    assert names == [f"r-{n}" for n in range(REQUESTS) if n % 10 != 3]
    assert [json.loads(line)["custom_id"] for line in errors] == [f"r-{n}" for n in range(3, REQUESTS, 10)]
    assert {each["id"] for each in listed} == {over["output_file_id"], over["error_file_id"]}
    assert over["usage"]["total_tokens"] == 5 * len(names)


def started(client: httpx2.Client) -> str:
    bodies = ({"model": "echo", "input": "bad" if n % 10 == 3 else "a", "sleep": 0.1} for n in range(REQUESTS))
    lines = (
        json.dumps({"custom_id": f"r-{n}", "method": "POST", "url": ENDPOINT, "body": body}).encode() + b"\n"
        for n, body in enumerate(bodies)
    )
    file = client.post("/files", data={"purpose": "batch"}, files={"file": ("in.jsonl", b"".join(lines))}).json()
    asked = {
        "input_file_id": file["id"],
        "endpoint": ENDPOINT,
        "completion_window": "24h",
        "x_fallow": {"chunk_items": 1},
    }
    made = client.post("/batches", json=asked)
    assert made.status_code == 200, made.text
    return str(made.json()["id"])


def counts(client: httpx2.Client, batch_id: str) -> dict[str, int]:
    return dict(client.get(f"/batches/{batch_id}").json()["request_counts"])


def ended(client: httpx2.Client, batch_id: str) -> dict[str, object] | None:
    found = dict(client.get(f"/batches/{batch_id}").json())
    return found if found["status"] in ("completed", "failed", "expired", "cancelled") else None
