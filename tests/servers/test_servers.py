"""The servers that the tests start are the real ones, and are gone afterwards."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import psycopg
import pytest

from tests.servers.postgresql import PostgresServer
from tests.servers.radosgw import S3Server
from tests.servers.shared import MissingPrograms, find_program, shared, stop_daemons


@pytest.mark.postgres
def test_each_test_has_an_empty_database(postgres_server: PostgresServer):
    for _ in range(2):
        with postgres_server.database() as url, psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE t (a int)")
            durable = connection.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')")
            assert durable.fetchone() == ("on", "on")


@pytest.mark.postgres
def test_a_prepared_database_is_copied(postgres_server: PostgresServer):
    prepared = []

    def prepare(url: str) -> None:
        prepared.append(url)
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE t AS SELECT 7 AS a")

    for _ in range(2):
        with postgres_server.database(prepare) as url, psycopg.connect(url) as connection:
            assert connection.execute("DELETE FROM t RETURNING a").fetchall() == [(7,)]
    assert len(prepared) == 1


@pytest.mark.s3
def test_the_gateway_refuses_strangers(s3_server: S3Server):
    assert httpx2.get(f"{s3_server.endpoint}/{s3_server.bucket}").status_code == 403


def test_a_missing_program_names_its_packages():
    with pytest.raises(MissingPrograms, match=r"apt-get install left right"):
        find_program("no-such-program", "left right")


USER = """
import sys, time
from pathlib import Path
from tests.servers.shared import shared, start_daemon
def start(directory):
    process = start_daemon(directory, "d", [sys.executable, "-c", "import time; time.sleep(300)", str(directory)])
    return str(process.pid)
with shared("probe", start) as said:
    print(said, flush=True)
    sys.stdin.readline()
"""


def test_the_last_user_stops_the_server(tmp_path: Path):
    def user(run_name: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTEST_XDIST_TESTRUNUID": run_name}
        command = [sys.executable, "-c", USER]
        return subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def pid_of(process: subprocess.Popen[str]) -> int:
        assert process.stdout is not None
        return int(process.stdout.readline())

    with user("one") as first, user("one") as second:
        pid = pid_of(first)
        assert pid_of(second) == pid
        first.communicate("\n")
        os.kill(pid, 0)
        second.communicate("\n")
    assert not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()
    with user("two") as killed:
        left = pid_of(killed)
        killed.send_signal(signal.SIGKILL)
    os.kill(left, 0)
    with user("three") as last:
        pid_of(last)
        last.communicate("\n")
    assert not Path(f"/proc/{left}/cmdline").exists() or not Path(f"/proc/{left}/cmdline").read_bytes()


def test_a_server_that_fails_to_start_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def start(directory: Path) -> str:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"), shared("probe", start):
        pass
    stop_daemons(tmp_path)
    assert not list(tmp_path.glob("*/probe*"))
