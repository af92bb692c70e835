"""A client's tree with the real single file in it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fallow.protocols.rest import work as wire
from fallow.wiring.runner import build_runner
from fallow.worker.engines.oci_engine import ATTEMPT_LABEL, OciEngine
from tests.worker.volunteer.tree import Tree
from tests.worker.workserver import WorkServer


@pytest.fixture(scope="session")
def runner() -> bytes:
    return build_runner()


@pytest.fixture
def tree(tmp_path: Path, server: WorkServer, runner: bytes) -> Iterator[Tree]:
    tree = Tree(tmp_path / "client", server, runner)
    yield tree
    tree.kill()


@pytest.fixture
def image(busybox) -> wire.ImageRef:
    """With a shell; the engine has it."""
    return wire.ImageRef(busybox.reference, "", busybox.image_id, "engine")


class Containers:
    """Those of one attempt, as the engine sees them."""

    def __init__(self, podman: OciEngine) -> None:
        self._podman = podman

    def of(self, attempt_id: int, *, state: str = "") -> list[str]:
        only = [f"--filter=status={state}"] if state else []
        label = f"--filter=label={ATTEMPT_LABEL}={attempt_id}"
        return self._podman.command("ps", "--all", "--quiet", label, *only).stdout.split()


@pytest.fixture
def containers(podman) -> Containers:
    return Containers(podman)


@pytest.fixture(autouse=True)
def _numbers(server: WorkServer) -> None:
    """Attempts' numbers that no other test's containers have."""
    server._next_attempt = int.from_bytes(os.urandom(4))
