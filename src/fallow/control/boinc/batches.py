"""BOINC's batches: reserved, filled with jobs, asked for, aborted, retired. A batch with jobs is a job here.

Source of what each call does: BOINC html/user/submit_rpc_handler.php.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from fallow.control.boinc.apps import App, Apps
from fallow.control.boinc.batch_ends import BatchEnds
from fallow.control.boinc.batch_standing import PAGE, batch_facts, jobs_of
from fallow.control.boinc.items import Itemizer, Items, blocks
from fallow.control.boinc.job_files import JobFiles
from fallow.control.callers import Caller
from fallow.control.intake import Intake
from fallow.control.places import OWN, Places
from fallow.core.boinc_batches import BatchFacts, Counts, JobFacts, SubmittedBatch
from fallow.core.estimate import estimate, pace_of
from fallow.core.job import JobSpec, RetryPolicy, VerifyMethod, VerifyPolicy, process_digest
from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.core.words import InputFormat, JobId, JobState, Micros, Scope
from fallow.settings import Settings
from fallow.store.port import BoincBatchRow, JobRow, Store, Tx

_NAMES_AT_ONCE: Final = 1000
_PRIORITY_MAX: Final = 1_000_000
_LEASE_SECONDS: Final = (60, 30 * 86400)
_FLOPS_OF_SLOT: Final = 4e9  # of a processor core that nothing is known of
_FLOPS_OF_JOB: Final = 3600e9  # Source: BOINC tools/create_work.cpp, of a job that does not say
_ACTIVE: Final = (JobState.PLANNING, JobState.RUNNING, JobState.PAUSED, JobState.MERGING)


class BoincBatches:
    """Other people's batches and jobs are as good as none. Each verb may raise a Refusal, whose message is BOINC's."""

    def __init__(
        self, store: Store, places: Places, intake: Intake, apps: Apps, files: JobFiles, settings: Settings
    ) -> None:
        self._store = store
        self._places = places
        self._intake = intake
        self._ends = BatchEnds(store, places)
        self._apps = apps
        self._files = files
        self._settings = settings

    def create(self, caller: Caller, app_name: str, name: str, expire_at: float) -> int:
        """Reserves a batch, without jobs; its number."""
        app = self._apps.app(caller, app_name)
        with self._store.transaction() as tx:
            return tx.add_boinc_batch(caller.account_id, app.name, name[:255], _micros(expire_at), self._now())

    def submit(self, caller: Caller, batch: SubmittedBatch) -> int:
        """All jobs of a batch at once, or none of them; the batch's number."""
        app = self._apps.app(caller, batch.app_name)
        if not batch.jobs:
            raise Refusal(Code.BAD_REQUEST, "the batch has no jobs")
        if batch.batch_id:
            with self._store.reading() as tx:
                _startable(tx.boinc_batch(batch.batch_id), caller, batch.batch_id)
        items = Itemizer(caller, app, self._apps, self._files, batch).items()
        self._check_names(caller, items.names)
        stored = self._intake.upload(caller, blocks(items.lines))
        spec = self._intake.check(caller, _submission(app, batch, items, f"{OWN}{stored.key}"))
        with self._store.transaction() as tx:
            return self._written(tx, caller, batch, items, spec)

    def estimate(self, caller: Caller, batch: SubmittedBatch) -> float:
        """Seconds until the batch would be done, if nothing else were to be done. A number in any case."""
        app = self._apps.app(caller, batch.app_name)
        itemizer = Itemizer(caller, app, self._apps, self._files, batch)
        itemizer.check()
        image = app.asked.resolved
        ran = image.digest if image else process_digest(app.asked.command)
        seen_after = Micros(self._now() - int(self._settings.silence_seconds * 1e6))
        with self._store.reading() as tx:
            rate = tx.setting(f"rate:{ran}")
            workers = tx.workers(seen_after)
        slots = sum(int(msgspec.json.decode(each.capability).get("slots", 1)) for each in workers)
        count = len(batch.jobs)
        found = estimate(count, count, 1, slots, pace_of((), float(rate) if rate else None))
        if found is not None:
            return (found.seconds or found.slot_seconds).likely
        flops = sum(each.flops or _FLOPS_OF_JOB for each in batch.jobs)
        return flops / _FLOPS_OF_SLOT / max(1, min(slots, count))

    def listed(self, caller: Caller, *, cpu: bool) -> list[BatchFacts]:
        """The caller's batches that are not retired, oldest first."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        with self._store.reading() as tx:
            return [batch_facts(tx, row, cpu=cpu) for row in _all(tx, caller.account_id)]

    def one(self, caller: Caller, batch_id: int, name: str, *, cpu: bool) -> tuple[BatchFacts, list[JobFacts]]:
        """A batch by number or, where that is 0, by name; and its jobs."""
        with self._store.reading() as tx:
            row = self._row(tx, caller, batch_id, name)
            return batch_facts(tx, row, cpu=cpu), list(jobs_of(tx, row))

    def jobs_named(self, caller: Caller, names: Sequence[str], since: float) -> list[list[JobFacts]]:
        """The jobs of some batches. since: of a batch where nothing moved after that, none are told."""
        with self._store.reading() as tx:
            rows = [self._row(tx, caller, 0, name) for name in names]
            return [list(jobs_of(tx, row)) if _moved_since(tx, row, since) else [] for row in rows]

    def templates(self, caller: Caller, app_name: str, job_name: str) -> tuple[str, str]:
        """Texts of the input and the output template of an application, or of that of a job."""
        if not app_name:
            with self._store.reading() as tx:
                jobs = tx.boinc_jobs_named(job_name, caller.account_id)
                row = tx.boinc_batch(jobs[0].batch_id) if jobs else None
            if row is None:
                raise Refusal(Code.NOT_FOUND, f"no job {job_name[:200]}")
            app_name = row.app_name
        return self._apps.texts(caller, self._apps.app(caller, app_name))

    def set_expiry(self, caller: Caller, batch_id: int, name: str, expire_at: float) -> None:
        """When the batch retires by itself; 0: never."""
        with self._store.transaction() as tx:
            tx.set_boinc_batch_expiry(self._row(tx, caller, batch_id, name).batch_id, _micros(expire_at))

    def abort(self, caller: Caller, batch_id: int, name: str) -> None:
        """What is done stays; the rest will not be done."""
        with self._store.reading() as tx:
            row = self._row(tx, caller, batch_id, name)
        self._ends.abort(caller, row)

    def abort_jobs(self, caller: Caller, names: Sequence[str]) -> None:
        """All of them, or none when one is not there."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        with self._store.transaction() as tx:
            for name in names:
                found = tx.boinc_jobs_named(name, caller.account_id)
                if not found:
                    raise Refusal(Code.NOT_FOUND, f"no job {name[:200]}")
                tx.abort_boinc_job(found[0].boinc_job_id, self._now())
        self._ends.abort_due()

    def retire(self, caller: Caller, batch_id: int, name: str) -> None:
        """Its outputs go; how it stood is remembered for a while."""
        with self._store.reading() as tx:
            row = self._row(tx, caller, batch_id, name)
        self._ends.retire(caller, row)

    def counts(self) -> Counts:
        """Of everybody's jobs."""
        with self._store.reading() as tx:
            jobs = tx.jobs(account_id=None, before=None, limit=PAGE, states=_ACTIVE)
        counted = [job.counters for job in jobs]
        return Counts(
            ready_to_send=sum(each.chunks_planned + each.attempts_queued for each in counted),
            in_progress=sum(each.attempts_leased for each in counted),
            need_validate=sum(each.chunks_verifying for each in counted),
            need_assimilate=sum(job.counters.chunks_total for job in jobs if job.state is JobState.MERGING),
        )

    def now(self) -> float:
        """Seconds since 1970."""
        return self._now() / 1e6

    def _now(self) -> Micros:
        return self._places.clock.now()

    def _row(self, tx: Tx, caller: Caller, batch_id: int, name: str) -> BoincBatchRow:
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        if not batch_id and not name:
            raise Refusal(Code.BAD_REQUEST, "no batch specified")
        row = tx.boinc_batch(batch_id) if batch_id else tx.boinc_batch_named(caller.account_id, name)
        if row is None or row.account_id != caller.account_id:
            raise Refusal(Code.NOT_FOUND, "no such batch")
        return row

    def _check_names(self, caller: Caller, names: Sequence[str]) -> None:
        """Early, so that a repeated submission costs nothing. It is looked again when the rows are written."""
        with self._store.reading() as tx:
            _check_free(tx, caller.account_id, names)

    def _written(self, tx: Tx, caller: Caller, batch: SubmittedBatch, items: Items, spec: JobSpec) -> int:
        tx.hold_batches(caller.account_id)
        _check_free(tx, caller.account_id, items.names)
        now, batch_id = self._now(), batch.batch_id
        if batch_id:
            _startable(tx.boinc_batch(batch_id), caller, batch_id)
        else:
            expire_at = _micros(batch.expire_at)
            batch_id = tx.add_boinc_batch(caller.account_id, batch.app_name, batch.batch_name[:255], expire_at, now)
        named = JobId(f"batch_{batch_id}")
        job_id = named if tx.job(named) is None else JobId(f"{named}-{spec.job_id.removeprefix('job-')}")
        job = tx.add_job(replace(spec, job_id=job_id), caller.account_id, now, caller.by)
        if not tx.start_boinc_batch(batch_id, job.job_key, len(items.names)):
            raise Refusal(Code.STATE_CONFLICT, "batch is not in init state")
        tx.add_boinc_jobs(caller.account_id, batch_id, list(zip(items.names, items.outputs, strict=True)))
        return batch_id


