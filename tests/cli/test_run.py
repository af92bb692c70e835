"""fallow run: the whole system in one command, on bare processes. Containers have their own tests in tests/e2e."""

import contextlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fallow.sdk.verify import verify
from tests.cli.command import PROCESS, environment, fallow, lines_file

SLOW = "import sys, time\nfor line in sys.stdin:\n    time.sleep(0.05)\n    print(line.strip(), flush=True)\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real output with one error line."""
    home = tmp_path_factory.mktemp("finished")
    items = lines_file(home / "in.jsonl", 30)
    items.write_text(items.read_text() + "not json\n")
    ran = fallow("run", items, "--output", home / "out", "--chunk-items", "10", *PROCESS, "--", "cat")
    assert ran.returncode == 3, ran.stderr
    assert "[not_json]" in ran.stdout
    return home / "out"


def test_a_run_delivers_its_output_in_order_and_proves_it(tmp_path: Path) -> None:
    items = lines_file(tmp_path / "in.jsonl", 40)
    ran = fallow("run", items, "--output", "out", "--chunk-items", "7", *PROCESS, "--json", "--", "cat", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert (told["state"], told["items"], told["error_items"]) == ("completed", 40, 0)
    assert (tmp_path / "out" / "output.jsonl").read_bytes() == items.read_bytes()
    checked = fallow("verify", "out", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "40 items" in checked.stdout


def test_a_quorum_runs_on_as_many_workers(tmp_path: Path) -> None:
    items = lines_file(tmp_path / "in.jsonl", 6)
    ran = fallow("run", items, "--output", tmp_path / "out", "--verify", "quorum:2", *PROCESS, "--", "cat")
    assert ran.returncode == 0, ran.stderr
    entry = json.loads((tmp_path / "out" / "manifest.json").read_text())["chunks"][0]
    assert entry["attempts_agreeing"] == 2


def test_a_run_whose_items_all_fail_is_failed_and_shows_the_log(tmp_path: Path) -> None:
    items = lines_file(tmp_path / "in.jsonl", 2)
    script = "import sys; print('no such model', file=sys.stderr); sys.exit(9)"
    ran = fallow("run", items, "--output", tmp_path / "out", *PROCESS, "--", sys.executable, "-c", script)
    assert ran.returncode == 1
    assert "failed" in ran.stdout
    assert "| no such model" in ran.stderr


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["nothing.jsonl", "--output", "o", *PROCESS, "--", "cat"], "input_missing"),
        (["in.jsonl", "--output", "o", "--engine", "process", "--", "cat"], "engine_not_allowed"),
        (["in.jsonl", "--output", "o"], "bad_request"),
        (["in.jsonl", "--output", "o", *PROCESS], "bad_request"),
        (["in.jsonl", "--output", "o", *PROCESS, "--image", "x", "--", "cat"], "bad_request"),
        (["in.jsonl", "--output", "o", *PROCESS, "--item-timeout", "soon", "--", "cat"], "bad_request"),
        (["in.jsonl", "--output", "o", *PROCESS, "--items", "3", "--", "cat"], "range_invalid"),
        (["in.jsonl", "--output", "o", *PROCESS, "--items", "2-9", "--", "cat"], "range_past_end"),
        (["in.jsonl", "--output", "o", *PROCESS, "--num-chunks", "0", "--", "cat"], "chunks_invalid"),
        (["in.jsonl", "--output", "o", *PROCESS, "--verify", "quorum:x", "--", "cat"], "bad_request"),
        (["in.jsonl", "--output", "o", *PROCESS, "--job-id", "../../x", "--", "cat"], "job_id_invalid"),
        (["in.jsonl", "--output", "taken", *PROCESS, "--", "cat"], "output_exists"),
        (["in.bin", "--output", "o", *PROCESS, "--", "cat"], "input_format"),
    ],
)
def test_what_cannot_be_done_is_refused_at_the_door(tmp_path: Path, argv: list[str], code: str) -> None:
    lines_file(tmp_path / "in.jsonl", 3)
    lines_file(tmp_path / "in.bin", 3)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "output.jsonl").write_text("mine\n")
    ran = fallow("run", *argv, cwd=tmp_path)
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"error [{code}]: ")
    assert ran.stderr.count("\n") == 1
    assert ran.stdout == ""
    assert (tmp_path / "taken" / "output.jsonl").read_text() == "mine\n"


