"""Sees to it that no container outlives this program, whatever ends it.

A shell that belongs to nobody waits for the end of a pipe that only this program holds. When the program is killed, the
pipe ends, and the shell removes what carries the label. A BOINC client kills a task's program with all that descends
from it; the shell's parent has ended at once, so that it does not.
"""

import contextlib
import subprocess

from fallow.worker.engines.oci_engine import WORKER_LABEL

# A container may come into being just after its starter was killed, so the look is repeated.
SCRIPT = """
exec 3<&0
(
  read -r word <&3
  [ "$word" = done ] && exit
  for round in 1 2 3 4; do
    for container in $("$1" ps --all --quiet --filter "label=$2"); do
      "$1" rm --force $3 "$container"
    done
    sleep 2
  done
) </dev/null >/dev/null 2>&1 &
"""


class Guard:
    """Made before the first container."""

    def __init__(self, program: str, label: str) -> None:
        """program: the engine's."""
        at_once = "--time=0" if program == "podman" else ""
        shell = subprocess.Popen(
            ["/bin/sh", "-c", SCRIPT, "fallow-guard", program, f"{WORKER_LABEL}={label}", at_once],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        assert shell.stdin
        self._pipe = shell.stdin
        shell.wait()

    def dismiss(self) -> None:
        """Nothing runs any more."""
        with contextlib.suppress(BrokenPipeError):
            self._pipe.write(b"done\n")
            self._pipe.close()
