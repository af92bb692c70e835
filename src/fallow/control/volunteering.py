"""What a BOINC client's request for work adds to a worker's: whose jobs it may run, how much of one, until when."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fallow.core.job import Homogeneous
from fallow.core.words import Micros
from fallow.store.port import JobRow


@dataclass(frozen=True, slots=True)
class Volunteer:
    """One client's request, beside its worker's row.

    account_id: whose machine it is; that account's jobs it may run in any case. own_only: and no others.
    bundle: how many chunks of a job make one task here, at least 1. deadline: of what is leased of a job now.
    counts_alone: whether this machine's answer with an image (JobSpec.ran) needs no second one; asked anew for each
    chunk of a job with adaptive replication, so that a spot check may be drawn. classes: of the machine, by how close;
    where one is missing, jobs that ask for it are passed over.
    """

    account_id: str
    bundle: Callable[[JobRow], int]
    deadline: Callable[[JobRow], Micros]
    counts_alone: Callable[[str], bool]
    own_only: bool = False
    classes: Mapping[Homogeneous, str] = field(default_factory=dict)

    def may_run(self, job: JobRow) -> bool:
        """Whether the job may go to this machine at all."""
        if job.account_id == self.account_id:
            return True
        return job.spec.requirements.volunteers and not self.own_only