def test_without_an_engine_the_remedy_is_said_at_once(tmp_path: Path) -> None:
    items = lines_file(tmp_path / "in.jsonl", 3)
    ran = fallow("run", items, "--image", "model:1", "--output", tmp_path / "out", PATH=str(tmp_path))
    assert ran.returncode == 2
    assert ran.stderr.startswith("error [engine_missing]: ")
    assert "Install podman" in ran.stderr
    assert not (tmp_path / "out").exists()


def test_when_every_worker_ends_the_run_ends_with_their_last_words(tmp_path: Path) -> None:
    items = lines_file(tmp_path / "in.jsonl", 3)
    (tmp_path / "data" / "worker-1").mkdir(parents=True)
    (tmp_path / "data" / "worker-1" / "worker.key").write_bytes(b"not a key")
    ran = fallow("run", items, "--output", tmp_path / "out", "--data-dir", tmp_path / "data", *PROCESS, "--", "cat")
    assert ran.returncode == 2
    assert "All workers ended before the job did." in ran.stderr
    assert "worker.key is damaged" in ran.stderr


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    items = lines_file(tmp_path / "in.jsonl", 150)
    (tmp_path / "slow.py").write_text(SLOW)
    argv = ["run", items, "--output", tmp_path / "out", "--data-dir", tmp_path / "data", "--chunk-items", "2", *PROCESS]
    argv += ["--", sys.executable, tmp_path / "slow.py"]
    command = [sys.executable, "-m", "fallow", *map(str, argv)]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) as first:
        _await_chunk(tmp_path / "data", first)
        first.send_signal(signal.SIGINT)
        said = first.communicate(timeout=60)[1]
    assert first.returncode == 130
    assert "run the same command again to go on" in said
    assert not (tmp_path / "out" / "manifest.json").exists()
    second = fallow(*argv)
    assert second.returncode == 0, second.stderr
    assert "going on with job run-" in second.stderr
    assert (tmp_path / "out" / "output.jsonl").read_bytes() == items.read_bytes()
    assert fallow("verify", tmp_path / "out").returncode == 0


def test_workers_end_with_the_command_that_started_them(tmp_path: Path) -> None:
    items = lines_file(tmp_path / "in.jsonl", 500)
    (tmp_path / "slow.py").write_text(SLOW)
    argv = ["run", items, "--output", tmp_path / "out", "--data-dir", tmp_path / "data", "--chunk-items", "2", *PROCESS]
    argv += ["--", sys.executable, tmp_path / "slow.py"]
    command = [sys.executable, "-m", "fallow", *map(str, argv)]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL) as killed:
        _await_chunk(tmp_path / "data", killed)
        killed.kill()
    deadline = time.monotonic() + 30
    while _processes_naming(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _processes_naming(str(tmp_path)) == []


def test_every_file_of_an_output_is_guarded(finished: Path) -> None:
    """Any one byte of any of the files, flipped: found, and the file is named."""
    chance = random.Random(7)
    for name in ("output.jsonl", "errors.jsonl", "manifest.json"):
        original = (finished / name).read_bytes()
        for look in range(60):
            data = bytearray(original)
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            (finished / name).write_bytes(data)
            assert verify(finished).blames(name)
            if look == 0:
                checked = fallow("verify", finished)
                assert checked.returncode == 1
                assert name in checked.stderr
        (finished / name).write_bytes(original)
    assert fallow("verify", finished).returncode == 0


def test_one_line_is_proved_on_its_own(finished: Path) -> None:
    proof = json.loads(fallow("verify", finished, "--item", "12", "--json").stdout)
    assert (proof["line"], proof["line_number"], proof["chunk_id"]) == ('{"n":12}', 13, 1)
    missing = fallow("verify", finished, "--item", "99")
    assert missing.returncode == 2
    assert missing.stderr.startswith("error [not_found]")


def _await_chunk(data: Path, process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Until the first chunk is done."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if _has_done_chunk(data / "fallow.db"):
            return
        time.sleep(0.05)
    raise AssertionError("no chunk was finished")


def _has_done_chunk(database: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as rows:
            return rows.execute("SELECT 1 FROM job WHERE chunks_done > 0").fetchone() is not None
    except sqlite3.OperationalError:  # there is no database yet, or no table in it
        return False


def _processes_naming(text: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found
