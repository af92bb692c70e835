"""Which engines this worker has, after trying them."""

from dataclasses import dataclass

from fallow.core.refusals import Code, Refusal
from fallow.core.words import Engine as EngineName
from fallow.protocols.rest import work as wire
from fallow.worker.door import Door
from fallow.worker.engines.engine import Engine
from fallow.worker.engines.process import ProcessEngine
from fallow.worker.options import AgentOptions
from fallow.worker.slot import ImageSource


@dataclass(frozen=True, slots=True)
class Equipment:
    containers: Engine | None
    process: Engine | None
    accelerators: tuple[wire.Accelerator, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(engine.name for engine in (self.containers, self.process) if engine is not None)

    def images(self, door: Door) -> ImageSource | None:
        return None


def equip(options: AgentOptions, worker_id: str) -> Equipment:
    """The engines that work here, reaped of what an earlier agent left. Raises Refusal when none does."""
    process = ProcessEngine(True, options.data_dir / "processes") if options.allow_process else None
    if options.engine is EngineName.PROCESS and process is None:
        ProcessEngine(False, options.data_dir)
    if process is None:
        raise Refusal(Code.ENGINE_MISSING, "No engine works.", "Install podman.")
    process.reap()
    return Equipment(None, process)
