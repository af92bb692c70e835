"""No container: the command runs as the worker's own user. Only where the owner allows it; for tests and trusted code.

A watcher thread enforces the memory and process limits on the whole session, because rlimits count per process (memory)
or per user (processes), and cannot say which limit was hit.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from fallow.core.refusals import Code, Refusal
from fallow.worker.engines.engine import ContainerSpec, End, EngineBroken, Outcome, Usage

SECRETS = ("FALLOW_TOKEN", "FALLOW_SERVER")
WATCH_SECONDS = 0.1
CONNECT_SECONDS = 5.0


class ProcessEngine:
    """Refuses to exist unless allowed."""

    name = "process"
    isolates = False

    def __init__(self, allowed: bool, marks_dir: Path) -> None:
        if not allowed:
            raise Refusal(
                Code.ENGINE_NOT_ALLOWED,
                "The process engine runs programs without a container, as your own user.",
                "If you trust every job of this server, start the worker with --allow-process.",
            )
        self._marks = marks_dir

    def start(self, spec: ContainerSpec) -> "RunningProcess":
        if not spec.command:
            raise EngineBroken("The job names no command, and the process engine has no image to take one from.")
        environment = {k: v for k, v in os.environ.items() if k not in SECRETS}
        # So that `python3` is the worker's own Python, whose packages an Executor's runner needs.
        own = [str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]
        environment |= {"PATH": os.pathsep.join(own), **spec.env}
        temporary = spec.run_dir / "tmp"
        temporary.mkdir(exist_ok=True)
        environment["TMPDIR"] = str(temporary)
        try:
            process = subprocess.Popen(
                spec.command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise EngineBroken(f"The command {spec.command[0]!r} is not on this machine.") from None
        except OSError as wrong:
            raise EngineBroken(f"The command {spec.command[0]!r} cannot be started: {wrong.strerror}.") from None
        self._marks.mkdir(parents=True, exist_ok=True)
        mark = self._marks / f"{process.pid}"
        mark.write_text(_birth(process.pid))
        return RunningProcess(process, spec, mark)

    def reap(self) -> int:
        """Kills the sessions an earlier agent left, found by pid and start time, so that a reused pid is left alone."""
        reaped = 0
        for mark in self._marks.glob("*") if self._marks.is_dir() else ():
            if mark.name.isdigit() and mark.read_text() and _birth(int(mark.name)) == mark.read_text():
                _kill_session(int(mark.name))
                reaped += 1
            mark.unlink(missing_ok=True)
        return reaped


class RunningProcess:
    """One process session."""

    def __init__(self, process: "subprocess.Popen[bytes]", spec: ContainerSpec, mark: Path) -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self.stdin: IO[bytes] = process.stdin
        self.stdout: IO[bytes] = process.stdout
        self.stderr: IO[bytes] = process.stderr
        self._process = process
        self._spec = spec
        self._mark = mark
        self._killed = False
        self._over_memory = False
        self._memory_max = 0
        self._cpu_seconds = 0.0
        self._watcher = threading.Thread(target=self._watch, name=f"watch-{process.pid}", daemon=True)
        self._watcher.start()

    def poll(self) -> bool:
        return self._process.poll() is not None

    def wait(self, timeout_seconds: float) -> Outcome | None:
        try:
            code = self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None
        self._watcher.join()
        if self._over_memory:
            return Outcome(End.OUT_OF_MEMORY, 137)
        if self._killed:
            return Outcome(End.KILLED, 137)
        return Outcome(End.EXITED, 128 - code if code < 0 else code)

    def kill(self) -> None:
        if self._process.poll() is None:
            self._killed = True
        _kill_session(self._process.pid)
        self._process.wait()

    def connect(self, port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS)

    def usage(self) -> Usage:
        return Usage(self._cpu_seconds, self._memory_max)

    def close(self) -> None:
        self.kill()
        for pipe in (self.stdin, self.stdout, self.stderr):
            try:
                pipe.close()
            except OSError:
                continue  # a broken pipe on close says only what is known: the program is gone
        self._mark.unlink(missing_ok=True)

    def _watch(self) -> None:
        limit = self._spec.memory_bytes
        while self._process.poll() is None:
            memory, count, cpu = _measure(self._process.pid)
            self._memory_max = max(self._memory_max, memory)
            self._cpu_seconds = max(self._cpu_seconds, cpu)
            if limit is not None and memory > limit:
                self._over_memory = True
                _kill_session(self._process.pid)
                return
            if count > self._spec.pids:
                _kill_session(self._process.pid)
                return
            time.sleep(WATCH_SECONDS)


def _members(session: int) -> list[tuple[int, list[str]]]:
    """(pid, fields of /proc/pid/stat from the state on) of every process in the session."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended between the listing and the look
            if fields[3] == str(session):
                found.append((int(name), fields))
    return found


def _measure(session: int) -> tuple[int, int, float]:
    """Resident bytes, processes and CPU seconds of a session."""
    members = _members(session)
    ticks = os.sysconf("SC_CLK_TCK")
    page = os.sysconf("SC_PAGE_SIZE")
    memory = sum(int(fields[21]) for _, fields in members) * page
    return memory, len(members), sum(int(n) for _, fields in members for n in fields[11:15]) / ticks


def _kill_session(session: int) -> None:
    """KILL until nobody is left. A whole group is killed at once: a fork cannot outrun that."""
    groups = {session}
    for _ in range(100):
        for group in groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        groups = {int(fields[2]) for _, fields in _members(session) if fields[0] != "Z"}
        if not groups:
            return


def _birth(pid: int) -> str:
    """When this process started, in ticks since boot; "" when it is gone."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
