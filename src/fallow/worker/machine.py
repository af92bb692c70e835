"""What this machine has to give."""

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def platform_name() -> str:
    """As images name it: "linux/amd64"."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}/{ARCHITECTURES.get(machine, machine)}"


def cores() -> int:
    """Those this process may use."""
    return len(os.sched_getaffinity(0))


def memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def disk_bytes_free(path: Path) -> int:
    return shutil.disk_usage(path).free


def fallow_version() -> str:
    """ "" where the package was not installed, such as in a zipapp."""
    try:
        return importlib.metadata.version("fallow")
    except importlib.metadata.PackageNotFoundError:
        return ""
