"""The containers of this machine's podman, by the worker that they run for."""

import json
import subprocess

_WORKER_LABEL = "io.fallow.worker"


def containers_of(worker_id: str) -> list[str]:
    """The states of a worker's containers: "running", "paused", "exited"."""
    told = subprocess.run(
        ["podman", "ps", "--all", f"--filter=label={_WORKER_LABEL}={worker_id}", "--format=json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [str(each["State"]) for each in json.loads(told.stdout)]
