"""The ways in which the program ends, and the files by which a BOINC client is told.

Source: BOINC api/boinc_api.cpp (boinc_finish, boinc_temporary_exit), client/app_control.cpp.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from fallow.worker.faults import Fault

FINISH_FILE = "boinc_finish_called"
LATER_FILE = "boinc_temporary_exit"
FAILURE_LINE = "fallow-failure"
REASON_CHARACTERS_MAX = 200  # the client reads lines of 256
LATER_SECONDS_MIN = 60.0
LATER_SECONDS_MAX = 3600.0


@dataclass(slots=True)
class Later(Exception):
    """Nothing can be done now: the client starts the program again after so many seconds. reason: no full stop, one
    line. notice: whether the volunteer should see it."""

    seconds: float
    reason: str
    notice: bool = False


class Left(Exception):
    """The client told the program to go, or is gone itself. What is finished stays in the slot."""


@dataclass(slots=True)
class Impossible(Exception):
    """This machine cannot do the task. sentences: for the volunteer, what is wrong and what to do."""

    fault: Fault
    sentences: tuple[str, ...] = ()


def say(sentence: str) -> None:
    """A line in the task's stderr, which the client keeps and sends to the server."""
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


def finish(slot: Path) -> None:
    """The task is done: the client takes its answer when the program has ended."""
    _write(slot / FINISH_FILE, "0\n")


def come_back(slot: Path, later: Later) -> int:
    """The client will start the program again; the exit code."""
    reason = " ".join(later.reason.split())[:REASON_CHARACTERS_MAX]
    say(f"{reason}; trying again in {later.seconds:.0f} s")
    _write(slot / LATER_FILE, f"{later.seconds:.0f}\n{reason}\n" + ("notice\n" if later.notice else ""))
    return 0


def give_up(impossible: Impossible) -> int:
    """The task failed on this machine; the last line is for the server. The exit code."""
    for sentence in impossible.sentences:
        say(sentence)
    fault = impossible.fault
    failure = {"failure_class": fault.failure_class.value, "code": fault.code, "message": fault.message}
    say(f"{FAILURE_LINE} {json.dumps(failure, ensure_ascii=False)}")
    return 1


def later_seconds(tries: int) -> float:
    """60 s, doubled with each try up to an hour."""
    return min(LATER_SECONDS_MAX, LATER_SECONDS_MIN * (1 << min(tries, 10)))


def _write(path: Path, text: str) -> None:
    """Whole or not at all: the client looks at any moment."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text)
    os.replace(temporary, path)
