"""Worker processes beside the server that `fallow run` embeds; none outlives it, even when it is killed."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

STOP_SECONDS = 20.0
_LOG_TAIL_BYTES = 4000


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """data_dir: each worker has a directory below it. slots: of each worker. flavour: of the container engine, as
    it was tried; workers then need not try it again."""

    server: str
    token: str
    data_dir: Path
    workers: int
    slots: int
    engine: str | None
    flavour: str
    label: str | None
    allow_process: bool


def slots_of(workers: int, cores: int) -> int:
    """So that all workers together have a slot for each core, and each worker at least one."""
    return max(1, cores // workers)


@dataclass(slots=True)
class Fleet:
    """Started by start(); give it back with stop()."""

    plan: FleetPlan
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _logs: list[Path] = field(default_factory=list)

    def start(self) -> None:
        """Starts the workers; what they say goes to worker-N.log in the data directory."""
        for number in range(1, self.plan.workers + 1):
            log = self.plan.data_dir / f"worker-{number}.log"
            with log.open("ab") as said:
                self._running.append(self._started(number, said))
            self._logs.append(log)

    def _started(self, number: int, said: IO[bytes]) -> subprocess.Popen[bytes]:
        plan = self.plan
        argv = [sys.executable, "-m", "fallow", "worker", "--stop-with-stdin", "--drain", "5s"]
        argv += ["--data-dir", str(plan.data_dir / f"worker-{number}"), "--slots", str(plan.slots)]
        argv += ["--name", f"worker-{number}"]
        argv += ["--engine", plan.engine] if plan.engine else []
        argv += ["--flavour", plan.flavour] if plan.flavour else []
        argv += ["--label", plan.label] if plan.label else []
        argv += ["--allow-process"] if plan.allow_process else []
        env = {**os.environ, "FALLOW_SERVER": plan.server, "FALLOW_TOKEN": plan.token}
        # A session of its own: Ctrl-C comes to us alone, and we tell the workers.
        return subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT, env=env, start_new_session=True
        )

    def over(self) -> int | None:
        """The first exit status when every worker has ended; None while one runs."""
        statuses = [process.poll() for process in self._running]
        return None if any(status is None for status in statuses) else statuses[0]

    def last_words(self) -> str:
        """The end of the first worker's log."""
        data = self._logs[0].read_bytes()[-_LOG_TAIL_BYTES:] if self._logs else b""
        return data.decode("utf-8", "replace").strip()

    def stop(self, at_once: bool = False) -> None:
        """Lets idle workers leave; at_once: they end what they run."""
        for process in self._running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            if at_once and process.stdin:
                process.stdin.close()
        for process in self._running:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin:
                process.stdin.close()
