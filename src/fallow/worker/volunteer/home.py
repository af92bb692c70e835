"""Where things are: the slot (this task's), the project's directory (all tasks' of this project), the client's own.

What the program keeps beyond a task is below "fallow" in the project's directory, which the client counts and removes
when the volunteer leaves the project.
"""

import contextlib
import fcntl
import re
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fallow.worker.transfer import Wait
from fallow.worker.volunteer.endings import Later, Left
from fallow.worker.volunteer.init_data import InitData

_LABEL = re.compile(r"v-[0-9]+-[0-9a-f]{16}")
_SOFT_LINK = re.compile(r"\s*<soft_link>([^<]+)</soft_link>\s*")
LINK_BYTES_MAX = 4096
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Home:
    """number: of the slot. label: what containers of this start carry; no other start anywhere has the same."""

    slot: Path
    project: Path
    client: Path
    number: int
    label: str

    @property
    def work(self) -> Path:
        """This task's, until it is over."""
        return self.slot / "fallow"

    @property
    def kept(self) -> Path:
        """The project's, shared by all tasks."""
        return self.project / "fallow"


def find_home(slot: Path, said: InitData) -> Home:
    """From what the client said; else from where this program's file is: projects/NAME/."""
    slot = slot.resolve()
    client = Path(said.client_dir) if said.client_dir and Path(said.client_dir).is_dir() else slot.parent.parent
    project = Path(said.project_dir) if said.project_dir else Path()
    if not said.project_dir or not project.is_dir():
        project = Path(sys.argv[0]).resolve().parent
    number = said.slot if said.slot >= 0 else int(slot.name) if slot.name.isdigit() else 0
    return Home(slot, project, client, number, f"v-{number}-{secrets.token_hex(8)}")


def resolved(path: Path) -> Path:
    """The file itself where the client left a text with its path instead of a copy."""
    try:
        with path.open("rb") as file:
            match = _SOFT_LINK.fullmatch(file.read(LINK_BYTES_MAX).decode("utf-8", "replace"))
    except OSError:
        return path
    return path.parent / match[1].strip() if match else path


@contextlib.contextmanager
def locked(path: Path, wait: Wait) -> Iterator[None]:
    """Only one program at a time holds this file. Raises Left when told to stop while waiting, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        while not _lock(file.fileno()):
            if wait(0.2):
                raise Left
        yield


class Slots:
    """Which slots of this project have a program, and which had one that was killed: its containers may still run.

    One file for each slot: locked while a program is there, with the label of its containers in it until it says
    goodbye.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._directory = home.kept / "slots"
        self._directory.mkdir(parents=True, exist_ok=True)
        self._file = (self._directory / str(home.number)).open("a+")

    def enter(self, wait: Wait) -> list[str]:
        """Takes this slot; the labels of containers that may have been left, here and in others. Raises Later, Left."""
        for _ in range(int(PATIENCE_SECONDS / 0.2)):
            if _lock(self._file.fileno()):
                break
            if wait(0.2):
                raise Left
        else:
            raise Later(60.0, "another program is still at work in this slot")
        left = _labels(self._file)
        self._file.write(self._home.label + "\n")
        self._file.flush()
        for path in self._directory.iterdir():
            if path.name != str(self._home.number):
                with path.open("a+") as file:
                    left += _labels(file) if _lock(file.fileno()) else []
        return left

    def leave(self) -> None:
        """Nothing of this slot's runs any more."""
        self._file.truncate(0)
        self._file.close()


def _labels(file: IO[str]) -> list[str]:
    """What programs that were killed have written into this slot's file; taken away."""
    file.seek(0)
    found = [line.strip() for line in file if _LABEL.fullmatch(line.strip())]
    file.truncate(0)
    return found


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
