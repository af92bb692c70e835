"""What a worker says it can do: GPUs that its engine can hand over, and contracts that work with its engines."""

from pathlib import Path

import pytest

from fallow.core.words import Contract
from fallow.worker import equipment as equipping
from fallow.worker import hardware
from fallow.worker.engines import oci_engine
from fallow.worker.engines.oci_engine import Flavour, OciEngine
from fallow.worker.equipment import Equipment
from fallow.worker.hardware import Gpu, examine_gpu, gpu_trouble, nvidia_gpus
from fallow.worker.options import AgentOptions

PODMAN, DOCKER = Flavour("podman", "5.2.0"), Flavour("docker", "27.0.0")


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Puts a program on the PATH, before all others."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(hardware, "CDI_DIRECTORIES", (str(tmp_path / "cdi"),))

    def make(name: str, prints: str) -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\n")
        path.chmod(0o755)
        return path

    return make


def test_the_gpus_that_the_driver_lists(programs):
    programs("nvidia-smi", "NVIDIA H200, 143771\nNVIDIA L4, 23034\nnonsense")
    assert nvidia_gpus() == [Gpu("NVIDIA H200", 143771 << 20), Gpu("NVIDIA L4", 23034 << 20)]


def test_podman_needs_a_description_of_the_gpu(programs, tmp_path):
    programs("nvidia-smi", "NVIDIA L4, 23034")
    trouble = gpu_trouble(PODMAN)
    assert trouble is not None
    assert "nvidia-ctk cdi generate" in trouble.remedy
    assert [str(each.verdict) for each in examine_gpu(PODMAN)] == ["ok", "warn"]
    (tmp_path / "cdi").mkdir()
    (tmp_path / "cdi" / "nvidia.yaml").write_text("cdiVersion: 0.6.0\n")
    assert gpu_trouble(PODMAN) is None


def test_docker_needs_a_runtime_for_the_gpu(programs):
    programs("docker", '{"io.containerd.runc.v2":{},"runc":{}}')
    trouble = gpu_trouble(DOCKER)
    assert trouble is not None
    assert "nvidia-ctk runtime configure" in trouble.remedy
    programs("docker", '{"nvidia":{"path":"nvidia-container-runtime"},"runc":{}}')
    assert gpu_trouble(DOCKER) is None


def test_a_gpu_that_cannot_be_handed_over_is_not_offered(programs, tmp_path):
    programs("nvidia-smi", "NVIDIA L4, 23034")
    said: list[str] = []
    options = AgentOptions("", tmp_path, note=said.append)
    assert equipping._accelerators(options, PODMAN) == ()
    assert "Jobs that need one go elsewhere" in said[0]
    assert [each.model for each in equipping._accelerators(options, None)] == ["NVIDIA L4"]


@pytest.mark.parametrize(
    ("flavour", "may_enter", "expected"),
    [
        (DOCKER, False, False),
        (DOCKER, True, True),
        (PODMAN, False, False),
        (Flavour("podman", "5.2.0", rootless=True), False, True),
    ],
)
def test_the_contract_http_needs_a_way_in(monkeypatch, tmp_path, flavour, may_enter, expected):
    monkeypatch.setattr(oci_engine, "may_enter", lambda: may_enter)
    equipment = Equipment(AgentOptions("", tmp_path), OciEngine(flavour, "w"), None)
    assert (Contract.HTTP in equipment.contracts) == expected
    assert set(Contract) - {Contract.HTTP} <= set(equipment.contracts)
