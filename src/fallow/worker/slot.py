"""A slot: one directory, one attempt at a time, from its input to its receipt. Nothing it runs can make it raise."""

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from fallow.core.trace import Timed
from fallow.core.words import Contract
from fallow.worker.answers import Answers
from fallow.worker.assignment import Assignment, ImageNeed
from fallow.worker.contracts.contract import Ceiling, ContractRunner, Work
from fallow.worker.contracts.direct import DirectContract
from fallow.worker.contracts.files import FilesContract
from fallow.worker.contracts.http import HttpContract
from fallow.worker.contracts.session import JobMemory, Shelf
from fallow.worker.contracts.stream import StreamContract
from fallow.worker.control import Control
from fallow.worker.engines.engine import Engine
from fallow.worker.faults import Fault, aborted, disk_full, workers
from fallow.worker.logs import CappedLog
from fallow.worker.receipts import Signer
from fallow.worker.staging import Staged, stage
from fallow.worker.steps import Steps

CONTRACTS: dict[Contract, Callable[[], ContractRunner]] = {
    Contract.STREAM: StreamContract,
    Contract.HTTP: HttpContract,
    Contract.FILES: FilesContract,
    Contract.DIRECT: DirectContract,
}


class ImageSource(Protocol):
    def ensure(self, need: ImageNeed, control: Control) -> str | Fault:
        """The id by which the engine runs the image, once it is there."""
        ...


@dataclass(frozen=True, slots=True)
class Outfit:
    """What all slots of an agent share. containers: None where no engine works. process: None when not allowed."""

    signer: Signer
    images: ImageSource | None = None
    containers: Engine | None = None
    process: Engine | None = None
    ceiling: Ceiling = Ceiling()
    memory: JobMemory = field(default_factory=JobMemory)
    note: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of an attempt. envelope: over the first items_done items, empty when there is nothing to claim.
    artifact: to be delivered; None when there is none or when the image has put it away itself. log: None when empty.
    Both files live in the slot and are gone after the `finished` call."""

    assignment: Assignment
    fault: Fault | None
    items_done: int
    envelope: bytes
    artifact: Path | None
    log: Path | None
    log_tail: str
    seconds: float
    steps: tuple[Timed, ...] = ()


class Slot:
    """Its directory is emptied when it is made and after each attempt."""

    def __init__(self, directory: Path, outfit: Outfit) -> None:
        self._directory = directory
        self._outfit = outfit
        shutil.rmtree(directory, ignore_errors=True)
        self.shelf = Shelf(directory / "runs", outfit.memory)

    def run(self, assignment: Assignment, control: Control, finished: Callable[[Finished], None]) -> None:
        """One attempt, end to end; `finished` is called once, while the attempt's files are still there."""
        directory = self._directory / f"attempt-{assignment.attempt_id}"
        shutil.rmtree(directory, ignore_errors=True)
        began, started = control.hold.now(), datetime.now(UTC)
        try:
            directory.mkdir(parents=True)
            log = control.log = CappedLog(directory / "log", assignment.limits.log_bytes)
            answers = Answers(directory / "output.jsonl")
            try:
                finished(self._attempt(assignment, control, directory, log, answers, started, began))
            finally:
                log.close()
                answers.close()
        except OSError as wrong:
            fault = _disk_fault(wrong)
            finished(Finished(assignment, fault, 0, b"", None, None, "", control.hold.now() - began))
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def close(self) -> None:
        """Ends the warm container and empties the directory."""
        self.shelf.clear()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _attempt(
        self,
        assignment: Assignment,
        control: Control,
        directory: Path,
        log: CappedLog,
        answers: Answers,
        started: datetime,
        began: float,
    ) -> Finished:
        steps = Steps(assignment.traceparent)
        fault, work = self._run(assignment, control, directory, log, answers, steps)
        try:
            answers.close()
            log.close()
        except OSError as wrong:
            fault, work = _disk_fault(wrong), None
        envelope, artifact = b"", None
        if work is not None and answers.count and (fault is None or fault.keeps_answers):
            uri = work.artifact_uri or assignment.artifact_uri
            artifact = None if work.artifact_uri else answers.path
            envelope = self._outfit.signer.receipt(
                assignment, answers, work.staged.input_sha256, uri, started, datetime.now(UTC), work.usage
            )
        return Finished(
            assignment,
            fault,
            answers.count if envelope else 0,
            envelope,
            artifact,
            log.path if log.size_bytes else None,
            log.tail() if fault else "",
            control.hold.now() - began,
            steps.done,
        )

    def _run(
        self,
        assignment: Assignment,
        control: Control,
        directory: Path,
        log: CappedLog,
        answers: Answers,
        steps: Steps,
    ) -> tuple[Fault | None, Work | None]:
        """The fault, and the work as far as it came."""
        if control.stopped:
            return aborted(control.reason), None
        engine = self._outfit.containers if assignment.image else self._outfit.process
        runner = CONTRACTS.get(assignment.contract)
        if engine is None:
            return _no_engine(assignment), None
        if runner is None:
            return workers("contract_unknown", f"The worker does not know the contract {assignment.contract}."), None
        if assignment.image is not None and self._outfit.images is not None:
            with steps.step("image"):
                image = self._outfit.images.ensure(assignment.image, control)
            if isinstance(image, Fault):
                return image, None
            assignment = replace(assignment, image=replace(assignment.image, image_id=image))
        if assignment.contract is Contract.DIRECT:
            staged: Staged | Fault = Staged(directory / "items.jsonl", assignment.item_count)
        else:
            with steps.step("stage"):
                staged = stage(assignment, directory, control.wait)
        if control.stopped:
            return aborted(control.reason), None
        if isinstance(staged, Fault):
            return staged, None
        work = self._work(assignment, control, directory, log, answers, staged, engine)
        try:
            with steps.step("run"):
                return runner().run(work), work
        except OSError as wrong:
            self.shelf.clear()
            return _disk_fault(wrong), None

    def _work(
        self,
        assignment: Assignment,
        control: Control,
        directory: Path,
        log: CappedLog,
        answers: Answers,
        staged: Staged,
        engine: Engine,
    ) -> Work:
        return Work(
            assignment=assignment,
            staged=staged,
            directory=directory,
            engine=engine,
            log=log,
            answers=answers,
            control=control,
            shelf=self.shelf,
            note=self._outfit.note,
            ceiling=self._outfit.ceiling,
        )


def _no_engine(assignment: Assignment) -> Fault:
    if assignment.image is None:
        return workers("engine_not_allowed", "The worker's owner does not allow programs without a container.")
    return workers("engine_missing", "The worker has no working container engine.")


def _disk_fault(wrong: OSError) -> Fault:
    if wrong.errno in {errno.ENOSPC, errno.EDQUOT}:
        return disk_full()
    return workers("slot_broken", f"The worker's slot directory cannot be used: {wrong.strerror}.")
