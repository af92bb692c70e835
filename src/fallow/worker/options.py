"""What the owner decides about a worker."""

import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fallow.core.words import Engine, Label
from fallow.worker.engines.oci_engine import Flavour


def say(line: str) -> None:
    """To stderr, one line."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """engine: None takes the first that works. slots: attempts at once; 0: one per two cores, at least one.

    memory_bytes, cpus: the most that all slots together may use; None: what the machine has. drain_seconds: how long
    running chunks may go on after the first request to stop. flavour: of a container engine that is known to work here,
    which is then not tried again.
    """

    server: str
    data_dir: Path
    token: str = ""
    label: Label | None = None
    engine: Engine | None = None
    slots: int = 1
    name: str = field(default_factory=socket.gethostname)
    allow_process: bool = False
    memory_bytes: int | None = None
    cpus: float | None = None
    drain_seconds: float = 300.0
    flavour: Flavour | None = None
    note: Callable[[str], None] = say

    @property
    def slot_count(self) -> int:
        return self.slots or max(1, len(os.sched_getaffinity(0)) // 2)
