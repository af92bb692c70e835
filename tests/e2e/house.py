"""Real processes for the end-to-end tests: a server, workers, and the command."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

FALLOW = [sys.executable, "-m", "fallow"]
_ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("FALLOW_")}


def fallow(*words: object, seconds: float = 240, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command, run to its end."""
    return subprocess.run(
        [*FALLOW, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**_ENVIRONMENT, **environment},
        check=False,
    )


def wait_until(what: str, true: Callable[[], Any], seconds: float = 120) -> Any:
    """The first true value; fails, naming what was waited for, when there is none in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := true():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


@dataclass
class Process:
    """A long-running command. Its output is kept, line by line."""

    words: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    running: subprocess.Popen[str] | None = None

    def start(self) -> "Process":
        self.running = subprocess.Popen(
            [*FALLOW, *self.words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**_ENVIRONMENT, **self.environment},
        )
        threading.Thread(target=self._read, args=(self.running,), daemon=True).start()
        return self

    def _read(self, running: subprocess.Popen[str]) -> None:
        assert running.stdout is not None
        self.lines.extend(running.stdout)

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def kill(self) -> None:
        """As by kill -9: no chance to tidy up."""
        assert self.running is not None
        self.running.send_signal(signal.SIGKILL)
        self.running.wait(30)

    def stop(self) -> int:
        """As by an operator: SIGTERM, and then its own end."""
        assert self.running is not None
        if self.running.poll() is None:
            self.running.terminate()
            try:
                self.running.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        return int(self.running.returncode)


class House:
    """A server on one port and data directory that survives being killed, and its workers."""

    def __init__(self, home: Path, *server_words: str, **settings: str) -> None:
        self.home = home
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = ""
        self.processes: list[Process] = []
        words = ["server", "--data-dir", str(home / "server"), "--listen", f"127.0.0.1:{self.port}"]
        words += ["--allow-root", str(home), "--allow-root", str(_base_of(home)), *server_words]
        self.server = Process(words, {"FALLOW_HEARTBEAT_SECONDS": "1", "FALLOW_SILENCE_SECONDS": "5", **settings})
        self.processes.append(self.server)

    def start_server(self) -> None:
        self.server.start()
        wait_until(f"the server to be ready\n{self.server.output}", self.is_ready, 60)
        if not self.key:
            found = wait_until("the first key", lambda: re.search(r"flw_[0-9a-f]+_[0-9a-f]+", self.server.output))
            self.key = found.group()

    def is_ready(self) -> bool:
        assert self.server.running is not None
        assert self.server.running.poll() is None, self.server.output
        try:
            return httpx2.get(self.url + "/readyz", timeout=5).status_code == 200
        except httpx2.HTTPError:
            return False

    def worker(self, name: str, *words: str) -> Process:
        """A started worker with a data directory of its own."""
        process = Process(
            ["worker", "--data-dir", str(self.home / name), "--name", name, *words],
            {"FALLOW_SERVER": self.url, "FALLOW_TOKEN": self.key},
        )
        self.processes.append(process)
        return process.start()

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()

    def call(self, method: str, path: str, body: object = None, key: str | None = None) -> httpx2.Response:
        token = self.key if key is None else key
        return httpx2.request(
            method,
            self.url + path,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            content=json.dumps(body).encode() if body is not None else None,
            timeout=60,
        )

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.call("GET", f"/api/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait_over(self, job_id: str, seconds: float = 180) -> dict[str, Any]:
        """The job when it is over."""
        over = {"completed", "failed", "cancelled", "expired"}
        return dict(
            wait_until(
                f"the end of {job_id}", lambda: job if (job := self.job(job_id))["state"] in over else None, seconds
            )
        )

    def story(self, job_id: str, chunk: int | None = None) -> str:
        """As people read it."""
        words = ["story", job_id, *(["--chunk", str(chunk)] if chunk is not None else [])]
        told = fallow(*words, FALLOW_SERVER=self.url, FALLOW_TOKEN=self.key)
        assert told.returncode == 0, told.stderr
        return told.stdout


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def numbered(count: int, special: dict[int, object] | None = None) -> Iterator[bytes]:
    """{"n": 0}, {"n": 1}, ...; with the special items in their places."""
    for index in range(count):
        item = {"n": index, **({"do": special[index]} if special and index in special else {})}
        yield json.dumps(item).encode() + b"\n"


def _base_of(home: Path) -> Path:
    """The test run's own directory, in which the shared image lies."""
    return next(each for each in home.parents if each.name.startswith("pytest-"))


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
