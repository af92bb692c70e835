"""The BOINC door's parts, put together: keys, the runner's versions, calls, files, and the roles behind them."""

import structlog

from fallow.control.boinc.app_versions import AppVersions
from fallow.control.boinc.calls import Calls
from fallow.control.boinc.creditor import Creditor
from fallow.control.boinc.handing_out import HandingOut
from fallow.control.boinc.machines import Machines
from fallow.control.boinc.signing_key import SigningKeys
from fallow.control.boinc.standings import Standings
from fallow.control.boinc.statistics import Statistics
from fallow.control.boinc.sweeper import Sweeper
from fallow.control.boinc.tasks import Tasks
from fallow.control.boinc.uploads import Uploads
from fallow.control.boinc.users import BoincUsers
from fallow.control.places import Places
from fallow.control.scheduler import Scheduler
from fallow.control.work import Work
from fallow.protocols.boinc import signing
from fallow.protocols.boinc import statistics as statistics_form
from fallow.settings import Settings
from fallow.store.port import Store
from fallow.web.boinc.parts import Boinc
from fallow.web.boinc.submitting import Submitting
from fallow.web.boinc.tickets import Tickets
from fallow.wiring.boinc_submit import submit_role
from fallow.wiring.roles import Role
from fallow.wiring.runner import build_runner

_TASKS_SECONDS = 60.0
_FILES_SECONDS = 3600.0
_STATISTICS_SECONDS = 60.0  # a look whether a day has passed
_log = structlog.get_logger("fallow.boinc")


def boinc_of(
    store: Store,
    places: Places,
    settings: Settings,
    users: BoincUsers,
    work: Work,
    scheduler: Scheduler,
    secret: bytes,
    submitting: Submitting,
) -> Boinc:
    """secret: behind the tokens in files' names. Publishes this release's runner if nobody has."""
    keys = SigningKeys(store, signing, offline=settings.boinc_sign_offline)
    versions = AppVersions(store, places.artifacts, places.clock, keys, signing)
    if settings.boinc and runs_door(settings):
        keys.ensure()
        versions.publish(build_runner())
        if warning := keys.warning():
            _log.warning("boinc.signing_key", note=warning)
    tasks = Tasks(store)
    return Boinc(
        secret=secret,
        calls=Calls(store, places.clock, settings, users, work, HandingOut(scheduler, settings)),
        tasks=tasks,
        tickets=Tickets(tasks, settings, secret),
        uploads=Uploads(store, places),
        versions=versions,
        submitting=submitting,
        standings=Standings(store, places.clock),
        machines=Machines(store, places.clock),
    )


def boinc_roles(store: Store, places: Places, settings: Settings) -> list[tuple[str, Role]]:
    """(kind, role) of the threads that book credit and forget what is over."""
    if not settings.boinc:
        return []
    creditor = Creditor(store, places.clock, settings)
    statistics = Statistics(store, places.artifacts, places.clock, settings, statistics_form)
    sweeper = Sweeper(store, places)
    return [
        ("creditor", Role("creditor", creditor.step, settings.role_seconds)),
        ("creditor", Role("statistics", statistics.step, _STATISTICS_SECONDS)),
        ("janitor", Role("boinc-tasks", sweeper.forget_tasks, _TASKS_SECONDS)),
        ("janitor", Role("boinc-files", sweeper.forget_files, _FILES_SECONDS)),
        ("janitor", submit_role(store, places)),
    ]


def runs_door(settings: Settings) -> bool:
    """Whether this process answers requests."""
    return bool({"all", "door"} & {each.strip() for each in settings.roles.split(",")})
