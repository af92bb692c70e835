"""What is finished but not yet with the server: kept on disk, so that neither a crash here nor one there loses it."""

import contextlib
import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from fallow.core.words import FailureClass
from fallow.protocols.rest import work as wire
from fallow.worker.slot import Finished
from fallow.worker.steps import Steps
from fallow.worker.transfer import TransferFailed, Wait, send
from fallow.worker.wire import failure_of

ENTRY, ARTIFACT, LOG = "entry.json", "artifact", "log"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One finished attempt in its directory. artifact_waits, log_waits: not with the server yet."""

    attempt_id: int
    directory: Path
    envelope: bytes
    failure: wire.Failure | None
    upload_url: str
    log_url: str
    artifact_waits: bool
    log_waits: bool
    log_size_bytes: int = 0
    steps: tuple[wire.Step, ...] = ()

    @property
    def artifact(self) -> Path:
        return self.directory / ARTIFACT

    @property
    def log(self) -> Path:
        return self.directory / LOG

    @property
    def waiting_bytes(self) -> int:
        """Of the artifact, while the server does not have it; 0 when it is gone from the disk."""
        try:
            return self.artifact.stat().st_size if self.artifact_waits else 0
        except OSError:
            return 0

    def report(self) -> wire.Report:
        """As it is told to the server; an artifact that was not uploaded travels inside."""
        return wire.Report(
            attempt_id=self.attempt_id,
            envelope=self.envelope,
            inline=self.artifact.read_bytes() if self.artifact_waits else None,
            failure=self.failure,
            log_size_bytes=self.log_size_bytes,
            steps=self.steps,
        )


class Outbox:
    """One directory per finished attempt; it appears whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def keep(self, finished: Finished) -> Parcel:
        """Takes the attempt's files over from its slot. Raises OSError when the disk is full."""
        attempt = finished.assignment.attempt_id
        temporary = self._directory / f".{attempt}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        for source, name in ((finished.artifact, ARTIFACT), (finished.log, LOG)):
            if source is not None:
                os.rename(source, temporary / name)
        parcel = Parcel(
            attempt_id=attempt,
            directory=self._directory / str(attempt),
            envelope=finished.envelope,
            failure=failure_of(finished),
            upload_url=finished.assignment.upload_url,
            log_url=finished.assignment.log_url,
            artifact_waits=finished.artifact is not None,
            log_waits=finished.log is not None,
            steps=tuple(wire.Step(each.name, each.start, each.end) for each in finished.steps),
        )
        _write(temporary, parcel)
        shutil.rmtree(parcel.directory, ignore_errors=True)
        temporary.rename(parcel.directory)
        return parcel

    def failed(self, attempt_id: int, failure: wire.Failure) -> Parcel:
        """A report without files, for an attempt that never got to a slot."""
        return Parcel(attempt_id, self._directory / str(attempt_id), b"", failure, "", "", False, False)

    def update(self, parcel: Parcel) -> Parcel:
        """Notes what has been delivered."""
        _write(parcel.directory, parcel)
        return parcel

    def load(self) -> list[Parcel]:
        """What an earlier agent left; half-made directories are removed."""
        parcels = []
        for directory in sorted(self._directory.iterdir()):
            parcel = None if directory.name.startswith(".") else _read(directory)
            if parcel is None:
                shutil.rmtree(directory, ignore_errors=True)
            else:
                parcels.append(parcel)
        return parcels

    def forget(self, parcel: Parcel) -> None:
        shutil.rmtree(parcel.directory, ignore_errors=True)


def deliver(parcel: Parcel, inline_bytes_max: int, wait: Wait) -> Parcel:
    """Uploads the artifact when it is too large to travel inside the report, and the log.

    A URL that is over makes the attempt a failure of ours. Raises TransferFailed when the server cannot be reached.
    """
    steps = Steps("traced" if parcel.steps else "")
    with steps.step("upload"):
        parcel = _delivered(parcel, inline_bytes_max, wait)
    uploaded = tuple(wire.Step(each.name, each.start, each.end) for each in steps.done)
    return replace(parcel, steps=(*parcel.steps, *uploaded))


def _delivered(parcel: Parcel, inline_bytes_max: int, wait: Wait) -> Parcel:
    if parcel.waiting_bytes > inline_bytes_max:
        try:
            send(parcel.upload_url, parcel.artifact, "application/jsonl", wait)
        except TransferFailed as failed:
            if not 400 <= failed.status < 500:
                raise
            return _undeliverable(parcel, failed)
        parcel = replace(parcel, artifact_waits=False)
    if parcel.log_waits:
        size = parcel.log.stat().st_size
        try:
            send(parcel.log_url, parcel.log, "text/plain; charset=utf-8", wait)
        except TransferFailed as failed:
            if not 400 <= failed.status < 500:
                raise
            size = 0  # the answers count without the log
        parcel = replace(parcel, log_waits=False, log_size_bytes=size)
    return parcel


def _undeliverable(parcel: Parcel, failed: TransferFailed) -> Parcel:
    if failed.status == 413:
        code, message = "upload_refused", "The server does not take an artifact of this size."
    else:
        code, message = "url_expired", "The signed URL for the artifact is not valid any more."
    failure = wire.Failure(failure_class=FailureClass.OURS, code=code, message=message)
    return replace(parcel, envelope=b"", failure=failure, artifact_waits=False, log_waits=False)


def _write(directory: Path, parcel: Parcel) -> None:
    body = {
        "attempt_id": parcel.attempt_id,
        "envelope": parcel.envelope.decode(),
        "failure": msgspec.to_builtins(parcel.failure),
        "upload_url": parcel.upload_url,
        "log_url": parcel.log_url,
        "artifact_waits": parcel.artifact_waits,
        "log_waits": parcel.log_waits,
        "log_size_bytes": parcel.log_size_bytes,
        "steps": msgspec.to_builtins(parcel.steps),
    }
    temporary = directory / f".{ENTRY}"
    temporary.write_text(json.dumps(body))
    temporary.rename(directory / ENTRY)


def _read(directory: Path) -> Parcel | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, msgspec.ValidationError):
        body = json.loads((directory / ENTRY).read_text())
        failure = body["failure"]
        return Parcel(
            attempt_id=body["attempt_id"],
            directory=directory,
            envelope=body["envelope"].encode(),
            failure=msgspec.convert(failure, wire.Failure) if failure else None,
            upload_url=body["upload_url"],
            log_url=body["log_url"],
            artifact_waits=body["artifact_waits"],
            log_waits=body["log_waits"],
            log_size_bytes=body["log_size_bytes"],
            steps=msgspec.convert(body.get("steps", []), tuple[wire.Step, ...]),  # an older release wrote none
        )
    return None  # a parcel that cannot be read is an attempt that was lost; the server gives it out again
