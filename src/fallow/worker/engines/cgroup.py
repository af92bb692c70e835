"""Reads what a container has used from its control group, version 1 or 2. Zeros where the machine does not tell."""

from pathlib import Path

from fallow.worker.engines.engine import Usage

ROOT = Path("/sys/fs/cgroup")


def usage_of(pid: int) -> Usage:
    """CPU seconds and the most memory of the control group that this process is in."""
    try:
        lines = Path("/proc", str(pid), "cgroup").read_text().splitlines()
    except OSError:
        return Usage()
    groups = {names: path for _, names, path in (line.split(":", 2) for line in lines)}
    if "memory" in groups:
        cpu = next((p for names, p in groups.items() if "cpuacct" in names.split(",")), "")
        nanoseconds = _number(ROOT / "cpuacct" / cpu.lstrip("/") / "cpuacct.usage")
        memory = _number(ROOT / "memory" / groups["memory"].lstrip("/") / "memory.max_usage_in_bytes")
        return Usage(nanoseconds / 1e9, memory)
    group = ROOT / groups.get("", "/").lstrip("/")
    return Usage(_cpu_stat(group / "cpu.stat"), _number(group / "memory.peak") or _number(group / "memory.current"))


def _cpu_stat(path: Path) -> float:
    try:
        fields = dict(line.split() for line in path.read_text().splitlines())
        return int(fields["usage_usec"]) / 1e6
    except (OSError, ValueError, KeyError):
        return 0.0


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
