"""Which engines this worker has, after trying them."""

from dataclasses import dataclass

from fallow.core.refusals import Code, Refusal
from fallow.core.words import Contract
from fallow.core.words import Engine as EngineName
from fallow.protocols.rest import work as wire
from fallow.worker.door import Door, Unreachable
from fallow.worker.engines.oci_engine import Flavour, OciEngine
from fallow.worker.engines.probe import PROGRAMS, Verdict, probe
from fallow.worker.engines.process import ProcessEngine
from fallow.worker.hardware import gpu_trouble, nvidia_gpus
from fallow.worker.images import Blob, Images, Layout, LayoutUnavailable
from fallow.worker.options import AgentOptions
from fallow.worker.slot import CONTRACTS


@dataclass(frozen=True, slots=True)
class Equipment:
    """containers: None when no container engine works or none was asked for. process: None when not allowed."""

    options: AgentOptions
    containers: OciEngine | None
    process: ProcessEngine | None
    accelerators: tuple[wire.Accelerator, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The engines that work."""
        return tuple(engine.name for engine in (self.containers, self.process) if engine is not None)

    @property
    def contracts(self) -> tuple[Contract, ...]:
        """Those that work with these engines."""
        reaches = self.containers is None or self.containers.reaches
        return tuple(each for each in CONTRACTS if reaches or each is not Contract.HTTP)

    def images(self, door: Door) -> Images | None:
        """Where the container engine's images come from."""
        if self.containers is None:
            return None
        server = self.options.server

        def find(digest: str) -> Layout:
            try:
                found = door.image(digest)
            except (Refusal, Unreachable) as wrong:
                raise LayoutUnavailable(str(wrong)) from None
            blobs = tuple(Blob(blob.digest, blob.size_bytes, blob.url) for blob in found.blobs)
            return Layout(found.digest, found.manifest, found.media_type, blobs)

        return Images(self.options.data_dir / "images", self.containers, server, find)


def equip(options: AgentOptions, worker_id: str) -> Equipment:
    """The engines that work here, reaped of what an earlier agent left. Raises Refusal when none does."""
    process = _process(options)
    verdicts = [] if options.engine is EngineName.PROCESS else _try_containers(options, worker_id)
    flavour = next((verdict.flavour for verdict in verdicts if verdict.flavour), None)
    containers = OciEngine(flavour, worker_id) if flavour else None
    for verdict in verdicts:
        options.note(" ".join((verdict.message, "" if verdict.flavour else verdict.remedy)).strip())
    if containers is None and process is None:
        raise _no_engine(verdicts)
    for engine in (containers, process):
        reaped = engine.reap() if engine is not None else 0
        if reaped and engine is not None:
            options.note(f"{engine.name}: ended {reaped} that an earlier worker had left running")
    if containers is not None and not containers.reaches:
        options.note(f"this user may not enter {containers.name}'s networks: jobs of the contract http go elsewhere")
    return Equipment(options, containers, process, _accelerators(options, flavour))


def _accelerators(options: AgentOptions, flavour: Flavour | None) -> tuple[wire.Accelerator, ...]:
    """Those that a job could use: a GPU that the engine cannot hand over would only make its jobs fail here."""
    gpus = nvidia_gpus()
    trouble = gpu_trouble(flavour) if gpus and flavour is not None else None
    if trouble is not None:
        options.note(f"{trouble.message} Jobs that need one go elsewhere. {trouble.remedy}")
        return ()
    return tuple(wire.Accelerator("nvidia", gpu.model, gpu.memory_bytes) for gpu in gpus)


def _process(options: AgentOptions) -> ProcessEngine | None:
    if options.engine is EngineName.PROCESS or options.allow_process:
        return ProcessEngine(options.allow_process, options.data_dir / "processes")
    return None


def _try_containers(options: AgentOptions, worker_id: str) -> list[Verdict]:
    """Until one works."""
    if options.flavour is not None:
        return [Verdict(options.flavour.program, options.flavour, f"{options.flavour.program} was tried before.")]
    verdicts: list[Verdict] = []
    for program in [str(options.engine)] if options.engine else PROGRAMS:
        verdicts.append(probe(program, worker_id))
        if verdicts[-1].flavour:
            return verdicts[-1:]
    return verdicts


def _no_engine(verdicts: list[Verdict]) -> Refusal:
    # Of several engines that do not work, the one that is installed is the one to mend.
    said = next((v for v in verdicts if "not installed" not in v.message), verdicts[0])
    return Refusal(Code.ENGINE_MISSING, said.message, said.remedy)
