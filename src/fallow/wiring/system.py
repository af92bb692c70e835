"""A whole server from its settings."""

import os
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp

from fallow.artifacts.bucket import S3Access, access_from, place_of
from fallow.artifacts.bucket_locations import StoreSource, StoreTarget
from fallow.artifacts.filesystem import FilesystemStore
from fallow.artifacts.guard import Fetcher
from fallow.artifacts.locations import Source, Target
from fallow.artifacts.port import ArtifactStore, checked_key
from fallow.artifacts.s3 import open_s3
from fallow.artifacts.served import Served
from fallow.artifacts.signing import Signer
from fallow.artifacts.uris import Locations, open_source, open_target
from fallow.clock import Clock, SystemClock
from fallow.control.assimilator import Assimilator
from fallow.control.callers import OPERATORS, Keys
from fallow.control.charts import Charts
from fallow.control.estimates import Estimates
from fallow.control.feeds import Feeds
from fallow.control.fleet_history import Fleet
from fallow.control.intake import Intake
from fallow.control.janitor import Janitor
from fallow.control.jobs import Jobs
from fallow.control.live_logs import LiveLogs
from fallow.control.lookup import Lookup
from fallow.control.people import people_of
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
from fallow.core.chapter import Witnesses
from fallow.core.refusals import Code, Refusal
from fallow.settings import Settings
from fallow.store.opening import open_store
from fallow.store.port import Store
from fallow.web.bells import Bells
from fallow.web.deps import Door
from fallow.web.door import build_app
from fallow.web.oidc import Oidc
from fallow.web.shelf import Shelf
from fallow.web.signin import SignIn
from fallow.wiring.boinc import boinc_of, boinc_roles
from fallow.wiring.boinc_submit import submitting_of
from fallow.wiring.images import Finder
from fallow.wiring.noticing import noticing
from fallow.wiring.observing import Observing
from fallow.wiring.openai import FORM, openai_of, openai_roles
from fallow.wiring.roles import Role, Roles

_URL_KEY: Final = "url_key"
_PEOPLE_KEY: Final = "people_key"
_LETTER_KEY: Final = "letter_key"
_BOINC_KEY: Final = "boinc_files_key"
_SHARES_SECONDS: Final = 2.0
_SWEEP_SECONDS: Final = 5.0  # nobody waits for what the janitor sweeps
_PART_SECONDS: Final = 7 * 86400.0  # an upload that nobody went on with is given up


@dataclass(frozen=True, slots=True)
class System:
    """One server process, built and not yet started. app: the door."""

    settings: Settings
    clock: Clock
    store: Store
    places: Places
    keys: Keys
    door: Door
    app: ASGIApp
    roles: Roles
    observing: Observing

    def close(self) -> None:
        """Ends the roles, then lets the database go."""
        self.roles.stop()
        self.store.close()
        self.observing.close()


def build(settings: Settings, clock: Clock | None = None, *, workers_here: bool = False) -> System:
    """Opens rows and bytes, brings the schema up to date and puts everything together.

    workers_here: all workers are this machine's own, so images in its engine need no copy.
    Raises Refusal SETTING_INVALID, STORAGE_UNREACHABLE or STORAGE_FULL.
    """
    clock = clock or SystemClock()
    make_private(settings.data_dir)
    observing = Observing(settings)
    shares = Shares(clock, settings)
    store = open_store(settings.database_url, settings.plan_ahead, Witnesses((observing.witness, shares)))
    store.migrate()
    signer = Signer(_secret(store, clock, _URL_KEY), settings.base_url)
    artifacts = _open_artifacts(settings, signer, clock)
    places = _places(settings, artifacts, signer, clock)
    return _assembled(settings, clock, store, places, observing, shares, workers_here=workers_here)


