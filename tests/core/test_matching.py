"""Which worker may run which job, and the sentences that say why not."""

from dataclasses import replace

import pytest

from fallow.core.job import MIB, Image, Input, JobSpec, Limits, Requirements
from fallow.core.matching import Capability, Mismatch, explain, mismatches
from fallow.core.words import Contract, Engine, InputFormat, JobId, Label, WorkerId

SPEC = JobSpec(
    job_id=JobId("job-1"),
    input=Input("file:///in.jsonl", InputFormat.JSONL),
    image=Image("model:1", "sha256:a", "sha256:b", "layout", ("linux/amd64", "linux/arm64")),
)
WORKER = Capability(
    worker_id=WorkerId("w-1"),
    label="on_prem",
    platform="linux/amd64",
    cores=4.0,
    memory_bytes=8 * 1024 * MIB,
    slots=2,
    engines=frozenset({"podman"}),
    contracts=frozenset({"stream", "files"}),
)
BARE = replace(SPEC, image=None, command=("python3", "model.py"))


def needing(**needs: object) -> JobSpec:
    return replace(SPEC, requirements=Requirements(**needs))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "worker"),
    [
        (SPEC, WORKER),
        (needing(label=Label.ON_PREM, memory_bytes=8 * 1024 * MIB, cores=4.0, engine=Engine.PODMAN), WORKER),
        (needing(platform="linux/amd64"), WORKER),
        (needing(accelerators=1), replace(WORKER, accelerators=2)),
        (SPEC, replace(WORKER, label=None)),
        (needing(volunteers=True), replace(WORKER, stranger=True)),
        (needing(volunteers=True), WORKER),
        (SPEC, replace(WORKER, engines=frozenset({"docker", "process"}))),
        (BARE, replace(WORKER, engines=frozenset({"process"}), platform="darwin/arm64")),
    ],
)
def test_a_worker_that_has_what_is_needed_fits(spec: JobSpec, worker: Capability) -> None:
    assert mismatches(spec, worker) == []


@pytest.mark.parametrize(
    ("spec", "worker", "requirement", "has"),
    [
        (needing(label=Label.EDGE), WORKER, "label=edge", "label=on_prem"),
        (needing(label=Label.EDGE), replace(WORKER, label=None), "label=edge", "label=none"),
        (needing(memory_bytes=9000 * MIB), WORKER, "memory=9000MiB", "8192MiB"),
        (replace(SPEC, limits=Limits(memory_bytes=9000 * MIB)), WORKER, "memory=9000MiB", "8192MiB"),
        (needing(cores=4.5), WORKER, "cores=4.5", "4"),
        (replace(SPEC, limits=Limits(cpus=8.0)), WORKER, "cores=8", "4"),
        (needing(accelerators=1), WORKER, "accelerators=1", "0"),
        (needing(engine=Engine.DOCKER), WORKER, "engine=docker", "podman"),
        (needing(platform="linux/arm64"), WORKER, "platform=linux/arm64", "linux/amd64"),
        (SPEC, replace(WORKER, engines=frozenset({"process"})), "engine=podman or docker", "process"),
        (SPEC, replace(WORKER, engines=frozenset[str]()), "engine=podman or docker", "none"),
        (BARE, WORKER, "engine=process", "podman"),
        (replace(SPEC, contract=Contract.DIRECT), WORKER, "contract=direct", "files,stream"),
        (SPEC, replace(WORKER, platform="linux/riscv64"), "platform=linux/amd64,linux/arm64", "linux/riscv64"),
        (SPEC, replace(WORKER, stranger=True), "volunteers=false", "a volunteer's machine"),
        (
            needing(volunteers=True),
            replace(WORKER, stranger=True, own_only=True),
            "boinc_own_only=true",
            "a volunteer's machine",
        ),
    ],
)
def test_a_worker_that_lacks_something_is_told_what(
    spec: JobSpec, worker: Capability, requirement: str, has: str
) -> None:
    assert mismatches(spec, worker) == [Mismatch(requirement, has)]


def test_the_sentence_counts_the_workers() -> None:
    assert explain(needing(label=Label.EDGE), [WORKER] * 3) == ["label=edge excludes 3 of 3 workers"]


def test_each_requirement_has_its_sentence_and_the_worst_comes_first() -> None:
    spec = needing(label=Label.EDGE, cores=8.0)
    workers = [WORKER, WORKER, replace(WORKER, label="edge")]
    assert explain(spec, workers) == ["cores=8 excludes 3 of 3 workers", "label=edge excludes 2 of 3 workers"]


def test_nothing_is_to_be_explained_when_one_worker_fits() -> None:
    assert explain(needing(label=Label.EDGE), [WORKER, replace(WORKER, label="edge")]) == []


def test_workers_that_are_away_explain_nothing_else() -> None:
    away = replace(WORKER, alive=False)
    assert explain(SPEC, []) == ["no worker has joined yet"]
    assert explain(SPEC, [away]) == ["no worker has been heard of lately"]
    assert explain(needing(label=Label.EDGE), [away, WORKER]) == ["label=edge excludes 1 of 1 workers"]
