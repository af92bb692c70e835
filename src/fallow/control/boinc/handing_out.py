"""What a client is given: chunks in tasks of some minutes, no more than it can finish in time and has deserved."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import msgspec

from fallow.control.boinc.hosts import Met, facts_of
from fallow.control.boinc.records import reputation_of
from fallow.control.scheduler import Offer, Scheduler
from fallow.control.volunteering import Volunteer
from fallow.core import deadlines
from fallow.core.deadlines import Wanted
from fallow.core.homogeneity import classes_of
from fallow.core.job import Homogeneous
from fallow.core.reputation import Reputation, counts_alone, day_of, left_today
from fallow.core.volunteers import HostFacts
from fallow.core.words import Micros
from fallow.settings import Settings
from fallow.store.port import BoincResultRow, JobRow, Leased, ReputationRow, Tx

_TASKS_MAX = 256  # in one call, however many processors a client says it has
_UNKNOWN_SECONDS = 600.0  # what a task is taken to need where nothing was ever measured


@dataclass(frozen=True, slots=True)
class Given:
    """One new task. facts: of its machine, for what the client is told of its size."""

    result: BoincResultRow
    job: JobRow
    chunks: tuple[Leased, ...]


class HandingOut:
    """Leases for volunteers. chance: draws from 0..1, for spot checks."""

    def __init__(self, scheduler: Scheduler, settings: Settings, chance: Callable[[], float] = random.random) -> None:
        self._scheduler = scheduler
        self._settings = settings
        self._chance = chance

    def to(self, tx: Tx, met: Met, account_id: str, wanted: Wanted, now: Micros) -> tuple[list[Given], str]:
        """(new tasks, why there are none or fewer). In a writing transaction."""
        filling = _Filling(self._settings, facts_of(met.host), tx.reputations(met.worker.worker_id), wanted, now)
        count = filling.tasks()
        if count <= 0:
            return [], "This machine has had its tasks for today; more after good answers, or tomorrow."
        count = min(count, _TASKS_MAX)
        if met.host.no_engine_count:
            count = 1  # to see whether there is a container engine now
        volunteer = Volunteer(
            account_id=account_id,
            bundle=filling.bundle,
            deadline=filling.deadline,
            counts_alone=lambda image: counts_alone(filling.record(image).valid_in_row, self._chance()),
            own_only=self._settings.boinc_own_only,
            classes=_classes(met.worker.capability, filling.facts),
            admits=filling.admits,
        )
        offers = self._scheduler.lease(tx, met.worker, count, now, met.worker.attempts_leased, volunteer)
        return self._kept(tx, met, filling, offers, now), filling.why_not if not offers else ""

    def _kept(self, tx: Tx, met: Met, filling: "_Filling", offers: Sequence[Offer], now: Micros) -> list[Given]:
        bundles = _bundles(offers, filling.bundle)
        rows = tx.add_results([_row(met, filling, job, chunks, now) for job, chunks in bundles])
        sent: dict[str, int] = {}
        for job, _ in bundles:
            sent[job.spec.ran] = sent.get(job.spec.ran, 0) + 1
        for image, count in sent.items():
            tx.count_sent(met.worker.worker_id, image, day_of(now), count, self._settings.boinc_daily_tasks)
        return [Given(row, job, tuple(chunks)) for row, (job, chunks) in zip(rows, bundles, strict=True)]


class _Filling:
    """One request for work, with all that sizes and bounds it."""

    def __init__(
        self, settings: Settings, facts: HostFacts, records: Sequence[ReputationRow], wanted: Wanted, now: Micros
    ) -> None:
        self.facts = facts
        self.why_not = ""
        self._settings = settings
        self._records = {row.image: reputation_of(row) for row in records}
        self._wanted = wanted
        self._now = now

    def record(self, image: str) -> Reputation:
        return self._records.get(image) or Reputation(quota=self._settings.boinc_daily_tasks)

    def tasks(self) -> int:
        """How many at most. The quota is of each image; here counts the best."""
        records = list(self._records.values()) or [self.record("")]
        left = max(left_today(each, self._now, self.facts.cores) for each in [*records, self.record("")])
        settings = self._settings
        return deadlines.tasks(
            self._wanted, settings.boinc_task_seconds, self.facts.cores, settings.boinc_tasks_per_call_max, left
        )

    def bundle(self, job: JobRow) -> int:
        settings = self._settings
        pace = self.record(job.spec.ran).seconds_per_item
        return deadlines.bundle(
            pace, _items_per_chunk(job), settings.boinc_task_seconds, settings.boinc_task_chunks_max
        )

    def seconds(self, job: JobRow, items: float) -> float:
        return deadlines.duration(self.record(job.spec.ran).seconds_per_item, items, _UNKNOWN_SECONDS)

    def deadline(self, job: JobRow) -> Micros:
        seconds = self.seconds(job, self.bundle(job) * _items_per_chunk(job))
        least, most = self._settings.boinc_deadline_seconds_min, self._settings.boinc_deadline_seconds_max
        delay, availability = self._wanted.delay_seconds, self.facts.availability
        return deadlines.deadline(self._now, seconds, delay, availability, least, most)

    def admits(self, job: JobRow) -> bool:
        """Whether this machine has some of today's tasks of this image left, and can finish one in time."""
        if left_today(self.record(job.spec.ran), self._now, self.facts.cores) <= 0:
            self.why_not = "This machine has had its tasks for today; more after good answers, or tomorrow."
            return False
        seconds = self.seconds(job, self.bundle(job) * _items_per_chunk(job))
        most = self._settings.boinc_deadline_seconds_max
        if why := deadlines.feasible(seconds, self._wanted.delay_seconds, self.facts.availability, most):
            self.why_not = why
            return False
        return True


