"""What the `stream` contract costs a chunk, against the same items through `podman run -i` by hand.

    python -m benchmarks stream [--quick]

The slot is the worker's own: it fetches the chunk over HTTP, checks and cuts it, feeds the container, checks and
hashes the answers and signs the receipt. By hand there is nothing but the pipes. Both containers have the same flags,
and both take turns, so that what else the machine does meets both.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.worker.workserver import WorkServer

from benchmarks import containers
from benchmarks.places import CACHE
from benchmarks.tables import table
from fallow.protocols.rest.work import LimitsMessage
from fallow.worker.assignment import ImageNeed
from fallow.worker.control import Control
from fallow.worker.engines.engine import ContainerSpec
from fallow.worker.engines.oci_engine import OciEngine
from fallow.worker.receipts import Signer
from fallow.worker.slot import Finished, Outfit, Slot
from fallow.worker.wire import from_lease

ITEMS = 100
CAT = ("/bin/cat",)
ECHO = (
    "python3",
    "-c",
    "import sys; sys.path.insert(0, '/app'); from harness import serve; serve(lambda items: items)",
)
MEMORY_BYTES = 256 << 20


@dataclass(slots=True)
class Pace:
    """Seconds of each chunk, ours and by hand, in pairs that ran one after the other."""

    name: str
    goal: str
    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)

    def row(self) -> tuple[str, ...]:
        ours, peer = statistics.median(self.ours), statistics.median(self.peer)
        added = statistics.median(a - b for a, b in zip(self.ours, self.peer, strict=True))
        figures = (f"{1000 * each:.1f}" for each in (ours, peer, added))
        return (self.name, str(len(self.ours)), *figures, f"{ours / peer:.2f}", self.goal)


def main(quick: bool) -> None:
    heads = ("stream, chunk of 100 items", "chunks", "fallow ms", "by hand ms", "added ms", "ratio", "goal")
    rows = [pace.row() for pace in measure(30 if quick else 100)]
    print(table(heads, rows), flush=True)


def measure(chunks: int) -> Iterator[Pace]:
    podman = containers.engine()
    tiny, embed = containers.tiny_image(podman), containers.embed_image(podman)
    with _bench(podman) as bench:
        yield bench.warm("reused container", "added <= 5 ms", tiny, CAT, chunks, harness=False)
        yield bench.warm("reused, a fork per chunk", "added <= 25 ms", embed, ECHO, chunks, harness=True)
        yield bench.fresh("fresh container", "ratio <= 1.10", tiny, CAT, max(30, chunks // 3))


class _Bench:
    """One slot of a worker, beside a server in memory that has the chunks' bytes."""

    def __init__(self, podman: OciEngine, directory: Path, server: WorkServer) -> None:
        key = Ed25519PrivateKey.generate()
        self._podman = podman
        self._server = server
        self._slot = Slot(directory / "slot", Outfit(Signer("w-bench", key.sign), containers=podman))

    def warm(
        self, name: str, goal: str, image: ImageNeed, command: tuple[str, ...], chunks: int, *, harness: bool
    ) -> Pace:
        pace = Pace(name, goal)
        spec = _limits(image, command)
        with (
            containers.run_dir() as directory,
            containers.by_hand(self._podman, replace(spec, run_dir=directory)) as peer,
        ):
            for number in range(chunks + 3):  # the first ones start containers and look longer for surplus lines
                items = _items(number)
                took = self._chunk(number, items, image, command, job_id=name, reuse="job", harness=harness)
                by_hand = _timed(partial(peer.through, items))
                if number >= 3:
                    pace.ours.append(took)
                    pace.peer.append(by_hand)
        self._slot.shelf.clear()
        return pace

    def fresh(self, name: str, goal: str, image: ImageNeed, command: tuple[str, ...], chunks: int) -> Pace:
        pace = Pace(name, goal)
        spec = _limits(image, command)
        for number in range(chunks + 1):
            items = _items(number)
            took = self._chunk(number, items, image, command, job_id=name, reuse="never", harness=False)
            with containers.run_dir() as directory:
                once = partial(containers.run_once, self._podman, replace(spec, run_dir=directory), items)
                by_hand = _timed(once)
            if number >= 1:
                pace.ours.append(took)
                pace.peer.append(by_hand)
        return pace

    def _chunk(self, number: int, items: bytes, image: ImageNeed, command: tuple[str, ...], **fields: Any) -> float:
        limits = LimitsMessage(memory_bytes=MEMORY_BYTES)
        lease = self._server.lease(items, command=command, chunk_id=number, limits=limits, **fields)
        self._server.waiting.clear()
        assignment = replace(from_lease(lease), image=image)
        ended: list[Finished] = []
        took = _timed(lambda: self._slot.run(assignment, Control(), ended.append))
        assert ended[0].fault is None, ended[0].fault
        assert ended[0].items_done == ITEMS
        return took

    def close(self) -> None:
        self._slot.close()


@contextmanager
def _bench(podman: OciEngine) -> Iterator[_Bench]:
    CACHE.mkdir(parents=True, exist_ok=True)
    server = WorkServer()
    with tempfile.TemporaryDirectory(prefix="stream-", dir=CACHE) as directory:
        bench = _Bench(podman, Path(directory), server)
        try:
            yield bench
        finally:
            bench.close()
            server.down()


def _limits(image: ImageNeed, command: tuple[str, ...]) -> ContainerSpec:
    """The same limits as the slot's runs."""
    defaults = LimitsMessage()
    return ContainerSpec(
        image_id=image.image_id,
        run_dir=Path(),
        command=command,
        memory_bytes=MEMORY_BYTES,
        pids=defaults.pids,
        tmp_bytes=defaults.tmp_bytes,
        timeout_seconds=3600.0,
        attempt="by-hand",
    )


def _items(number: int) -> bytes:
    return b"".join(b'{"id":%d,"text":"%s"}\n' % (number * ITEMS + n, b"x" * 100) for n in range(ITEMS))


def _timed(once: Callable[[], object]) -> float:
    started = time.perf_counter()
    once()
    return time.perf_counter() - started