def _assembled(
    settings: Settings,
    clock: Clock,
    store: Store,
    places: Places,
    observing: Observing,
    shares: Shares,
    *,
    workers_here: bool,
) -> System:
    counters = observing.counters(store, clock)
    plugs = Plugs(allow_exec=settings.allow_exec_plugins)
    scheduler = Scheduler(store, clock, settings, shares)
    views = Views(store, scheduler)
    results = Results(store, places, views)
    live_logs = LiveLogs(store, views, results, clock, settings)
    shelf = Shelf(places)
    finder = Finder(
        shelf,
        settings.data_dir / "images",
        None if workers_here else settings.allowed_roots,
        engines_shared=workers_here,
    )
    keys = Keys(store, clock)
    people = people_of(store, clock, keys, settings, _secret(store, clock, _PEOPLE_KEY))
    signin = SignIn(keys.authenticate, clock, settings.open)
    people.accounts.changed = signin.forget
    served = Served(places.artifacts, settings.data_dir / "uploads", places.open_source)
    telling = noticing(settings, store, clock, socket.gethostname(), _secret(store, clock, _LETTER_KEY))
    bells = Bells()
    roles = Roles(
        [
            *_roles(settings, store, places, plugs, served, observing),
            *_wanted(settings, telling.roles),
            Role("shares", lambda: shares.step(store), _SHARES_SECONDS),
        ],
        counters,
        {"leases": bells.leases.ring, "answers": bells.answers.ring},
    )
    notices = telling.notices(roles.ring)
    people.accounts.on_email = notices.request_confirmation
    intake = Intake(store, places, finder, plugs, settings)
    openai = openai_of(store, places, intake, settings)
    work = Work(store, places, scheduler, settings, observing.tracing, live_logs.watched)
    boinc_secret = _secret(store, clock, _BOINC_KEY)
    submitting = submitting_of(store, places, intake, settings, people.boinc_users)
    door = Door(
        settings=settings,
        clock=clock,
        keys=keys,
        signin=signin,
        people=people,
        intake=intake,
        estimates=Estimates(store, places, intake, settings),
        fleet=Fleet(store, clock, settings),
        lookup=Lookup(store, places, views),
        feeds=Feeds(store, places),
        jobs=Jobs(store, places),
        views=views,
        charts=Charts(store, views, clock),
        results=results,
        work=work,
        boinc=boinc_of(store, places, settings, people.boinc_users, work, scheduler, boinc_secret, submitting),
        shelf=shelf,
        places=places,
        served=served,
        counters=counters,
        checks={"rows": store.ping, "bytes": places.artifacts.ping},
        ring=roles.ring,
        bells=bells,
        closing=threading.Event(),
        notices=notices,
        webhooks=telling.webhooks,
        models=openai.models,
        files=openai.files,
        uploads=openai.uploads,
        batches=openai.batches,
        links=telling.links,
        live_logs=live_logs,
        tracing=observing.tracing,
        oidc=Oidc(settings, clock, people.secret) if settings.oidc_issuer else None,
    )
    return System(settings, clock, store, places, keys, door, build_app(door), roles, observing)


def _roles(
    settings: Settings, store: Store, places: Places, plugs: Plugs, served: Served, observing: Observing
) -> list[Role]:
    """The threads this process runs. Work is claimed in rows, so any number of processes may run any of them."""
    owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    transitioner = Transitioner(store, places.clock, settings, owner)
    assimilator = Assimilator(store, places, plugs, settings, owner, observing.tracing)
    planner = Planner(store, places, plugs, settings, owner, form=FORM)
    rest = settings.role_seconds
    parts: list[tuple[str, Role]] = [
        ("planner", Role("planner", planner.step, rest, then="leases")),
        ("transitioner", Role("transitioner", transitioner.step, rest, then="assimilator")),
        ("transitioner", Role("expiry", transitioner.expire_jobs, _SWEEP_SECONDS)),
        ("assimilator", Role("assimilator", assimilator.step, rest, then="notifier")),
        ("janitor", Role("janitor", Janitor(store, places, settings, owner).step, _SWEEP_SECONDS)),
        ("janitor", Role("uploads", lambda: served.sweep(_PART_SECONDS) > 0, 3600.0)),
        *openai_roles(store, places, settings, owner),
        *boinc_roles(store, places, settings),
    ]
    for number in range(settings.verifier_threads):
        verifier = Verifier(store, places, plugs, settings, f"{owner}-{number}")
        parts.append(("verifier", Role(f"verifier-{number}", verifier.step, rest, then="answers")))
    return _wanted(settings, parts)