def _submission(app: App, batch: SubmittedBatch, items: Items, uri: str) -> Submission:
    """The model's job with what the batch may say. error_threshold 1: BOINC's batches end, and do not fail."""
    options = items.options
    priorities = [each.priority for each in batch.jobs if each.priority is not None]
    priority = batch.priority if batch.priority is not None else max(priorities, default=None)
    if priority is None:
        priority = int(options.get("priority", app.asked.priority))
    return replace(
        app.asked,
        job_id=None,
        input_uri=uri,
        input_format=InputFormat.BUNDLES,
        chunking=type(app.asked.chunking)(items=1),
        range=None,
        output_uri=None,
        name=batch.batch_name[:200],
        priority=max(-_PRIORITY_MAX, min(_PRIORITY_MAX, priority)),
        verify=_verify(app.asked.verify, int(options.get("min_quorum", 0))),
        retry=_retry(app.asked.retry, options),
    )


def _verify(policy: VerifyPolicy, quorum: int) -> VerifyPolicy:
    """A batch may ask for more equal answers than the model does, not for fewer."""
    asked = policy.quorum if policy.method is VerifyMethod.QUORUM else 1
    if quorum <= asked:
        return policy
    return replace(policy, method=VerifyMethod.QUORUM, quorum=min(quorum, 100))


