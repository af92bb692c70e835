"""Accelerators and hardware virtualization: what is there, and what a container could use."""

import contextlib
import fcntl
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fallow.worker.engines.oci_engine import Flavour
from fallow.worker.findings import Finding, info, ok, warn

KVM_GET_API_VERSION = 0xAE00
KVM_API_VERSION = 12
CDI_DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
QUERY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Gpu:
    model: str
    memory_bytes: int


def nvidia_gpus() -> list[Gpu]:
    """What nvidia-smi lists; empty where there is none or no driver."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=QUERY_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    gpus = []
    for line in answer.stdout.splitlines() if answer.returncode == 0 else ():
        model, _, memory = line.rpartition(",")
        with contextlib.suppress(ValueError):
            gpus.append(Gpu(model.strip(), int(memory) << 20))
    return gpus


def examine_gpu(flavour: Flavour | None) -> list[Finding]:
    """Whether there is a GPU, and whether the engine could hand it to a container."""
    gpus = nvidia_gpus()
    if not gpus:
        if any(name.startswith("nvidia") for name in os.listdir("/dev")):
            said = "There are NVIDIA devices, but nvidia-smi does not list them."
            return [warn("gpu", said, "Install the driver's tools, and reboot after a driver update.")]
        return [info("gpu", "There is none. Jobs that need one go elsewhere.")]
    listed = ok("gpu", ", ".join(f"{gpu.model} ({gpu.memory_bytes >> 30} GiB)" for gpu in gpus))
    trouble = gpu_trouble(flavour) if flavour is not None else None
    return [listed, trouble] if trouble else [listed]


def gpu_trouble(flavour: Flavour) -> Finding | None:
    """What keeps this engine from handing the GPU to a container; None where nothing does."""
    check = "gpu in containers"
    if flavour.podman and not _cdi_specs():
        remedy = "Install nvidia-container-toolkit, then: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
        return warn(check, "podman has no description of the GPU (CDI).", remedy)
    if not flavour.podman and not _docker_runs_nvidia():
        remedy = "Install nvidia-container-toolkit, then: nvidia-ctk runtime configure && systemctl restart docker"
        return warn(check, "docker has no runtime for the GPU.", remedy)
    return None


def examine_virtualization() -> Finding:
    """Opens the device and asks its version: the processor's flags alone mislead in virtual machines."""
    check, needless = "virtualization", "It is not needed for containers, only for jobs isolated in virtual machines."
    flags = _processor_flags()
    try:
        with open("/dev/kvm", "rb+", buffering=0) as device:
            version = fcntl.ioctl(device, KVM_GET_API_VERSION)
    except FileNotFoundError:
        module = "kvm_intel" if "vmx" in flags else "kvm_amd" if "svm" in flags else ""
        if module:
            return info(check, f"The processor has it, but /dev/kvm is missing. {needless}", f"modprobe {module}")
        return info(check, f"None. {needless}", "If wanted: switch on VT-x or AMD-V in the firmware.")
    except PermissionError:
        return info(check, f"/dev/kvm is there, but not for this user. {needless}", "Add your user to the group kvm.")
    except OSError as wrong:
        return info(check, f"/dev/kvm does not work: {wrong.strerror}. {needless}")
    if version == KVM_API_VERSION:
        return ok(check, "Hardware virtualization works (/dev/kvm).")
    return info(check, f"/dev/kvm speaks version {version} instead of {KVM_API_VERSION}. {needless}")


def _docker_runs_nvidia() -> bool:
    """Whether docker knows the runtime that --gpus needs."""
    query = ["docker", "info", "--format", "{{json .Runtimes}}"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=QUERY_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return '"nvidia"' in answer.stdout


def _cdi_specs() -> list[str]:
    return [name for directory in CDI_DIRECTORIES if os.path.isdir(directory) for name in os.listdir(directory)]


def _processor_flags() -> set[str]:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return set(line.partition(":")[2].split())
    return set()