def _wanted(settings: Settings, parts: Sequence[tuple[str, Role]]) -> list[Role]:
    """Those that this process is to run."""
    wanted = {each.strip() for each in settings.roles.split(",")}
    return [role for kind, role in parts if wanted & {"all", kind}]


def make_private(folder: Path) -> None:
    """The folder, for this user alone if it is made now. Raises Refusal SETTING_INVALID."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as wrong:
        raise Refusal(
            Code.SETTING_INVALID,
            f"The data directory {folder} cannot be made: {wrong.strerror}.",
            "Choose another one with --data-dir.",
        ) from None


def _secret(store: Store, clock: Clock, name: str) -> bytes:
    """A secret of the installation, such as that behind signed URLs; the same for every process on this database."""
    with store.transaction() as tx:
        tx.add_account(OPERATORS, OPERATORS, clock.now())
        tx.add_setting(name, secrets.token_hex(32))
        known = tx.setting(name)
    assert known is not None
    return bytes.fromhex(known)


def _open_artifacts(settings: Settings, signer: Signer, clock: Clock) -> ArtifactStore:
    if settings.objects.startswith("s3://"):
        return open_s3(settings.objects, os.environ)
    named = settings.objects.removeprefix("file://").removeprefix("file:")
    root = Path(named) if named else settings.data_dir
    return FilesystemStore(root, signer, clock.now, settings.reserve_bytes)


def _places(settings: Settings, artifacts: ArtifactStore, signer: Signer, clock: Clock) -> Places:
    locations = Locations(
        store=artifacts,
        fetcher=Fetcher(allow_private=settings.allow_private_addresses),
        input_roots=settings.allowed_roots,
        output_roots=settings.allowed_roots,
        s3=_s3_access(settings),
        reserve_bytes=settings.reserve_bytes,
    )
    return Places(
        artifacts=artifacts,
        open_source=_source_opener(locations),
        open_target=_target_opener(locations),
        signer=signer,
        clock=clock,
        url_seconds=settings.url_seconds,
    )


def _s3_access(settings: Settings) -> S3Access:
    access = access_from(os.environ)
    if not settings.objects.startswith("s3://"):
        return access
    place = place_of(settings.objects)
    return replace(access, endpoint=place.endpoint or access.endpoint, region=place.region or access.region)


def _source_opener(locations: Locations) -> Callable[[str], Source]:
    """Also opens any key of our own store: what submitters may name of it, the door has checked."""

    def opened(uri: str) -> Source:
        if uri.startswith(OWN):
            return StoreSource(uri, checked_key(uri.removeprefix(OWN)), locations.store)
        return open_source(uri, locations)

    return opened


def _target_opener(locations: Locations) -> Callable[[str], Target]:
    def opened(uri: str) -> Target:
        if uri.startswith(OWN):
            return StoreTarget(checked_key(uri.removeprefix(OWN)), locations.store)
        return open_target(uri, locations)

    return opened


def reachable(settings: Settings, port: int) -> Settings:
    """Settings with the port that was really bound, and an address that others can use where none was named."""
    host = settings.listen.rpartition(":")[0]
    named = settings.public_url or f"http://{_address(host)}:{port}"
    return replace(settings, listen=f"{host}:{port}", public_url=named)


def _address(host: str) -> str:
    if host not in ("0.0.0.0", "::", "[::]", ""):  # noqa: S104  compared, not bound
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; only asks which of our addresses would be used
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
