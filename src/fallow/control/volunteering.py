"""What a BOINC client's request for work adds to a worker's: whose jobs it may run, how much of one, until when."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fallow.core.job import Homogeneous
from fallow.core.words import Micros
from fallow.store.port import JobRow


@dataclass(frozen=True, slots=True)
class Volunteer:
    """One client's request, beside its worker's row.

    account_id: whose machine it is; that account's jobs it may run in any case. own_only: and no others. admits: whether
    it has tasks of that job left today, and can finish one in time.
    bundle: how many chunks of a job make one task here, at least 1. deadline: of what is leased of a job now.
    counts_alone: whether this machine's answer with an image (JobSpec.ran) needs no second one; asked anew for each
    chunk of a job with adaptive replication, so that a spot check may be drawn. classes: of the machine, by how close;
    where one is missing, jobs that ask for it are passed over.
    """

    account_id: str
    bundle: Callable[[JobRow], int]
    deadline: Callable[[JobRow], Micros]
    counts_alone: Callable[[str], bool]
    admits: Callable[[JobRow], bool] = lambda _: True
    own_only: bool = False
    classes: Mapping[Homogeneous, str] = field(default_factory=dict)

    def may_run(self, job: JobRow) -> bool:
        """Whether the job may go to this machine at all."""
        mine = job.account_id == self.account_id
        if not mine and (self.own_only or not job.spec.requirements.volunteers):
            return False
        return self.admits(job)
