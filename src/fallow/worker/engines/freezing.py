"""Pauses a container and lets it go on.

The engine's own pause uses the freezer of control groups, which is not there for an ordinary user on version 1. Then
every process of the container is stopped by signal: the first one and all that descend from it, for whoever loses its
parent in a container becomes a child of the first. Source: pid_namespaces(7), cgroups(7).
"""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

Command = Callable[..., "subprocess.CompletedProcess[str]"]
ROUNDS_MAX = 20  # a program may start others while it is being stopped


def freeze(command: Command, container: str, first: int, prefix: tuple[str, ...]) -> bool:
    """Whether nothing of it runs now. first: its first process, 0 when not known. prefix: runs a command that may
    signal the container's users."""
    if command("pause", container).returncode == 0:
        return True
    stopped: set[int] = set()
    for _ in range(ROUNDS_MAX):
        fresh = _family(first) - stopped
        if not fresh:
            return bool(stopped)
        if not _signal(fresh, signal.SIGSTOP, prefix):
            return False
        stopped |= fresh
    return False


def thaw(command: Command, container: str, first: int, prefix: tuple[str, ...]) -> bool:
    """Whether it runs on; signals where the engine did not pause it."""
    if command("unpause", container).returncode == 0:
        return True
    return _signal(_family(first), signal.SIGCONT, prefix)


def _signal(processes: set[int], number: int, prefix: tuple[str, ...]) -> bool:
    """To each; those that are gone meanwhile do not matter."""
    others = []
    for process in processes:
        try:
            os.kill(process, number)
        except ProcessLookupError:
            continue
        except PermissionError:
            others.append(str(process))
    if not others:
        return True
    arguments = [*prefix, "kill", f"-{number}", *others]
    try:
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=20.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _family(first: int) -> set[int]:
    """This process and its descendants that are alive; empty where the machine does not tell."""
    children: dict[int, list[int]] = {}
    alive = False
    for name in os.listdir("/proc") if first and os.path.isdir("/proc") else ():
        if not name.isdigit():
            continue
        try:
            fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended between the listing and the look
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(name))
            alive = alive or int(name) == first
    found: set[int] = set()
    waiting = [first] if alive else []
    while waiting:
        process = waiting.pop()
        found.add(process)
        waiting += children.get(process, [])
    return found
