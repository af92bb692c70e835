"""What every engine can do, in the words the rest of the worker uses."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Protocol


class Network(StrEnum):
    NONE = "none"
    OUTBOUND = "outbound"  # the engine's default network: out, not in
    HOST = "host"  # the machine's own; for servers on the loopback address


class End(StrEnum):
    """How a run ended."""

    EXITED = "exited"
    OUT_OF_MEMORY = "out_of_memory"
    KILLED = "killed"  # by us
    ENGINE_ERROR = "engine_error"  # it never ran, or the engine lost it


@dataclass(frozen=True, slots=True)
class Outcome:
    """exit_code: the program's own; 128 + n for signal n. message: the engine's words, for ENGINE_ERROR."""

    end: End
    exit_code: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    cpu_seconds: float = 0.0
    memory_bytes_max: int = 0


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory of the machine at `target` in the container."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One run. image_id: "" for the process engine. run_dir: an empty directory of this run's own, for the marks.

    accelerators: more than 0 gives it all that the machine has, or only the one with the number `accelerator`.
    yielding: it gets processor time that nobody else wants. timeout_seconds: a backstop that outlives the agent, where
    the engine has one.
    """

    image_id: str
    run_dir: Path
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    network: Network = Network.NONE
    memory_bytes: int | None = None
    cpus: float | None = None
    pids: int = 512
    tmp_bytes: int = 1 << 30
    accelerators: int = 0
    accelerator: int | None = None
    yielding: bool = False
    timeout_seconds: float | None = None
    attempt: str = ""


class Running(Protocol):
    """A started run. The three pipes are unbuffered; the caller reads and closes them."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]

    def poll(self) -> bool:
        """Whether it has ended."""
        ...

    def wait(self, timeout_seconds: float) -> Outcome | None:
        """How it ended; None when it has not within the time."""
        ...

    def kill(self) -> None:
        """End it and everything it started, whatever it ignores; returns when it is gone. Harmless when over."""
        ...

    def connect(self, port: int) -> socket.socket:
        """A TCP connection to this port of the run's own loopback address, whatever network it has.

        Raises OSError: ConnectionRefusedError when nothing listens there (yet), PermissionError when this worker has no
        way in.
        """
        ...

    def usage(self) -> Usage:
        """What it has used so far, as far as the machine tells; zeros where it does not."""
        ...

    def close(self) -> None:
        """Kill if needed, close the pipes, leave nothing behind."""
        ...


class EngineBroken(Exception):
    """The engine could not start the run. The message is one plain sentence."""


class Engine(Protocol):
    name: str
    isolates: bool  # whether mounts appear at their targets; False: programs see the machine's own paths

    def start(self, spec: ContainerSpec) -> Running:
        """Raises EngineBroken."""
        ...

    def reap(self) -> int:
        """Remove what an earlier agent of this worker left running; how many there were."""
        ...
