"""Server, worker and submitter as three processes, as an operator starts them."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import fallow as sdk
from tests.cli.command import PROCESS, environment, fallow, lines_file

ENGINE = ("--engine", "process")


@dataclass(frozen=True)
class Running:
    url: str
    key: str
    home: Path

    def fallow(self, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        return fallow(*argv, cwd=self.home, FALLOW_SERVER=self.url, FALLOW_TOKEN=self.key)

    def client(self) -> sdk.Client:
        return sdk.Client(self.url, self.key)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("house")
    argv = ["server", "--data-dir", home / "server", "--listen", "127.0.0.1:0", "--allow-process", "--allow-root", home]
    server = _started(argv, home, subprocess.PIPE)
    processes = [server]
    try:
        url, key = _announced(server)
        worker_key = fallow("keys", "add", "--scope", "work", FALLOW_SERVER=url, FALLOW_TOKEN=key).stdout.strip()
        argv = ["worker", "--server", url, "--token", worker_key, "--data-dir", home / "worker", "--slots", "2"]
        processes.append(_started([*argv, "--label", "edge", "--name", "desk", *PROCESS], home, subprocess.DEVNULL))
        yield Running(url, key, home)
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            if process.stdout:
                process.stdout.close()


def _started(argv: list[str | Path], home: Path, stdout: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fallow", *map(str, argv)]
    with (home / f"{argv[0]}.log").open("w") as said:
        return subprocess.Popen(command, cwd=home, env=environment(), stdout=stdout, stderr=said, text=True)


def _announced(server: subprocess.Popen[str]) -> tuple[str, str]:
    assert server.stdout is not None
    url = key = ""
    for line in server.stdout:
        url = url or "".join(re.findall(r"http://\S+", line))
        key = key or "".join(re.findall(r"flw_\S+", line))
        if url and key:
            return url, key
    raise AssertionError("the server ended without saying where it is")


@pytest.fixture(scope="module")
def done(running: Running) -> str:
    """A finished job with one error line, its input uploaded, its output fetched."""
    items = lines_file(running.home / "reviews.jsonl", 25)
    items.write_text(items.read_text() + "{broken\n")
    argv = ["submit", items, "--output", "fetched", "--wait", "--chunk-items", "10", "--job-id", "reviews", *ENGINE]
    script = "import sys\nfor n, line in enumerate(sys.stdin):\n    print(line.strip())\nprint('bye', file=sys.stderr)"
    ran = running.fallow(*argv, "--reuse", "never", "--", sys.executable, "-c", script)
    assert ran.returncode == 3, ran.stderr
    assert "1 x [not_json]" in ran.stdout
    return "reviews"


def test_a_local_input_is_uploaded_and_the_output_is_fetched(running: Running, done: str) -> None:
    lines = (running.home / "fetched" / "output.jsonl").read_text().splitlines()
    assert lines[:25] == [f'{{"n":{number}}}' for number in range(25)]
    assert "error" in json.loads(lines[25])
    assert running.fallow("verify", "fetched").returncode == 0
    again = running.fallow("submit", "reviews.jsonl", "--output", "fetched", *ENGINE, "--", "cat")
    assert again.returncode == 2
    assert again.stderr.startswith("error [output_exists]")


def test_the_job_can_be_looked_at(running: Running, done: str) -> None:
    assert "reviews" in running.fallow("jobs").stdout
    shown = running.fallow("job", done)
    assert "state    completed" in shown.stdout
    assert json.loads(running.fallow("job", done, "--json").stdout)["progress"]["error_items"] == 1
    assert "desk" in running.fallow("workers").stdout
    story = running.fallow("story", done, "--chunk", "1").stdout
    assert "chunk 1" in story
    assert "chunk 0" not in story
    assert "bye" in running.fallow("logs", done).stdout


def test_results_are_printed_and_fetched(running: Running, done: str) -> None:
    shown = running.fallow("results", done, "--after", "22", "--follow")
    answers = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [each["item"] for each in answers] == [23, 24, 25]
    assert running.fallow("results", done, "--output", "later").returncode == 0
    assert (running.home / "later" / "manifest.json").read_bytes() == (
        running.home / "fetched" / "manifest.json"
    ).read_bytes()
    refused = running.fallow("results", done, "--output", "later")
    assert refused.stderr.startswith("error [output_exists]")


def test_a_file_on_the_server_is_read_and_written_there(running: Running) -> None:
    items = lines_file(running.home / "there.jsonl", 5)
    target = (running.home / "there-out").as_uri()
    ran = running.fallow("submit", items.as_uri(), "--output", target, "--wait", *ENGINE, "--json", "--", "cat")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["output"] == target
    assert running.fallow("verify", "there-out").returncode == 0


def test_verbs_and_their_refusals(running: Running, done: str) -> None:
    items = lines_file(running.home / "held.jsonl", 4)
    argv = ["submit", items, *ENGINE, "--label", "cloud", "--job-id", "held"]
    assert running.fallow(*argv, "--", "cat").stdout == "held\n"
    taken = running.fallow(*argv, "--", "cat")
    assert (taken.returncode, taken.stderr.split(":")[0]) == (2, "error [job_id_taken]")
    assert running.fallow("pause", "held").stdout == "held is paused.\n"
    assert running.fallow("pause", "held").stderr.startswith("error [state_conflict]")
    assert "held is" in running.fallow("resume", "held").stdout
    assert running.fallow("delete", "held").stderr.startswith("error [state_conflict]")
    assert running.fallow("cancel", "held").stdout == "held is cancelled.\n"
    assert running.fallow("delete", "held").stdout == "held is deleted.\n"
    assert running.fallow("job", "held").stderr.startswith("error [not_found]")


def test_keys_are_made_listed_and_revoked(running: Running) -> None:
    made = json.loads(running.fallow("keys", "add", "--scope", "submit", "--name", "guest", "--json").stdout)
    guest = {"FALLOW_SERVER": running.url, "FALLOW_TOKEN": made["key"]}
    assert fallow("jobs", **guest).returncode == 0
    assert "guest" in running.fallow("keys", "list").stdout
    assert running.fallow("keys", "revoke", made["key_id"]).returncode == 0
    refused = fallow("jobs", **guest)
    assert (refused.returncode, refused.stderr.split(":")[0]) == (2, "error [unauthenticated]")


def test_the_client_does_the_same_with_types(running: Running, done: str, tmp_path: Path) -> None:
    items = lines_file(tmp_path / "in.jsonl", 12)
    seen: list[int] = []
    with running.client() as client:
        sent = client.upload(items)
        job = client.submit(
            input_uri=sent.uri, input_format="jsonl", engine="process", command=["cat"], chunk_items=3, reuse="never"
        )
        detail = job.wait(lambda look: seen.append(look.progress.completed_items), timeout_seconds=60)
        assert detail.state == "completed"
        assert seen[-1] == 12
        assert [result.output for result in job.results()] == [{"n": number} for number in range(12)]
        assert len(list(job.chunks())) == 4
        assert {attempt.state for attempt in job.attempts()} == {"valid"}
        told = list(job.story())
        assert [line for line in job.events() if line.kind == "job"] == told
        assert [path.name for path in job.download(tmp_path / "out")] == [
            "output.jsonl",
            "errors.jsonl",
            "manifest.json",
        ]
        assert next(each.job_id for each in client.jobs()) == job.job_id
        with pytest.raises(sdk.Refusal, match="no job") as missing:
            client.job("nobody")
        assert missing.value.code == "not_found"
        assert missing.value.remedy
        with pytest.raises(sdk.Refusal, match="chunk_size"):
            client.submit(input_uri=sent.uri, chunk_size=3)


def test_results_can_be_read_while_the_job_runs(running: Running, tmp_path: Path) -> None:
    items = lines_file(tmp_path / "in.jsonl", 30)
    script = "import sys, time\nfor line in sys.stdin:\n    time.sleep(0.05)\n    print(line.strip(), flush=True)\n"
    with running.client() as client:
        job = client.submit(
            input_uri=client.upload(items).uri,
            input_format="jsonl",
            engine="process",
            command=[sys.executable, "-c", script],
            chunk_items=3,
        )
        running_at_first = []
        for result in job.results(follow=True):
            if result.item == 0:
                running_at_first.append(job.state)
        assert running_at_first == ["running"]
        assert result.item == 29


def test_waiting_has_an_end(running: Running, tmp_path: Path) -> None:
    with running.client() as client:
        uri = client.upload(lines_file(tmp_path / "in.jsonl", 1)).uri
        job = client.submit(
            input_uri=uri, input_format="jsonl", engine="process", command=["cat"], worker_label="on_prem"
        )
        started = time.monotonic()
        with pytest.raises(TimeoutError, match=job.job_id):
            job.wait(timeout_seconds=0.3)
        assert time.monotonic() - started < 30
        assert any("label" in reason for reason in client.why_waiting(job.job_id))
        job.cancel()


def test_a_dry_run_says_what_would_be_and_makes_nothing(running: Running) -> None:
    lines_file(running.home / "dry.jsonl", 30)
    words = ("submit", "dry.jsonl", "--dry-run", "--chunk-items", "10", *ENGINE, "--", "cat")
    before = len(json.loads(running.fallow("jobs", "--json").stdout)["jobs"])
    said = running.fallow(*words)
    assert said.returncode == 0, said.stderr
    assert "30 items in 3 chunks" in said.stdout
    assert "1 worker with 2 slots could take it now" in said.stdout
    assert json.loads(running.fallow(*words[:3], "--json", *words[3:]).stdout)["plan"]["chunks"] == 3
    assert len(json.loads(running.fallow("jobs", "--json").stdout)["jobs"]) == before
