"""What a contract is given and what it must do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from fallow.worker.answers import Answers
from fallow.worker.assignment import Assignment
from fallow.worker.contracts.session import Shelf
from fallow.worker.control import Control
from fallow.worker.engines.engine import ContainerSpec, Engine, Mount, Network, Usage
from fallow.worker.faults import Fault
from fallow.worker.logs import CappedLog
from fallow.worker.staging import Staged


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that the owner gives to one slot. None: no ceiling.

    accelerator: the number of the one that is this slot's; None: all of them. backstop: whether the engine's own clock
    may end a container that outlives the agent; it does not stand still where the owner pauses containers. yielding:
    whether containers give way to whatever else wants the processors.
    """

    memory_bytes: int | None = None
    cpus: float | None = None
    accelerator: int | None = None
    backstop: bool = True
    yielding: bool = False


@dataclass(slots=True)
class Work:
    """One attempt in its slot. `directory` is the attempt's own and is gone afterwards. A contract sets `usage`, and
    `artifact_uri` when the image itself has put the artifact somewhere."""

    assignment: Assignment
    staged: Staged
    directory: Path
    engine: Engine
    log: CappedLog
    answers: Answers
    control: Control
    shelf: Shelf
    note: Callable[[str], None]
    ceiling: Ceiling = Ceiling()
    usage: Usage = field(default_factory=Usage)
    artifact_uri: str = ""

    def container(
        self, run_dir: Path, env: dict[str, str], mounts: tuple[Mount, ...], network: Network, backstop: float
    ) -> ContainerSpec:
        """The run that this assignment asks for, inside what the owner allows."""
        assignment, limits = self.assignment, self.assignment.limits
        return ContainerSpec(
            image_id=assignment.image.image_id if assignment.image else "",
            run_dir=run_dir,
            command=assignment.command,
            env=env,
            mounts=mounts,
            network=network,
            memory_bytes=_smaller(limits.memory_bytes, self.ceiling.memory_bytes),
            cpus=_smaller(limits.cpus, self.ceiling.cpus),
            pids=limits.pids,
            tmp_bytes=limits.tmp_bytes,
            accelerators=assignment.accelerators,
            accelerator=self.ceiling.accelerator,
            yielding=self.ceiling.yielding,
            timeout_seconds=backstop if self.ceiling.backstop else None,
            attempt=str(assignment.attempt_id),
        )


class ContractRunner(Protocol):
    def run(self, work: Work) -> Fault | None:
        """Fills work.answers with one line per item; None when all is well.

        Leaves no container of this attempt running, except a warm one on the shelf.
        """
        ...


N = TypeVar("N", int, float)


def _smaller(asked: N | None, ceiling: N | None) -> N | None:
    known = [each for each in (asked, ceiling) if each is not None]
    return min(known) if known else None
