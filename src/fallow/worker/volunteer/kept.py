"""Finished attempts in the slot: kept the moment they are finished, so that no restart runs them again."""

import base64
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallow.worker.faults import Fault
from fallow.worker.slot import Finished

ENTRY, ARTIFACT, LOG = "entry.json", "artifact", "log"


@dataclass(frozen=True, slots=True)
class Kept:
    """One finished attempt. failure: as protocols.rest.work.Failure has it, None when nothing failed. items: it had.
    seconds: it took. delivered: the artifact is with the server. log_size_bytes: of the log that is with the server.
    """

    directory: Path
    attempt_id: int
    items: int
    envelope: bytes
    failure: dict[str, Any] | None
    seconds: float = 0.0
    delivered: bool = False
    log_size_bytes: int = 0

    @property
    def artifact(self) -> Path | None:
        """The file that must still be delivered; None when there is none."""
        path = self.directory / ARTIFACT
        return path if not self.delivered and path.exists() else None

    @property
    def log(self) -> Path | None:
        """The file that must still be delivered; None when there is none."""
        path = self.directory / LOG
        return path if not self.log_size_bytes and path.exists() else None

    @property
    def cpu_seconds(self) -> float:
        """By its receipt; 0 where nothing was answered."""
        if not self.envelope:
            return 0.0
        statement = json.loads(base64.b64decode(json.loads(self.envelope)["payload"]))
        return float(statement["usage"]["cpu_seconds"])


class Shelved:
    """One directory per finished attempt; it appears whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def keep(self, finished: Finished) -> Kept:
        """Takes the attempt's files over. Raises OSError when the disk is full."""
        assignment = finished.assignment
        temporary = self._directory / f".{assignment.attempt_id}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        for source, name in ((finished.artifact, ARTIFACT), (finished.log, LOG)):
            if source is not None:
                os.rename(source, temporary / name)
        directory = self._directory / str(assignment.attempt_id)
        kept = Kept(
            directory,
            assignment.attempt_id,
            assignment.item_count,
            finished.envelope,
            failure_of(finished.fault, finished.items_done, finished.log_tail),
            finished.seconds,
        )
        _write(temporary, kept)
        shutil.rmtree(directory, ignore_errors=True)
        temporary.rename(directory)
        return kept

    def update(self, kept: Kept) -> Kept:
        """Notes what has been delivered."""
        _write(kept.directory, kept)
        return kept

    def load(self) -> dict[int, Kept]:
        """What earlier programs of this slot finished, by attempt; what cannot be read is run again."""
        found = {}
        for directory in sorted(self._directory.iterdir()):
            kept = None if directory.name.startswith(".") else _read(directory)
            if kept is None:
                shutil.rmtree(directory, ignore_errors=True)
            else:
                found[kept.attempt_id] = kept
        return found


def failed(attempt_id: int, fault: Fault) -> Kept:
    """Of an attempt that never ran: there are no files."""
    return Kept(Path(os.devnull), attempt_id, 0, b"", failure_of(fault))


def failure_of(fault: Fault | None, items_done: int = 0, log_tail: str = "") -> dict[str, Any] | None:
    """What went wrong, with the members of protocols.rest.work.Failure."""
    if fault is None:
        return None
    return {
        "failure_class": fault.failure_class.value,
        "code": fault.code,
        "message": fault.message,
        "items_done": items_done,
        "bad_item": fault.bad_item,
        "exit_code": fault.exit_code,
        "log_tail": log_tail,
    }


def _write(directory: Path, kept: Kept) -> None:
    body = {
        "attempt_id": kept.attempt_id,
        "items": kept.items,
        "envelope": kept.envelope.decode(),
        "failure": kept.failure,
        "seconds": kept.seconds,
        "delivered": kept.delivered,
        "log_size_bytes": kept.log_size_bytes,
    }
    temporary = directory / f".{ENTRY}"
    temporary.write_text(json.dumps(body))
    os.replace(temporary, directory / ENTRY)


def _read(directory: Path) -> Kept | None:
    try:
        body = json.loads((directory / ENTRY).read_text())
        return Kept(
            directory,
            body["attempt_id"],
            body["items"],
            body["envelope"].encode(),
            body["failure"],
            body["seconds"],
            body["delivered"],
            body["log_size_bytes"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