class _Accelerator(msgspec.Struct, frozen=True):
    model: str = ""


class _Equipped(msgspec.Struct, frozen=True):
    """The part of what a worker said of itself that is wanted here."""

    accelerators: tuple[_Accelerator, ...] = ()


@lru_cache(maxsize=1024)
def _classes(capability: str, facts: HostFacts) -> Mapping[Homogeneous, str]:
    equipped = msgspec.json.decode(capability, type=_Equipped)
    models = [each.model for each in equipped.accelerators]
    return classes_of(platform=facts.platform, os=facts.os, vendor=facts.vendor, model=facts.model, accelerators=models)


def _bundles(offers: Sequence[Offer], size_of: Callable[[JobRow], int]) -> list[tuple[JobRow, list[Leased]]]:
    bundles = []
    for _, group in groupby(offers, key=lambda offer: offer.job.job_key):
        of_job = list(group)
        size = size_of(of_job[0].job)
        for start in range(0, len(of_job), size):
            bundles.append((of_job[0].job, [offer.leased for offer in of_job[start : start + size]]))
    return bundles


def _row(met: Met, filling: _Filling, job: JobRow, chunks: Sequence[Leased], now: Micros) -> BoincResultRow:
    return BoincResultRow(
        result_id=0,
        host_id=met.host.host_id,
        worker_id=met.worker.worker_id,
        job_key=job.job_key,
        attempts=tuple(each.attempt_id for each in chunks),
        sent_at=now,
        deadline=filling.deadline(job),
        seconds_estimated=filling.seconds(job, sum(each.item_count for each in chunks)),
    )


def _items_per_chunk(job: JobRow) -> float:
    """Of the chunks that were planned so far."""
    counters = job.counters
    chunks = (
        counters.chunks_planned
        + counters.chunks_open
        + counters.chunks_verifying
        + counters.chunks_done
        + counters.chunks_failed
    )
    return max(1.0, job.plan.next_item / chunks) if chunks else 1.0
