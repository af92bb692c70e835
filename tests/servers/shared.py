"""One server for all test processes of a run, stopped by the last of them.

Each run has a directory; every process that uses the server holds a shared lock on a file in it. The kernel lets go of
the lock when a process dies in any way, so a directory that nobody holds is left over, and the next run clears it away.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

STOP_SECONDS = 20.0


class MissingPrograms(Exception):
    """Programs that the tests need are not installed; the sentence names their packages."""


def find_program(name: str, packages: str, *directories: Path) -> str:
    """The path of a program. Raises MissingPrograms."""
    for directory in directories:
        if (directory / name).exists():
            return str(directory / name)
    found = shutil.which(name)
    if found is None:
        raise MissingPrograms(f"The tests need {name}, which is not installed: run `apt-get install {packages}`.")
    return found


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listened on a moment ago, all different."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def run(command: Sequence[str], user: str | None = None, timeout: float = 120) -> str:
    """What a command prints. Raises RuntimeError with what it complained about."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, user=user, timeout=timeout)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}{done.stdout}")
    return done.stdout


def start_daemon(
    directory: Path,
    name: str,
    command: Sequence[str],
    *,
    user: str | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one; `stop_daemons` finds it by its pid file. Its output is in NAME.out."""
    with (directory / f"{name}.out").open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            cwd="/",
            env=dict(environment) if environment is not None else None,
        )
    (directory / f"{name}.pid").write_text(f"{process.pid} {stop_signal.value}")
    return process


def wait_until(ready: Callable[[], bool], processes: Sequence[subprocess.Popen[bytes]], what: str, out: Path) -> None:
    """Poll until it is so. Raises RuntimeError when a process ended or 60 seconds passed; `out` says why."""
    deadline = time.monotonic() + 60
    while not ready():
        ended = any(each.poll() is not None for each in processes)
        if ended or time.monotonic() > deadline:
            raise RuntimeError(f"{what} {'ended' if ended else 'was not ready in 60 s'}:\n{_tail(out)}")
        time.sleep(0.05)


def stop_daemons(directory: Path) -> None:
    """Stop every process that was started in this directory, last one first."""
    for file in sorted(directory.glob("*.pid"), key=lambda path: path.stat().st_mtime_ns, reverse=True):
        pid, stop_signal = (int(each) for each in file.read_text().split())
        for number in (stop_signal, signal.SIGKILL):
            # A number may belong to somebody else by now: ours has the directory in its command line.
            if _alive(pid, directory):
                os.kill(pid, number)
                _wait_gone(pid, directory)
        file.unlink()


@contextlib.contextmanager
def shared(name: str, start: Callable[[Path], str]) -> Iterator[str]:
    """What `start(directory)` said, once for all processes of this test run.

    start: starts daemons in the directory and returns how to reach them; on failure, what it started is stopped.
    """
    base = Path(tempfile.gettempdir(), f"fallow-tests-{os.getuid()}")
    base.mkdir(exist_ok=True)
    run_name = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[-12:]
    directory = base / f"{name}-{run_name}"
    with contextlib.ExitStack() as leaving:
        with _locked(base / "lock"):
            _sweep(base, directory)
            directory.mkdir(exist_ok=True)
            users = leaving.enter_context((directory / "users").open("a"))
            fcntl.flock(users, fcntl.LOCK_SH)
        leaving.callback(_leave, base, directory, users.fileno())
        with _locked(directory / "starting"):
            said = directory / "said"
            if not said.exists():
                said.write_text(start(directory))
        yield said.read_text()


def _leave(base: Path, directory: Path, users: int) -> None:
    with _locked(base / "lock"):
        fcntl.flock(users, fcntl.LOCK_UN)
        _remove_unused(directory)


def _sweep(base: Path, own: Path) -> None:
    for directory in base.iterdir():
        if directory.is_dir() and directory != own:
            _remove_unused(directory)


def _remove_unused(directory: Path) -> None:
    with (directory / "users").open("a") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        stop_daemons(directory)
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _alive(pid: int, directory: Path) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return str(directory).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _wait_gone(pid: int, directory: Path) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while _alive(pid, directory) and time.monotonic() < deadline:
        time.sleep(0.02)


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-3000:] if path.exists() else ""
