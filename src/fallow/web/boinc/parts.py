"""What the BOINC door needs of the house, beside what every door needs."""

from dataclasses import dataclass

from fallow.control.boinc.app_versions import AppVersions
from fallow.control.boinc.calls import Calls
from fallow.control.boinc.machines import Machines
from fallow.control.boinc.standings import Standings
from fallow.control.boinc.tasks import Tasks
from fallow.control.boinc.uploads import Uploads
from fallow.web.boinc.submitting import Submitting
from fallow.web.boinc.tickets import Tickets


@dataclass(frozen=True, slots=True)
class Boinc:
    """secret: behind the tokens in files' names."""

    secret: bytes
    calls: Calls
    tasks: Tasks
    tickets: Tickets
    uploads: Uploads
    versions: AppVersions
    submitting: Submitting
    standings: Standings
    machines: Machines
