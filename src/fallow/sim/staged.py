"""A chunk's items as a simulated worker gets them: over signed URLs, cut by the real worker's own code."""

import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path

from fallow.core.refusals import Code, Refusal
from fallow.core.words import InputFormat
from fallow.protocols.rest import work as wire
from fallow.sim.server import Server
from fallow.worker.assignment import InputExtent
from fallow.worker.items import Item, items_of, object_item


@dataclass(frozen=True, slots=True)
class Staged:
    """lines: what the image gets; None where the worker refuses an item, and its answer is in `refusals`."""

    lines: tuple[bytes | None, ...]
    refusals: tuple[bytes, ...]
    sha256: str


def stage(server: Server, lease: wire.Lease, folder: Path) -> Staged:
    """Fetches and cuts. Raises Refusal, INPUT_CHANGED among them."""
    if lease.input.format == InputFormat.OBJECTS:
        return _objects(server, lease)
    given = lease.input
    data = server.get(given.url)
    if given.length:
        data = data[given.offset : given.offset + given.length]
    sha256 = hashlib.sha256(data).hexdigest()
    if given.sha256 not in ("", sha256):
        raise Refusal(Code.INPUT_CHANGED, "The input's bytes are not those that were planned.")
    path = folder / "extent"
    path.write_bytes(data)
    extent = InputExtent(InputFormat(given.format), "", given.offset, len(data), sha256, given.skip, given.columns)
    items = items_of(path, extent, lease.limits.item_bytes)
    chosen = list(itertools.islice(items, given.skip, given.skip + lease.item_count))
    return _staged(lease, chosen, sha256)


def _objects(server: Server, lease: wire.Lease) -> Staged:
    items, digest = [], hashlib.sha256()
    for each in lease.input.objects:
        data = server.get(each.url)
        digest.update(f"{each.name} {hashlib.sha256(data).hexdigest()}\n".encode())
        items.append(object_item(each.name, data))
    return _staged(lease, items, digest.hexdigest())


def _staged(lease: wire.Lease, items: list[Item], sha256: str) -> Staged:
    if len(items) != lease.item_count:
        raise AssertionError(f"attempt {lease.attempt_id} was given {len(items)} items for {lease.item_count}")
    lines = tuple(None if item.refused else item.line for item in items)
    return Staged(lines, tuple(item.refused for item in items), sha256)
