"""What a BOINC client's request for work adds to a worker's: whose jobs it may run, how much of one, until when."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fallow.core.job import Homogeneous
from fallow.core.volunteers import is_volunteer
from fallow.core.words import Micros
from fallow.settings import Settings
from fallow.store.port import JobRow, WorkerRow


@dataclass(frozen=True, slots=True)
class Volunteer:
    """One client's request, beside its worker's row.

    account_id: whose machine it is; that account's jobs it may run in any case. own_only: and no others.
    admits: whether it has tasks of that job left today, and can finish one in time. bundle: how many chunks of a job
    make one task here, at least 1. deadline: of what is leased of a job now.
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


def heard_since(row: WorkerRow, now: Micros, settings: Settings) -> Micros:
    """A worker that was heard of since this moment counts as there.

    A volunteer's client calls every boinc_poll_seconds when all is well, later when it was refused something, and at
    no time that is known while it computes: what it holds has a deadline of its own.
    """
    seconds = settings.silence_seconds
    if is_volunteer(row.worker_id):
        seconds = max(seconds, _between_calls(settings))
        if row.attempts_leased:
            seconds = max(seconds, settings.boinc_deadline_seconds_min)
    return Micros(now - int(seconds * 1e6))


def heard_first(now: Micros, settings: Settings) -> Micros:
    """No worker at all that was last heard of before this moment counts as there."""
    seconds = max(settings.silence_seconds, _between_calls(settings), settings.boinc_deadline_seconds_min)
    return Micros(now - int(seconds * 1e6))


def _between_calls(settings: Settings) -> float:
    """Twice what a client is told to wait, so that one call may fail."""
    return 2 * settings.boinc_poll_seconds + settings.boinc_call_seconds
