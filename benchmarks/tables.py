"""How figures are shown: Markdown tables, and the machine they were taken on."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def machine() -> str:
    """One line: processors, memory, system, Python, how busy the machine is before anything was started, date."""
    load = os.getloadavg()[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    python = platform.python_version()
    return f"{cores} cores, {memory:.0f} GiB, {_system()}, Python {python}, load {load:.1f} at the start, {when}"


def _system() -> str:
    try:
        words = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    except OSError:
        return platform.platform()
    return words.get("PRETTY_NAME", platform.system()).strip('"')
