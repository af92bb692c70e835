"""What a worker is told about an attempt: which bytes, which URLs, which environment."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from fallow.artifacts.port import SignedUrl
from fallow.control.places import OWN, Places
from fallow.control.planner import Memory
from fallow.control.reports import artifact_key, direct_prefix, log_key
from fallow.control.scheduler import Offer
from fallow.core.job import JobSpec
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Contract, InputFormat, JobKey
from fallow.store.port import FeedPart

_HARNESS_LABEL = "io.fallow.harness"
PartAt = Callable[[JobKey, int], FeedPart]  # of a feed: the part that holds a byte of the whole input
_INPUT_GONE = frozenset({Code.INPUT_MISSING, Code.INPUT_UNREADABLE, Code.INPUT_NOT_ALLOWED, Code.NOT_FOUND})


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    name: str
    url: str
    size_bytes: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Ticket:
    """An offer with its URLs. objects: for an input whose items are objects, or come with files. input_url and
    output_url: for `direct`."""

    offer: Offer
    format: str
    input: SignedUrl
    columns: tuple[str, ...]
    objects: tuple[ObjectPlace, ...]
    upload_url: str
    log_url: str
    input_url: str
    output_url: str
    artifact_uri: str
    harness: bool


def tickets(offers: Iterable[Offer], places: Places, part_at: PartAt) -> Iterator[Ticket]:
    """A ticket for each offer whose input is there. One job's lost input must not keep a worker from all other jobs:
    such a lease is told to nobody, runs out, and counts as an attempt. Raises STORAGE_UNREACHABLE all the same."""
    for offer in offers:
        try:
            yield ticket(offer, places, part_at)
        except Refusal as refusal:
            if refusal.code not in _INPUT_GONE:
                raise


def ticket(offer: Offer, places: Places, part_at: PartAt) -> Ticket:
    """Signs what the worker needs for this attempt, and nothing else. Raises Refusals of the object store."""
    spec, leased = offer.job.spec, offer.leased
    memory = _memory(offer.job.plan.memory)
    uri, start, length = memory.lines_uri, leased.extent.start, leased.extent.length
    if spec.feed:
        part = part_at(offer.job.job_key, start)
        uri, start = f"{OWN}{part.artifact_key}", start - part.start
    key = artifact_key(spec.job_id, leased.attempt_id)
    direct = spec.contract is Contract.DIRECT
    is_objects = memory.lines_format == InputFormat.OBJECTS
    where = SignedUrl("") if is_objects else places.input_url(uri, memory.etag, start, length)
    direct_url = places.door_input_url(uri, memory.etag, start, length) if direct else ""
    prefix = direct_prefix(spec.job_id, leased.attempt_id)
    return Ticket(
        offer=offer,
        format=memory.lines_format,
        input=where,
        columns=memory.columns,
        objects=_objects(offer, memory, places) if is_objects else _files(offer, memory, places),
        upload_url="" if direct else places.upload_url(key, spec.limits.output_bytes),
        log_url=places.upload_url(log_key(spec.job_id, leased.attempt_id), spec.limits.log_bytes + 65536),
        input_url=direct_url,
        output_url=places.prefix_url(prefix, spec.limits.output_bytes) if direct else "",
        artifact_uri=f"fallow:{key}",
        harness=wants_harness(spec),
    )


def wants_harness(spec: JobSpec) -> bool:
    """Whether chunks are announced to the image: as the job says, else as the image's label says."""
    if spec.harness is not None:
        return spec.harness
    return spec.image is not None and spec.image.labels.get(_HARNESS_LABEL) == "1"


def _objects(offer: Offer, memory: Memory, places: Places) -> tuple[ObjectPlace, ...]:
    leased = offer.leased
    listing = places.open_source(memory.lines_uri).read(leased.extent.start, leased.extent.length)
    lines = [line for line in listing.split(b"\n") if line.strip()][leased.extent.skip :][: leased.item_count]
    return tuple(_object(line, places) for line in lines)


def _files(offer: Offer, memory: Memory, places: Places) -> tuple[ObjectPlace, ...]:
    """What the item of a chunk of bundles comes with, in the order of its line."""
    if memory.lines_format != InputFormat.BUNDLES:
        return ()
    extent = offer.leased.extent
    item = msgspec.json.decode(places.open_source(memory.lines_uri).read(extent.start, extent.length))
    return tuple(
        ObjectPlace(
            each["open_name"],
            places.object_url(each["uri"], each["etag"], each["size_bytes"]).url,
            each["size_bytes"],
            each["sha256"],
        )
        for each in item["files"]
        if "uri" in each
    )


def _object(line: bytes, places: Places) -> ObjectPlace:
    entry = msgspec.json.decode(line)
    signed = places.object_url(entry["uri"], entry["etag"], entry["size_bytes"])
    return ObjectPlace(entry["name"], signed.url, entry["size_bytes"])


@lru_cache(maxsize=1024)
def _memory(text: str) -> Memory:
    return msgspec.json.decode(text, type=Memory)
