"""The http contract in real containers without a network: the way in, deaths, memory, and nothing left behind."""

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fallow.protocols.rest.work import HttpMessage, LimitsMessage
from fallow.worker.assignment import ImageNeed
from fallow.worker.engines.engine import ContainerSpec, Network
from fallow.worker.engines.oci_engine import Flavour, run_arguments
from tests.worker.conftest import Rig
from tests.worker.test_http import asked, codes, lines_of

pytestmark = pytest.mark.containers

MIB = 1 << 20
HEAD = "HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\n"


@pytest.fixture
def chat_rig(server, tmp_path, podman, chat_image) -> Iterator[Rig]:
    """A slot with podman and the chat image."""
    layout = chat_image.layout
    subprocess.run(["podman", "pull", "-q", f"oci:{layout.name}"], cwd=layout.parent, check=True, capture_output=True)
    rig = Rig(server, tmp_path, podman, ImageNeed("chat", "", chat_image.image_id, "engine"))
    yield rig
    rig.close()


def chat(n: int, text: str = "", **more: object) -> dict[str, object]:
    """A request line."""
    body = {"messages": [{"role": "user", "content": text or f"What is {n}?"}], "max_tokens": 4, **more}
    return {**asked(n), "body": body}


def serve(rig, requests, *command, **fields):
    items = b"".join(json.dumps(each).encode() + b"\n" for each in requests)
    return rig.run(*command, items=items, contract="http", **fields)


def test_one_server_for_the_chunks_of_a_job(chat_rig):
    answers = [serve(chat_rig, [chat(n) for n in range(20)], reuse="job") for _ in range(3)]
    assert [each.fault for each in answers] == [None] * 3
    assert len({each.answers for each in answers}) == 1
    assert [b"ready" in each.log for each in answers] == [True, False, False]
    assert len(chat_rig.left_running()) == 1
    assert answers[0].receipt.cpu_seconds > 0


def test_the_poisoned_request_is_the_only_one_without_an_answer(chat_rig):
    requests = [chat(n) for n in range(50)]
    requests[31] = chat(31, "a cup of hemlock")
    ended = serve(chat_rig, requests, env={"POISON": "hemlock"})
    assert ended.fault is None
    assert codes(ended) == {31: "model_server_died"}
    assert [line["custom_id"] for line in lines_of(ended)] == [f"c{n}" for n in range(50)]
    assert ended.log.count(b"poisoned") == 2


def test_the_port_is_the_jobs(chat_rig):
    assert serve(chat_rig, [chat(0)], http=HttpMessage(port=1234)).fault is None


def test_a_port_where_nobody_listens(chat_rig):
    """The server that is asked for another port than it uses is never ready."""
    command = ("/usr/bin/env", "PORT=7777", "python3", "/app/chat.py")
    ended = serve(chat_rig, [chat(0)], *command, limits=LimitsMessage(start_timeout_seconds=4))
    assert ended.fault is not None
    assert ended.fault.code in {"start_timeout", "exit_code"}


def test_memory_that_runs_out_is_the_items_when_it_is_alone(chat_rig):
    """The limit leaves room for the model and short prompts, and none for a program that takes 300 MiB."""
    eater = (
        "import os, sys; sys.path.insert(0, '/app'); import chat\n"
        "chat.watch = lambda text: bytearray(b'x') * (300 << 20) if 'eat' in text else None\n"
        "chat.Server(('127.0.0.1', int(os.environ['PORT'])), chat.Handler).serve_forever()"
    )
    requests = [chat(0), chat(1, "eat"), chat(2)]
    limits = LimitsMessage(memory_bytes=200 * MIB)
    ended = serve(chat_rig, requests, "python3", "-c", eater, limits=limits)
    assert ended.fault is None
    assert codes(ended) == {1: "out_of_memory"}


def test_the_container_reaches_nothing(chat_rig):
    """Not even a server of the machine's own, on the loopback address or on any other."""
    with socket.create_server(("0.0.0.0", 0)) as outside:
        port = outside.getsockname()[1]
        address = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
        prober = (
            "import os, sys, socket, json; sys.path.insert(0, '/app'); import chat\n"
            "def reach(host):\n"
            f"    try: socket.create_connection((host, {port}), 2); return True\n"
            "    except OSError: return False\n"
            "def probe(request): return {'reached': [host for host in request['hosts'] if reach(host)]}\n"
            "chat.ROUTES['/v1/probe'] = probe\n"
            "chat.Server(('127.0.0.1', int(os.environ['PORT'])), chat.Handler).serve_forever()"
        )
        item = {"hosts": ["127.0.0.1", *address]}
        ended = serve(chat_rig, [item], "python3", "-c", prober, http=HttpMessage(path="/v1/probe"))
    assert ended.fault is None
    assert lines_of(ended) == [{"reached": []}]


def test_an_image_without_a_server(rig):
    ended = serve(rig, [asked(0)], "/bin/sh", "-c", "echo no model here >&2; exit 4")
    assert (str(ended.fault.failure_class), ended.fault.code, ended.fault.exit_code) == ("submitter", "exit_code", 4)
    assert "no model here" in ended.finished.log_tail


def test_the_gpu_is_handed_over_only_to_jobs_that_ask_for_one(tmp_path: Path):
    """Held as a table: a machine with a GPU is not everywhere."""
    spec = ContainerSpec("sha256:1", tmp_path, network=Network.NONE, accelerators=1, tmp_bytes=2 << 30)
    docker, podman = Flavour("docker", "27.0.0"), Flavour("podman", "4.3.1")
    assert {"--gpus=all", f"--shm-size={2 << 30}", "--network=none", "--cap-drop=ALL", "--read-only"} <= set(
        run_arguments(docker, spec, "w", "")
    )
    assert {"--device=nvidia.com/gpu=all", f"--shm-size={2 << 30}"} <= set(run_arguments(podman, spec, "w", ""))
    without = ContainerSpec("sha256:1", tmp_path)
    for flavour in (docker, podman):
        said = " ".join(run_arguments(flavour, without, "w", ""))
        assert "gpu" not in said
        assert "shm" not in said