def _retry(policy: RetryPolicy, options: Mapping[str, float]) -> RetryPolicy:
    shortest, longest = _LEASE_SECONDS
    errors = options.get("max_error_results")
    total = options.get("max_total_results")
    lease = options.get("delay_bound")
    return replace(
        policy,
        max_errors=policy.max_errors if errors is None else max(1, min(int(errors) + 1, 100)),
        max_attempts=policy.max_attempts if total is None else max(1, min(int(total), 1000)),
        lease_seconds=policy.lease_seconds if lease is None else int(max(shortest, min(lease, longest))),
        error_threshold=1.0,
    )


def _startable(row: BoincBatchRow | None, caller: Caller, batch_id: int) -> None:
    if row is None or row.account_id != caller.account_id:
        raise Refusal(Code.NOT_FOUND, f"no batch {batch_id}")
    if row.job_key is not None or row.retired_at is not None or row.final:
        raise Refusal(Code.STATE_CONFLICT, "batch is not in init state")


def _check_free(tx: Tx, account_id: str, names: Sequence[str]) -> None:
    for start in range(0, len(names), _NAMES_AT_ONCE):
        taken = tx.taken_boinc_names(account_id, names[start : start + _NAMES_AT_ONCE])
        if taken:
            raise Refusal(Code.ALREADY_EXISTS, f"create_work failed: job name {taken[0]} is taken")


def _all(tx: Tx, account_id: str) -> Iterator[BoincBatchRow]:
    after = 0
    while page := tx.boinc_batches(account_id, after, PAGE):
        yield from page
        after = page[-1].batch_id


def _moved_since(tx: Tx, row: BoincBatchRow, since: float) -> bool:
    """Whether something may have moved: of a job that is over nothing has, after its end."""
    job: JobRow | None = tx.job_by_key(row.job_key) if row.job_key is not None else None
    return job is None or not job.finished_at or job.finished_at >= since * 1e6


def _micros(seconds: float) -> Micros:
    """A moment; 0 for never."""
    return Micros(int(max(0.0, min(seconds, 1e11)) * 1e6))
