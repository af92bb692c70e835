"""The demo job, embedding package descriptions in containers, against the same image driven by hand.

    python -m benchmarks embed [--quick]

`fallow run` starts a server and two workers, plans, leases, runs, verifies, merges and proves. By hand, the same image
runs in one container, or in one for each core with its share of the items decided beforehand: nothing is checked,
nothing is tried again. Everything is on the clock, from the first command to the last answer, and both must give the
same bytes. The processor time of the containers is steadier than the wall's where others use the machine, too.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import containers
from benchmarks.places import CACHE, ROOT
from benchmarks.tables import table
from fallow.worker.assignment import ImageNeed
from fallow.worker.engines.engine import ContainerSpec
from fallow.worker.engines.oci_engine import OciEngine

PACKAGES = ROOT / "images" / "embed" / "data" / "packages.jsonl"
QUICK_ITEMS = 400
CHUNK_ITEMS = 100
CORES = 2


@dataclass(frozen=True, slots=True)
class Run:
    """model_seconds: processor time inside the containers. rest_seconds: of everything else that was started."""

    name: str
    seconds: float
    model_seconds: float
    rest_seconds: float
    output: bytes


def main(quick: bool) -> None:
    podman = containers.engine()
    image = containers.embed_image(podman)
    CACHE.mkdir(parents=True, exist_ok=True)
    lines = PACKAGES.read_bytes().splitlines(keepends=True)[: QUICK_ITEMS if quick else None]
    with tempfile.TemporaryDirectory(prefix="embed-", dir=CACHE) as directory:
        source = Path(directory, "items.jsonl")
        source.write_bytes(b"".join(lines))
        runs = [
            by_hand(podman, image, lines, CORES),
            with_fallow(source, Path(directory)),
            by_hand(podman, image, lines, 1),
        ]
    heads = ("embedding", "wall s", "items/s", "model CPU s", "other CPU s", "fallow / this", "same bytes")
    print(table(heads, [_row(run, runs[1], len(lines)) for run in runs]), flush=True)


def _row(run: Run, ours: Run, items: int) -> tuple[str, ...]:
    same = "yes" if run.output == ours.output else "NO"
    figures = (
        f"{run.seconds:.1f}",
        f"{items / run.seconds:.1f}",
        f"{run.model_seconds:.1f}",
        f"{run.rest_seconds:.1f}",
    )
    return (run.name, *figures, f"{ours.seconds / run.seconds:.2f}", same)


def with_fallow(source: Path, directory: Path) -> Run:
    """`fallow run`, as a person would start it."""
    output = directory / "out"
    words = [sys.executable, "-m", "fallow", "run", str(source), "--image", f"oci:{containers.EMBED}"]
    words += ["--output", str(output), "--workers", str(CORES), "--chunk-items", str(CHUNK_ITEMS)]
    started = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    if process.returncode:
        raise SystemExit(f"fallow run ended with {process.returncode}")
    model = sum(_cpu_of(chunk["receipt"]) for chunk in json.loads((output / "manifest.json").read_text())["chunks"])
    name = f"fallow run, {CORES} workers, chunks of {CHUNK_ITEMS}"
    return Run(name, seconds, model, used.ru_utime + used.ru_stime, (output / "output.jsonl").read_bytes())


def _cpu_of(envelope: dict[str, str]) -> float:
    """As the worker's receipt says."""
    return float(json.loads(base64.b64decode(envelope["payload"]))["usage"]["cpu_seconds"])


def by_hand(podman: OciEngine, image: ImageNeed, lines: list[bytes], count: int) -> Run:
    """The items in `count` equal parts, each through a container of its own, all at once."""
    share = -(-len(lines) // count)
    parts = [lines[at : at + share] for at in range(0, len(lines), share)]
    answers, cpu = [b""] * len(parts), [0.0] * len(parts)

    def one(number: int) -> None:
        with containers.run_dir() as directory:
            answers[number], cpu[number] = _through(podman, image, directory, parts[number])

    started, before = time.monotonic(), os.times()
    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, after = time.monotonic() - started, os.times()
    rest = sum(after[:4]) - sum(before[:4])
    name = f"by hand, {count} container{'s' if count > 1 else ''}"
    return Run(name, seconds, sum(cpu), rest, b"".join(answers))


def _through(podman: OciEngine, image: ImageNeed, directory: Path, lines: list[bytes]) -> tuple[bytes, float]:
    running = podman.start(ContainerSpec(image_id=image.image_id, run_dir=directory))
    try:
        feeder = threading.Thread(target=_feed, args=(running.stdin.fileno(), b"".join(lines)), daemon=True)
        feeder.start()
        with open(running.stdout.fileno(), "rb", closefd=False) as answers:
            found = b"".join(answers.readline() for _ in lines)
        used = running.usage()
        running.stdin.close()
        running.wait(30)
    finally:
        running.close()
    return found, used.cpu_seconds


def _feed(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]
