"""Containers that stay warm between chunks of one job, and what is remembered about a job's image."""

import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fallow.worker.assignment import Assignment
from fallow.worker.contracts.pipes import Pipes
from fallow.worker.engines.engine import Engine, Running, Usage

Key = tuple[object, ...]
Clock = Callable[[], float]


@dataclass(slots=True)
class JobMemory:
    """What earlier chunks taught. Shared by the slots of an agent.

    start_seconds: from a container's start to its first answer. ends_at_eof: jobs whose image answers only at the end
    of its input (it buffers), so that each chunk needs its own container. counted: jobs whose image was once watched
    for long enough after its last answer, and wrote nothing more.
    """

    start_seconds: dict[str, float] = field(default_factory=dict)
    ends_at_eof: set[str] = field(default_factory=set)
    counted: set[str] = field(default_factory=set)


class Warm(Protocol):
    """What may stand on the shelf. key[0] is its job. reused: it has served an earlier chunk."""

    key: Key
    reused: bool

    def usable(self, chunk_seconds: float) -> bool:
        """Whether it can take a chunk that needs so long."""
        ...

    def close(self) -> None: ...


class Session:
    """One started container and its pipes. `directory` is the run's own and goes with it."""

    def __init__(
        self, key: Key, running: Running, pipes: Pipes, directory: Path, backstop_seconds: float, clock: Clock
    ) -> None:
        self.key = key
        self.running = running
        self.pipes = pipes
        self.started = clock()
        self._clock = clock
        self.ready = False
        self.answered = False
        self.reused = False
        self.used = Usage()  # up to the end of its last chunk
        self._directory = directory
        self._backstop_seconds = backstop_seconds

    def usable(self, chunk_seconds: float) -> bool:
        """Alive, clean, and young enough that its backstop will not end the next chunk."""
        young = self._clock() - self.started + chunk_seconds < self._backstop_seconds
        if not young or self.running.poll() or not self.pipes.idle:
            return False
        stale = self.pipes.step(0)  # a line now would be taken for the next chunk's first answer
        return not stale and self.pipes.idle

    def close(self) -> None:
        self.pipes.close()
        self.running.close()
        shutil.rmtree(self._directory, ignore_errors=True)


class Shelf:
    """Holds at most one warm session, for one slot. Used by the slot's thread and cleared by the agent's."""

    def __init__(self, directory: Path, memory: JobMemory) -> None:
        self.memory = memory
        self._directory = directory
        self._session: Warm | None = None
        self._lock = threading.Lock()

    def run_dir(self) -> Path:
        """A fresh directory for one run. The engine's marks go there, so it is nobody else's working directory."""
        self._directory.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="run-", dir=self._directory))

    def take(self, key: Key, chunk_seconds: float) -> Warm | None:
        """The warm session for this key, or None; one that does not fit is ended."""
        with self._lock:
            session, self._session = self._session, None
        if session is None:
            return None
        if session.key == key and session.usable(chunk_seconds):
            session.reused = True
            return session
        session.close()
        return None

    def put(self, session: Warm) -> None:
        with self._lock:
            self._session = session

    def holds(self, job_id: str) -> bool:
        """Whether a container of this job is warm here."""
        session = self._session
        return session is not None and session.key[0] == job_id

    def clear(self) -> None:
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()


def session_key(assignment: Assignment, engine: Engine) -> Key:
    """Two chunks with the same key may share a container, one after the other."""
    image = assignment.image.image_id if assignment.image else ""
    environment = tuple(sorted(assignment.env.items()))
    return (
        assignment.job_id,
        assignment.contract,
        engine.name,
        image,
        assignment.command,
        environment,
        assignment.limits,
        assignment.harness,
        assignment.outbound,
        assignment.http,
        assignment.accelerators,
    )
