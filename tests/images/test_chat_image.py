"""The image of the http contract in a real, hardened container: OpenAI's forms, and the same answers always."""

import base64
import http.client
import json
import math
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fallow.worker.engines.engine import ContainerSpec
from fallow.worker.engines.oci_engine import OciEngine, RunningContainer
from fallow.worker.engines.probe import probe

pytestmark = pytest.mark.containers

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def running(chat_image, tmp_path_factory) -> Iterator[RunningContainer]:
    """The server, started as a worker starts it."""
    assert shutil.which("podman"), "install the package podman"
    layout = chat_image.layout
    subprocess.run(["podman", "pull", "-q", f"oci:{layout.name}"], cwd=layout.parent, check=True, capture_output=True)
    verdict = probe("podman", "w-chat-image")
    assert verdict.flavour, verdict.message
    engine = OciEngine(verdict.flavour, "w-chat-image")
    folder: Path = tmp_path_factory.mktemp("run")
    spec = ContainerSpec(chat_image.image_id, folder, env={"PORT": "8123", "POISON": "hemlock"}, memory_bytes=512 << 20)
    container = engine.start(spec)
    yield container
    container.close()


@pytest.fixture
def ask(running) -> Ask:
    """(status, JSON) of one call; waits, bounded, until the server is there."""

    def call(path: str, body: object = None, raw: bytes | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("localhost")
        until = time.monotonic() + 60
        while connection.sock is None:
            try:
                connection.sock = running.connect(8123)
            except OSError:
                assert time.monotonic() < until, "the server never listened"
                assert not running.poll()
                time.sleep(0.05)
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        connection.request("GET" if data is None else "POST", path, data)
        answer = connection.getresponse()
        said = answer.status, json.loads(answer.read())
        connection.close()
        return said

    return call


def chat(text: str, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], **more}


def test_an_answer_has_openais_form(ask):
    status, answer = ask("/v1/chat/completions", chat("Hello", max_tokens=5))
    assert status == 200
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["role"] == "assistant"
    used = answer["usage"]
    # Its beginning, the role, five bytes, their end, and the assistant's role.
    assert used["prompt_tokens"] == 9
    assert 0 <= used["completion_tokens"] <= 5
    assert used["total_tokens"] == used["prompt_tokens"] + used["completion_tokens"]
    assert (answer["choices"][0]["finish_reason"] == "length") == (used["completion_tokens"] == 5)


def test_the_same_answers_however_many_ask_at_once(ask):
    bodies = [chat(f"What is {n}?", max_tokens=12) for n in range(40)]
    alone = [ask("/v1/chat/completions", body) for body in bodies]
    with ThreadPoolExecutor(8) as many:
        together = list(many.map(lambda body: ask("/v1/chat/completions", body), bodies))
    assert together == alone
    assert len({json.dumps(answer["choices"]) for _, answer in alone}) > 20


def test_the_whole_conversation_counts(ask):
    def said(*messages: tuple[str, str]) -> str:
        body = {"messages": [{"role": role, "content": text} for role, text in messages], "max_tokens": 20}
        return ask("/v1/chat/completions", body)[1]["choices"][0]["message"]["content"]

    assert said(("user", "a b")) != said(("user", "b a"))
    assert said(("user", "a")) != said(("system", "x"), ("user", "a"))


def test_embeddings(ask):
    status, answer = ask("/v1/embeddings", {"input": ["one text", "another", "one text"]})
    assert status == 200
    first, second, third = (each["embedding"] for each in answer["data"])
    assert first == third != second
    assert len(first) == 64
    assert math.isclose(sum(x * x for x in first), 1, abs_tol=1e-4)
    assert answer["usage"] == {"prompt_tokens": 23, "total_tokens": 23}
    packed = ask("/v1/embeddings", {"input": "one text", "encoding_format": "base64"})[1]["data"][0]["embedding"]
    assert struct.unpack("<64f", base64.b64decode(packed)) == pytest.approx(first, abs=1e-6)
    tokens = list(b"one text")
    assert ask("/v1/embeddings", {"input": tokens})[1]["data"][0]["embedding"] == first


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("/v1/chat/completions", {}, 400, "messages"),
        ("/v1/chat/completions", {"messages": []}, 400, "messages"),
        ("/v1/chat/completions", {"messages": [{"role": "king", "content": "x"}]}, 400, "messages"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": 5}]}, 400, "messages"),
        ("/v1/chat/completions", chat("x", max_tokens=0), 400, "max_tokens"),
        ("/v1/chat/completions", chat("x", max_tokens=True), 400, "max_tokens"),
        ("/v1/chat/completions", chat("x", stream=True), 400, "stream"),
        ("/v1/chat/completions", chat("x", n=2), 400, "n"),
        ("/v1/chat/completions", chat("x", model="another"), 404, "model"),
        ("/v1/chat/completions", chat("x" * 2000), 400, "messages"),
        ("/v1/chat/completions", [1], 400, None),
        ("/v1/embeddings", {"input": []}, 400, "input"),
        ("/v1/embeddings", {"input": ["x", 5]}, 400, "input"),
        ("/v1/embeddings", {"input": [9999]}, 400, "input"),
        ("/v1/embeddings", {"input": "x", "dimensions": 3}, 400, "dimensions"),
        ("/v1/nothing", {}, 404, None),
    ],
)
def test_what_is_wrong_with_a_request_is_said(ask, path, body, status, param):
    got, answer = ask(path, body)
    assert (got, answer["error"]["param"]) == (status, param)
    assert set(answer["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_not_json(ask, raw):
    assert ask("/v1/chat/completions", raw=raw)[0] == 400


def test_its_readings(ask):
    assert ask("/health") == (200, {"status": "ok"})
    assert [each["id"] for each in ask("/v1/models")[1]["data"]] == ["fallow-chat"]
    assert ask("/nothing")[0] == 404


def test_poison_ends_it(ask, running):
    """Last: nothing answers after it."""
    with pytest.raises((http.client.HTTPException, OSError)):
        ask("/v1/chat/completions", chat("some hemlock"))
    outcome = running.wait(30)
    assert outcome is not None
    assert outcome.exit_code == 13
