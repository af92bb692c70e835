"""A server process of the simulation: the real roles, the door's own translation, the world's rows and bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec
from starlette.requests import Request

from fallow.artifacts.bucket_locations import StoreSource, StoreTarget
from fallow.artifacts.locations import Source, Target
from fallow.artifacts.port import ArtifactStore
from fallow.artifacts.served import Served
from fallow.artifacts.signing import Signer
from fallow.clock import Clock
from fallow.control.assimilator import Assimilator
from fallow.control.callers import Caller
from fallow.control.feeds import Feeds
from fallow.control.intake import Intake
from fallow.control.janitor import Janitor
from fallow.control.jobs import Jobs
from fallow.control.places import OWN, Places
from fallow.control.planner import Planner
from fallow.control.plugins import Plugs
from fallow.control.results import Results
from fallow.control.scheduler import Scheduler
from fallow.control.shares import Shares
from fallow.control.transitioner import Transitioner
from fallow.control.verifier import Verifier
from fallow.control.views import Views
from fallow.control.work import Work
from fallow.core.job import Image
from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest import work as wire
from fallow.settings import Settings
from fallow.sim.faults import DyingStore, Faults, Process
from fallow.sim.objects import Inputs
from fallow.store.port import Store
from fallow.web import work as door_work
from fallow.web.counters import Counters
from fallow.web.deps import Door

_NO_REQUEST = cast(Request, None)  # the two calls do not look at it: all that they need is in the body


class KnownImages:
    """Every reference that begins with "model" is an image for linux/amd64."""

    def resolve(self, reference: str) -> Image:
        if not reference.startswith("model"):
            raise Refusal(Code.IMAGE_UNKNOWN, f"There is no image {reference}.", "Push it first.")
        digest = "sha256:" + reference.encode().hex().ljust(64, "0")[:64]
        return Image(reference, digest, digest, "engine", ("linux/amd64",))


@dataclass(frozen=True, slots=True)
class Ground:
    """What outlives a server process."""

    store: Store
    artifacts: ArtifactStore
    inputs: Inputs
    signer: Signer
    clock: Clock
    settings: Settings
    plugs: Plugs
    uploads: Path
    faults: Faults
    item_bytes_max: int


@dataclass(frozen=True, slots=True)
class _WorkDoor:
    """What the workers' calls use of the door."""

    settings: Settings
    clock: Clock
    work: Work
    places: Places
    counters: Counters
    feeds: Feeds
    tracing: None = None
    ring: Callable[[str], None] = lambda _role: None  # the driver gives every role its turns


class Server:
    """One life of one process. name: by which it claims work; a new life has a new one."""

    def __init__(self, ground: Ground, name: str) -> None:
        self.name = name
        self.process = Process()
        clock, settings, plugs = ground.clock, ground.settings, ground.plugs
        shares = Shares(clock, settings)
        store: Store = DyingStore(ground.store, ground.faults, self.process, shares)
        places = Places(
            artifacts=ground.artifacts,
            open_source=_source_opener(ground),
            open_target=_target_opener(ground),
            signer=ground.signer,
            clock=clock,
            url_seconds=settings.url_seconds,
        )
        scheduler = Scheduler(store, clock, settings, shares)
        transitioner = Transitioner(store, clock, settings, name)
        self.store = store
        self.places = places
        self.intake = Intake(store, places, KnownImages(), plugs, settings)
        self.feeds = Feeds(store, places)
        self.jobs = Jobs(store, places)
        self.views = Views(store, scheduler)
        self.results = Results(store, places, self.views)
        self.work = Work(store, places, scheduler, settings)
        self.served = Served(places.artifacts, ground.uploads, places.open_source)
        self.roles: dict[str, Callable[[], bool]] = {
            "planner": Planner(store, places, plugs, settings, name, ground.item_bytes_max).step,
            "transitioner": transitioner.step,
            "expiry": transitioner.expire_jobs,
            "verifier": Verifier(store, places, plugs, settings, f"{name}-verifier").step,
            "assimilator": Assimilator(store, places, plugs, settings, name).step,
            "janitor": Janitor(store, places, settings, name).step,
            "shares": lambda: shares.step(store),
        }
        self._door = cast(Door, _WorkDoor(settings, clock, self.work, places, _COUNTERS, self.feeds))

    def hello(self, caller: Caller, body: bytes) -> wire.Welcome:
        """POST /api/work/hello, bytes in, bytes out. Raises Refusal."""
        return msgspec.json.decode(door_work._hello(self._door, caller, _NO_REQUEST, body), type=wire.Welcome)

    def ask(self, caller: Caller, body: bytes) -> wire.Answer:
        """POST /api/work. Raises Refusal."""
        answer = door_work._ask(self._door, caller, body, 0.0)
        assert isinstance(answer, bytes), "a worker of the simulation does not wait in a call"
        return msgspec.json.decode(answer, type=wire.Answer)

    def get(self, url: str, range_header: str | None = None) -> bytes:
        """GET of a signed URL. Raises Refusal."""
        grant = self.places.signer.open(_token(url)[0], self.places.clock.now(), "GET")
        return b"".join(self.served.read_range(grant, range_header).body)

    def put(self, url: str, data: bytes) -> None:
        """PUT to a signed URL. Raises Refusal."""
        token, name = _token(url)
        grant = self.places.signer.open(token, self.places.clock.now(), "PUT")
        self.served.receive(grant, [data], name=name)


_COUNTERS = Counters(dict)  # nobody scrapes it, and making one costs more than a whole step


def _token(url: str) -> tuple[str, str]:
    token, _, name = url.partition("/bytes/")[2].partition("/")
    return token, name


def _source_opener(ground: Ground) -> Callable[[str], Source]:
    def opened(uri: str) -> Source:
        if uri.startswith(OWN):
            return StoreSource(uri, uri.removeprefix(OWN), ground.artifacts)
        return ground.inputs.source(uri)

    return opened


def _target_opener(ground: Ground) -> Callable[[str], Target]:
    def opened(uri: str) -> Target:
        return StoreTarget(uri.removeprefix(OWN).removeprefix("sim:"), ground.artifacts)

    return opened
