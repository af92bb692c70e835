"""What BOINC's submit calls need of the house."""

from dataclasses import dataclass

from fallow.control.boinc.batches import BoincBatches
from fallow.control.boinc.job_files import JobFiles
from fallow.control.boinc.outputs import Outputs
from fallow.control.boinc.users import BoincUsers


@dataclass(frozen=True, slots=True)
class Submitting:
    """users: whose keys come with the calls."""

    users: BoincUsers
    batches: BoincBatches
    files: JobFiles
    outputs: Outputs
