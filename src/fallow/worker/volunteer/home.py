"""Where things are: the slot (this task's), the project's directory (all tasks' of this project), the client's own.

What the program keeps beyond a task is below "fallow" in the project's directory, which the client counts and removes
when the volunteer leaves the project.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fallow.worker.transfer import Wait
from fallow.worker.volunteer.endings import Later, Left
from fallow.worker.volunteer.init_data import InitData

_SOFT_LINK = re.compile(r"\s*<soft_link>([^<]+)</soft_link>\s*")
LINK_BYTES_MAX = 4096
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Home:
    """number: of the slot. label: what containers of this slot carry; no other slot, project or client has the same."""

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

    def label_of(self, number: str) -> str:
        """Of another slot."""
        return self.label.rpartition("-")[0] + f"-{number}"


def find_home(slot: Path, said: InitData) -> Home:
    """From what the client said; else from where this program's file is: projects/NAME/."""
    slot = slot.resolve()
    client = Path(said.client_dir) if said.client_dir and Path(said.client_dir).is_dir() else slot.parent.parent
    project = Path(said.project_dir) if said.project_dir else Path()
    if not said.project_dir or not project.is_dir():
        project = Path(sys.argv[0]).resolve().parent
    number = said.slot if said.slot >= 0 else int(slot.name) if slot.name.isdigit() else 0
    owner = hashlib.sha256(str(project.resolve()).encode()).hexdigest()[:12]
    return Home(slot, project, client, number, f"v-{owner}-{number}")


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
    """Which slots of this project have a program, and which had one that was killed: its containers may still run."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._directory = home.kept / "slots"
        self._directory.mkdir(parents=True, exist_ok=True)
        self._file = (self._directory / str(home.number)).open("a+")

    def enter(self, wait: Wait) -> list[str]:
        """Takes this slot; the labels of containers that may have been left. Raises Later, Left."""
        for _ in range(int(PATIENCE_SECONDS / 0.2)):
            if _lock(self._file.fileno()):
                break
            if wait(0.2):
                raise Left
        else:
            raise Later(60.0, "another program is still at work in this slot")
        left = [self._home.label] if self._marked(self._file.fileno()) else []
        self._file.write("running\n")
        self._file.flush()
        for path in self._directory.iterdir():
            if path.name.isdigit() and path.name != str(self._home.number) and self._was_killed(path):
                left.append(self._home.label_of(path.name))
        return left

    def leave(self) -> None:
        """Nothing of this slot's runs any more."""
        self._file.truncate(0)
        self._file.close()

    def _was_killed(self, path: Path) -> bool:
        """Whether nobody holds this slot though its program never said goodbye; the mark is taken away."""
        with path.open("a+") as file:
            killed = _lock(file.fileno()) and self._marked(file.fileno())
            if killed:
                file.truncate(0)
            return killed

    @staticmethod
    def _marked(descriptor: int) -> bool:
        return os.fstat(descriptor).st_size > 0


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
