"""Two thousand chat requests through an image's server, while workers and servers are killed: the right answers."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fallow.sdk.images import BuiltImage
from fallow.worker.contracts.http_items import request_id
from tests.e2e.house import House, fallow, lines_of, wait_until
from tests.e2e.test_fleet import download, submit
from tests.servers.chat_image import DOWNLOADS, REPOSITORY

pytestmark = pytest.mark.containers

CHAT = REPOSITORY / "images" / "chat"
COUNT = 2000
POISONED, NO_MESSAGES, STREAMED, OTHER_MODEL = 777, 1234, 1500, 1999
ANSWER = "import json, sys, chat\nfor line in sys.stdin: print(json.dumps(chat.ROUTES[sys.argv[1]](json.loads(line))))"


def request(n: int) -> dict[str, Any]:
    """Chat, and every tenth an embedding; four of them are special."""
    if n % 10 == 5:
        return line(n, "/v1/embeddings", {"input": f"text {n}", "model": "fallow-chat"})
    body = {"model": "fallow-chat", "max_tokens": 6, "messages": [{"role": "user", "content": f"What is {n}?"}]}
    special = {
        POISONED: {"messages": [{"role": "user", "content": "Tell me of hemlock."}]},
        NO_MESSAGES: {"messages": []},
        STREAMED: {"stream": True},
        OTHER_MODEL: {"model": "another"},
    }
    return line(n, "/v1/chat/completions", {**body, **special.get(n, {})})


def line(n: int, url: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"custom_id": f"request-{n}", "method": "POST", "url": url, "body": body}


def expected(url: str, bodies: list[dict[str, Any]]) -> list[Any]:
    """What the model answers, computed beside the fleet."""
    asked = "".join(json.dumps(body) + "\n" for body in bodies)
    environment = {"PYTHONPATH": str(CHAT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ANSWER, url], input=asked, capture_output=True, text=True, check=True, env=environment
    )
    return [json.loads(each) for each in done.stdout.splitlines()]


def running(image: BuiltImage) -> list[str]:
    """Containers of the image that run now."""
    wanted = ["podman", "ps", "--quiet", f"--filter=ancestor={image.image_id.removeprefix('sha256:')}"]
    return subprocess.run(wanted, capture_output=True, text=True, check=True).stdout.split()


def test_two_thousand_requests_through_everything_that_can_go_wrong(
    tmp_path: Path, chat_image: BuiltImage, house: Callable[..., House]
) -> None:
    """A killed worker, a killed model server, a request that kills its server, and requests that are wrong."""
    requests = [request(n) for n in range(COUNT)]
    items = tmp_path / "requests.jsonl"
    items.write_text("".join(json.dumps(each) + "\n" for each in requests))
    fleet = house("--allow-root", str(DOWNLOADS))
    first, _second = fleet.worker("first", "--slots", "1"), fleet.worker("second", "--slots", "1")
    submit(
        fleet, "chat", f"oci:{chat_image.layout}", items, contract="http", chunk_items=100, env={"POISON": "hemlock"},
        limits={"item_timeout_seconds": 60.0},
    )  # fmt: skip
    done = lambda: fleet.job("chat")["progress"]["completed_items"]  # noqa: E731
    wait_until("some answers", lambda: done() >= 200)
    first.kill()
    wait_until("more answers", lambda: done() >= 400)
    fleet.worker("first", "--slots", "1")
    wait_until("yet more answers", lambda: done() >= 900)
    killed = subprocess.run(["podman", "kill", running(chat_image)[0]], capture_output=True, text=True, check=False)
    assert killed.returncode == 0, killed.stderr
    assert fleet.wait_over("chat")["state"] == "completed"
    assert "leased -> lost" in fleet.story("chat")

    got = download(fleet, "chat", tmp_path / "out")
    errors = {each["item"]: each["code"] for each in lines_of(got / "errors.jsonl")}
    assert errors == {
        POISONED: "model_server_died",
        NO_MESSAGES: "http_400",
        STREAMED: "stream_refused",
        OTHER_MODEL: "http_404",
    }
    output = lines_of(got / "output.jsonl")
    assert [each["custom_id"] for each in output] == [f"request-{n}" for n in range(COUNT)]
    assert output[POISONED]["response"] is None
    refused = output[OTHER_MODEL]["response"]
    assert (refused["status_code"], refused["body"]["error"]["code"]) == (404, "model_not_found")
    for url in ("/v1/chat/completions", "/v1/embeddings"):
        good = [n for n in range(COUNT) if n not in errors and requests[n]["url"] == url]
        answers = expected(url, [requests[n]["body"] for n in good])
        for n, answer in zip(good, answers, strict=True):
            response = {"status_code": 200, "request_id": request_id("chat", n), "body": answer}
            assert output[n] == {"custom_id": f"request-{n}", "response": response}
    assert fallow("verify", got).returncode == 0
