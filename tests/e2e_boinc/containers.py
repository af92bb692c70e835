"""The containers of this machine's podman that a client's tasks started."""

import json
import subprocess

from tests.e2e_boinc.client import BoincClient


def labels_of(client: BoincClient) -> list[str]:
    """What the containers of its tasks carry that run now."""
    files = client.home.glob("projects/*/fallow/slots/*")
    return [label for file in files for label in file.read_text().split()]


def containers(labels: list[str]) -> list[str]:
    """The states of the containers with one of these labels: "running", "paused", "exited"."""
    told = subprocess.run(
        ["podman", "ps", "--all", "--filter=label=io.fallow.worker", "--format=json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [str(each["State"]) for each in json.loads(told.stdout) if each["Labels"]["io.fallow.worker"] in labels]
