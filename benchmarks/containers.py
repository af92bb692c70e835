"""Containers for benchmarks: the engine as the worker finds it, images, and containers that are fed by hand."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.worker.tinyimage import busybox_root

from benchmarks.places import CACHE, ROOT
from fallow.sdk.images import build_image
from fallow.worker.assignment import ImageNeed
from fallow.worker.engines.engine import ContainerSpec
from fallow.worker.engines.oci_engine import DEFAULT_USER, OciEngine, run_arguments
from fallow.worker.engines.probe import probe

WORKER = "w-bench"
TINY = "localhost/fallow-bench-busybox:1"
EMBED = ROOT / ".cache" / "images" / "embed"


def engine() -> OciEngine:
    """podman, with the options that the worker's own probe finds to work here. Raises SystemExit without it."""
    verdict = probe("podman", WORKER)
    if verdict.flavour is None:
        raise SystemExit(f"{verdict.message} {verdict.remedy}")
    return OciEngine(verdict.flavour, WORKER)


def tiny_image(podman: OciEngine) -> ImageNeed:
    """A shell and little else, made from this machine's own busybox."""
    if not podman.has_image(TINY):
        with tempfile.TemporaryFile() as file:
            file.write(busybox_root())
            file.seek(0)
            podman.command("import", "-", TINY, stdin=file).check_returncode()
    return ImageNeed(TINY, "", podman.image_id(TINY), "engine")


def embed_layout() -> Path:
    """The embedding image as an OCI layout, built once."""
    cache = ROOT / ".cache" / "images"
    build_image(ROOT / "images" / "embed" / "spec.toml", EMBED, progress=lambda _: None, cache=cache)
    return EMBED


def embed_image(podman: OciEngine) -> ImageNeed:
    """The embedding image, in the engine."""
    # podman makes the path into a name, so it gets a short one.
    answer = podman.command("pull", "--quiet", f"oci:{embed_layout().name}", cwd=EMBED.parent)
    answer.check_returncode()
    return ImageNeed("embed", "", podman.image_id(answer.stdout.split()[-1]), "engine")


class ByHand:
    """`podman run -i` with the worker's own hardening, its pipes in our hands."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def through(self, items: bytes) -> bytes:
        """As many lines as went in. Small enough for the pipes, or the two sides would wait for each other."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(items)
        self._process.stdin.flush()
        return b"".join(self._process.stdout.readline() for _ in range(items.count(b"\n")))


@contextmanager
def by_hand(podman: OciEngine, spec: ContainerSpec) -> Iterator[ByHand]:
    """One long-lived container."""
    words = run_arguments(podman.flavour, spec, WORKER, DEFAULT_USER)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=spec.run_dir) as process:
        yield ByHand(process)
        assert process.stdin
        process.stdin.close()
        process.wait(30)


def run_once(podman: OciEngine, spec: ContainerSpec, items: bytes) -> bytes:
    """One container for these items: started, fed, read to the end, gone."""
    words = run_arguments(podman.flavour, spec, WORKER, DEFAULT_USER)
    return subprocess.run(words, input=items, stdout=subprocess.PIPE, cwd=spec.run_dir, check=True).stdout


@contextmanager
def run_dir() -> Iterator[Path]:
    """An empty directory of one run's own; the engine leaves its marks there."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)
