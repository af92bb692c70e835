"""A server as a process of its own: first start, end, restart, and two beside each other."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

PROGRAM = """
import json, sys
from pathlib import Path
from fallow.settings import load_settings
from fallow.wiring import serve
given = json.loads(sys.argv[1])
given["data_dir"] = Path(given["data_dir"])
serve(load_settings(given), lambda url, key: print(json.dumps([url, key]), flush=True))
"""


@dataclass
class Process:
    process: subprocess.Popen[str]
    url: str
    key: str | None

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(30)


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def starter(folder: str = "data", **settings: object) -> Process:
        given = {"data_dir": str(tmp_path / folder), "listen": "127.0.0.1:0", "allow_process_jobs": True} | settings
        with (tmp_path / "server.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, json.dumps(given)], stdout=subprocess.PIPE, stderr=log, text=True
            )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (tmp_path / "server.log").read_text()
        return Process(process, *json.loads(line))

    yield starter
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def client(url: str, key: str | None) -> httpx2.Client:
    return httpx2.Client(base_url=url, headers={"authorization": f"Bearer {key}"})


def await_planned(client: httpx2.Client, job_id: str, log: Path) -> None:
    """Follows the job's events until its input has been read; fails with the servers' log."""
    end = time.monotonic() + 90
    with client.stream("GET", f"/api/jobs/{job_id}/events", timeout=30) as events:
        for line in events.iter_lines():
            if '"event":"planned"' in line:
                return
            assert time.monotonic() < end, log.read_text()[-4000:]
    raise AssertionError(log.read_text()[-4000:])


def test_the_first_start_shows_a_key_and_no_later_one_does(start, tmp_path):
    first = start()
    assert first.key is not None
    assert httpx2.get(f"{first.url}/readyz").status_code == 200
    assert first.end() == 0
    second = start()
    assert second.key is None
    with client(second.url, first.key) as admin:
        assert admin.get("/api/jobs").status_code == 200
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    assert first.key not in (tmp_path / "server.log").read_text()


def test_an_accepted_job_survives_kill_9(start, tmp_path):
    first = start(claim_seconds=2.0)
    with client(first.url, first.key) as admin:
        uri = admin.put("/api/inputs/a.jsonl", content=b"1\n2\n").json()["uri"]
        job = {"input_uri": uri, "input_format": "jsonl", "command": ["cat"], "job_id": "kept"}
        assert admin.post("/api/jobs", json=job).status_code == 201
        first.end(signal.SIGKILL)
    second = start(claim_seconds=2.0)
    with client(second.url, first.key) as admin:
        await_planned(admin, "kept", tmp_path / "server.log")


def test_a_stream_without_end_does_not_hold_the_end_up(start):
    server = start()
    with client(server.url, server.key) as admin:
        uri = admin.put("/api/inputs/a.jsonl", content=b"1\n").json()["uri"]
        job = {"input_uri": uri, "input_format": "jsonl", "command": ["cat"], "job_id": "endless"}
        admin.post("/api/jobs", json=job)
        with admin.stream("GET", "/api/jobs/endless/events", timeout=30) as events:
            lines = events.iter_lines()
            next(lines)
            server.process.terminate()
            assert "event: over" not in list(lines)  # ends, and does not break off
    assert server.process.wait(30) == 0


def test_what_cannot_be_started_is_refused(start, tmp_path):
    taken = start()
    for settings, code in (
        ({"listen": taken.url.removeprefix("http://")}, "cannot listen"),
        ({"database": "mysql://nobody@127.0.0.1:1/none"}, "only postgresql"),
        ({"data_dir": "/proc/none"}, "data directory"),
    ):
        given = {"data_dir": str(tmp_path / "other"), "listen": "127.0.0.1:0"} | settings
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(given)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode != 0
        assert "Refusal" in done.stderr
        assert code in done.stderr, done.stderr[-500:]


@pytest.mark.postgres
def test_a_process_may_run_roles_and_no_door(start, postgres_url, tmp_path):
    door = start(database=postgres_url, roles="door")
    roles = start(database=postgres_url, roles="planner", listen=door.url.removeprefix("http://"))
    with client(door.url, door.key) as admin:
        uri = admin.put("/api/inputs/a.jsonl", content=b"1\n2\n").json()["uri"]
        job = {"input_uri": uri, "input_format": "jsonl", "command": ["cat"], "job_id": "apart"}
        assert admin.post("/api/jobs", json=job).status_code == 201
        await_planned(admin, "apart", tmp_path / "server.log")
    assert roles.end() == 0


@pytest.mark.postgres
def test_two_processes_on_one_database_are_one_server(start, postgres_url, tmp_path):
    both = [start(folder="data", database=postgres_url) for _ in range(2)]
    key = next(each.key for each in both if each.key)
    with client(both[0].url, key) as one, client(both[1].url, key) as two:
        uri = one.put("/api/inputs/a.jsonl", content=b"1\n2\n").json()["uri"]
        job = {"input_uri": uri, "input_format": "jsonl", "command": ["cat"], "job_id": "shared"}
        assert one.post("/api/jobs", json=job).status_code == 201
        await_planned(two, "shared", tmp_path / "server.log")
        assert two.post("/api/jobs/shared/cancel").status_code == 200
        assert one.get("/api/jobs/shared").json()["state"] == "cancelled"


@pytest.mark.postgres
def test_processes_that_start_at_once_agree_on_the_secret_of_signed_urls(postgres_url, tmp_path):
    program = (
        "import sys; from pathlib import Path; from fallow.settings import Settings; from fallow.wiring import build\n"
        "system = build(Settings(data_dir=Path(sys.argv[1]), database=sys.argv[2]))\n"
        "from fallow.artifacts.signing import Grant; from fallow.artifacts.port import Verb\n"
        "print(system.places.signer.token(Grant(Verb.GET, 'x', 2**60)))"
    )
    command = [sys.executable, "-c", program, str(tmp_path), postgres_url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) for _ in range(3)]
    tokens = {process.communicate(timeout=60)[0] for process in processes}
    assert len(tokens) == 1
    assert tokens != {""}
