"""Which worker may run which job, and why not."""

from collections.abc import Sequence
from dataclasses import dataclass

from fallow.core.job import MIB, JobSpec
from fallow.core.words import Engine, WorkerId


@dataclass(frozen=True, slots=True)
class Capability:
    """What a worker has. engines and contracts: what passed its own smoke run. alive: it was heard of lately.
    stranger: a volunteer's machine, of another account than the jobs'. own_only: and strangers get nothing here."""

    worker_id: WorkerId
    label: str | None
    platform: str
    cores: float
    memory_bytes: int
    slots: int
    engines: frozenset[str]
    contracts: frozenset[str]
    accelerators: int = 0
    alive: bool = True
    stranger: bool = False
    own_only: bool = False


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One requirement, as "label=edge", that one worker does not meet."""

    requirement: str
    has: str


def mismatches(spec: JobSpec, worker: Capability) -> list[Mismatch]:
    """What keeps this worker from the job; empty when nothing does."""
    needs = spec.requirements
    found: list[Mismatch] = []
    if worker.stranger and not needs.volunteers:
        found.append(Mismatch("volunteers=false", "a volunteer's machine"))
    elif worker.own_only:
        found.append(Mismatch("boinc_own_only=true", "a volunteer's machine"))
    if needs.label is not None and worker.label != needs.label:
        found.append(Mismatch(f"label={needs.label}", f"label={worker.label or 'none'}"))
    found.extend(_engine_mismatch(spec, worker))
    if spec.contract not in worker.contracts:
        found.append(Mismatch(f"contract={spec.contract}", _listed(worker.contracts)))
    platforms = (needs.platform,) if needs.platform else spec.image.platforms if spec.image else ()
    if platforms and worker.platform not in platforms:
        found.append(Mismatch(f"platform={_listed(platforms)}", worker.platform))
    memory = max(needs.memory_bytes, spec.limits.memory_bytes or 0)
    if memory > worker.memory_bytes:
        found.append(Mismatch(f"memory={memory // MIB}MiB", f"{worker.memory_bytes // MIB}MiB"))
    if max(needs.cores, spec.limits.cpus or 0.0) > worker.cores:
        found.append(Mismatch(f"cores={max(needs.cores, spec.limits.cpus or 0.0):g}", f"{worker.cores:g}"))
    if needs.accelerators > worker.accelerators:
        found.append(Mismatch(f"accelerators={needs.accelerators}", f"{worker.accelerators}"))
    return found


def _engine_mismatch(spec: JobSpec, worker: Capability) -> list[Mismatch]:
    if spec.image is None:
        fits, wanted = Engine.PROCESS in worker.engines, "process"
    elif spec.requirements.engine is not None:
        fits, wanted = spec.requirements.engine in worker.engines, str(spec.requirements.engine)
    else:
        fits, wanted = bool(worker.engines - {Engine.PROCESS}), "podman or docker"
    return [] if fits else [Mismatch(f"engine={wanted}", _listed(worker.engines))]


def explain(spec: JobSpec, workers: Sequence[Capability]) -> list[str]:
    """Sentences on why no worker takes the job: "label=edge excludes 3 of 3 workers". Empty when at least one can."""
    live = [worker for worker in workers if worker.alive]
    if not live:
        return ["no worker has been heard of lately" if workers else "no worker has joined yet"]
    per_worker = [mismatches(spec, worker) for worker in live]
    if any(not found for found in per_worker):
        return []
    counts: dict[str, int] = {}
    for found in per_worker:
        for each in found:
            counts[each.requirement] = counts.get(each.requirement, 0) + 1
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [f"{requirement} excludes {count} of {len(live)} workers" for requirement, count in ranked]


def _listed(words: Sequence[str] | frozenset[str]) -> str:
    return ",".join(sorted(words)) or "none"
