"""The parts behind BOINC's submit calls, put together, and their role."""

from collections.abc import Mapping

from fallow.control.boinc.apps import Apps, Form
from fallow.control.boinc.batch_ends import BatchEnds
from fallow.control.boinc.batches import BoincBatches
from fallow.control.boinc.job_files import JobFiles
from fallow.control.boinc.outputs import Outputs
from fallow.control.boinc.users import BoincUsers
from fallow.control.intake import Intake
from fallow.control.places import Places
from fallow.core.submission import Submission
from fallow.protocols.boinc.templates import input_template, output_template
from fallow.protocols.rest.templates import batch_submission
from fallow.settings import Settings
from fallow.store.port import Store
from fallow.web.boinc.submitting import Submitting
from fallow.wiring.roles import Role

_SWEEP_SECONDS = 5.0


def submitting_of(store: Store, places: Places, intake: Intake, settings: Settings, users: BoincUsers) -> Submitting:
    files = JobFiles(store, places)
    apps = Apps(store, files, Form(input_template, output_template, _submission))
    return Submitting(
        users=users,
        batches=BoincBatches(store, places, intake, apps, files, settings),
        files=files,
        outputs=Outputs(store, places, users),
    )


def submit_role(store: Store, places: Places) -> Role:
    """Aborts what could not be aborted at once; retires and forgets what is past its time."""
    return Role("boinc-batches", BatchEnds(store, places).step, _SWEEP_SECONDS)


def _submission(template: Mapping[str, object]) -> Submission:
    return batch_submission(template, {})
