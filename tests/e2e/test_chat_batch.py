"""The same through OpenAI's door: a batch of two thousand chat requests, sent and fetched by the openai package."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fallow.sdk.images import BuiltImage
from fallow.worker.contracts.http_items import request_id
from tests.e2e.house import House, fallow, lines_of, wait_until
from tests.e2e.test_http_contract import expected, running
from tests.openai.conftest import PACKAGES, VERSIONS, key_of
from tests.servers.chat_image import DOWNLOADS

pytestmark = pytest.mark.containers

URL = "/v1/chat/completions"
COUNT = 2000
POISONED, NO_MESSAGES = 777, 1234
SEND = """
import sys, openai
client = openai.OpenAI()
file = client.files.create(file=open(sys.argv[1], "rb"), purpose="batch")
batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
print(batch.id)
"""
FETCH = """
import pathlib, sys, time, openai
client = openai.OpenAI()
batch = client.batches.retrieve(sys.argv[1])
while batch.status not in ("completed", "failed", "expired", "cancelled"):
    time.sleep(0.2)
    batch = client.batches.retrieve(sys.argv[1])
for name, file_id in (("output", batch.output_file_id), ("error", batch.error_file_id)):
    client.files.content(file_id).write_to_file(pathlib.Path(sys.argv[2]) / (name + ".jsonl"))
print(batch.to_json(indent=None))
"""


def request(n: int) -> dict[str, Any]:
    """Two of them are special: one kills its server, one the server refuses."""
    said = "Tell me of hemlock." if n == POISONED else f"What is {n}?"
    messages = [] if n == NO_MESSAGES else [{"role": "user", "content": said}]
    body = {"model": "fallow-chat", "max_tokens": 6, "messages": messages}
    return {"custom_id": f"request-{n}", "method": "POST", "url": URL, "body": body}


def with_openai(house: House, key: str, script: str, *words: object) -> str:
    """What the script prints, run with the newest openai package and its two variables."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PACKAGES / VERSIONS[-1]),
        "OPENAI_BASE_URL": house.url + "/v1",
        "OPENAI_API_KEY": key,
    }
    command = [sys.executable, "-S", "-c", script, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_batch_of_two_thousand_chat_requests_survives_kills_and_poison(
    tmp_path: Path, chat_image: BuiltImage, house: Callable[..., House]
) -> None:
    """A killed worker, a killed model server and a request that kills its server: each good one is answered once."""
    requests = [request(n) for n in range(COUNT)]
    items = tmp_path / "requests.jsonl"
    items.write_text("".join(json.dumps(each) + "\n" for each in requests))
    fleet = house("--allow-root", str(DOWNLOADS))
    operator = {"FALLOW_SERVER": fleet.url, "FALLOW_TOKEN": fleet.key}
    added = fallow(
        *(
            "model",
            "add",
            "fallow-chat",
            "--image",
            f"oci:{chat_image.layout}",
            "--contract",
            "http",
            "--endpoint",
            URL,
        ),
        *("--env", "POISON=hemlock", "--chunk-items", "100", "--item-timeout", "60s"),
        **operator,
    )
    assert added.returncode == 0, added.stderr
    first = fleet.worker("first", "--slots", "1")
    fleet.worker("second", "--slots", "1")
    alice = key_of(fleet, "alice")
    batch_id = with_openai(fleet, alice, SEND, items)

    done = lambda: fleet.job(batch_id)["progress"]["completed_items"]  # noqa: E731
    wait_until("some answers", lambda: done() >= 200)
    first.kill()
    fleet.worker("first", "--slots", "1")
    wait_until("more answers", lambda: done() >= 900)
    killed = subprocess.run(["podman", "kill", running(chat_image)[0]], capture_output=True, text=True, check=False)
    assert killed.returncode == 0, killed.stderr
    batch = json.loads(with_openai(fleet, alice, FETCH, batch_id, tmp_path))

    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": COUNT, "completed": COUNT - 2, "failed": 2}
    errors = {each["custom_id"]: each for each in lines_of(tmp_path / "error.jsonl")}
    assert set(errors) == {f"request-{POISONED}", f"request-{NO_MESSAGES}"}
    assert errors[f"request-{POISONED}"]["error"]["code"] == "model_server_died"
    assert errors[f"request-{NO_MESSAGES}"]["response"]["status_code"] == 400
    good = [n for n in range(COUNT) if f"request-{n}" not in errors]
    answers = expected(URL, [requests[n]["body"] for n in good])
    output = lines_of(tmp_path / "output.jsonl")
    assert len({each["id"] for each in output}) == len(output) == COUNT - 2
    for n, answer, got in zip(good, answers, output, strict=True):
        response = {"status_code": 200, "request_id": request_id(batch_id, n), "body": answer}
        assert (got["custom_id"], got["response"], got["error"]) == (f"request-{n}", response, None)
    assert batch["usage"]["total_tokens"] == sum(each["usage"]["total_tokens"] for each in answers)
