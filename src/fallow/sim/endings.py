"""What must be true at the end: every job is over, the outputs are what the items say, the manifest proves it."""

import json
from collections.abc import Iterator
from pathlib import Path

from fallow.control.outputs import ERRORS, MANIFEST, NAMES, OUTPUT
from fallow.core.lifecycle import JOB_OVER
from fallow.core.transition import FAULTS_COUNTED
from fallow.core.words import AttemptState, ChunkState, JobState
from fallow.sdk.verify import verify
from fallow.sim.driver import Driver
from fallow.sim.invariants import Broken
from fallow.sim.model import BAD, fault_line, lie_to
from fallow.sim.scenario import JobPlan
from fallow.sim.world import SUBMITTER
from fallow.store.port import JobRow, ResultRow
from fallow.worker.answers import is_error_answer


def check_endings(driver: Driver) -> None:
    """Raises Broken."""
    for plan in driver.scenario.jobs:
        with driver.world.rows.reading() as tx:
            job = tx.job(plan.job_id)
            results = tx.results(job.job_key, -1, 100_000) if job else []
        if job is None:
            if plan.job_id not in driver.deleted and driver.scenario.settings.retention_seconds > 3600:
                raise Broken(f"{plan.job_id} is gone, and nobody deleted it")
            continue
        _check_job(driver, plan, job, results)


def _check_job(driver: Driver, plan: JobPlan, job: JobRow, results: list[ResultRow]) -> None:
    if job.state not in JOB_OVER:
        raise Broken(f"{job.job_id} is {job.state}", job.job_key)
    if plan.job_id in driver.changed or plan.job_id in driver.deleted:
        return
    expected = [line for row in results for line in _expected_of(driver, plan, job, row)]
    told = [json.loads(line)["output"] for line in driver.world.server.results.lines(SUBMITTER, plan.job_id, -1, 10**9)]
    wanted = [json.loads(line) for line in expected]
    if told != wanted:
        place = next((n for n, pair in enumerate(zip(told, wanted, strict=False)) if pair[0] != pair[1]), len(told))
        what = f"of {len(told)} results of {job.job_id}, {len(wanted)} expected, number {place} is another one"
        raise Broken(f"{what}: {told[place : place + 1]} for {wanted[place : place + 1]}", job.job_key)
    if job.state is JobState.COMPLETED:
        _check_completed(driver, plan, job, expected)
    elif job.state is JobState.FAILED:
        _check_failed(driver, plan, job)


def _expected_of(driver: Driver, plan: JobPlan, job: JobRow, row: ResultRow) -> Iterator[bytes]:
    """The lines of one chunk that is over. Raises Broken when it ended in a way that its items do not explain."""
    items = range(row.item_start, row.item_start + row.item_count)
    if row.state is ChunkState.FAILED:
        if row.fault is None:
            raise Broken(f"chunk {row.chunk_id} failed without a reason", job.job_key, row.chunk_id)
        _check_evidence(driver, plan, job, row)
        line = fault_line(row.fault.code, row.fault.message)
        for item in items:
            if driver.scenario.strict and line != plan.expected(item):
                raise Broken(f"item {item} ended as {line.decode()}", job.job_key, row.chunk_id)
            yield line
        return
    liar = driver.lies.get(_answered_by(row))
    if liar is not None and plan.quorum > 1:
        raise Broken(f"the lie of {liar} was believed", job.job_key, row.chunk_id)
    for place, item in enumerate(items):
        if liar is None and plan.items[item].do in BAD:
            raise Broken(f"item {item} can have no answer and has one", job.job_key, row.chunk_id)
        yield plan.expected(item, sent=True) if liar is None else lie_to(place, liar)


def _check_evidence(driver: Driver, plan: JobPlan, job: JobRow, row: ResultRow) -> None:
    """A chunk is given up only after as many errors, or as many attempts, as the job allows. Raises Broken."""
    with driver.world.rows.reading() as tx:
        found = tx.chunk_row(job.job_key, row.chunk_id)
    assert found is not None
    chunk, attempts, retry = found.case.chunk, found.case.attempts, plan.submission.retry
    refused = not attempts and row.item_count == 1 and plan.items[row.item_start].do == "huge"
    errors = sum(each.state is AttemptState.INVALID or each.failure_class in FAULTS_COUNTED for each in attempts)
    tried = sum(each.state not in (AttemptState.DROPPED, AttemptState.ABORTED) for each in attempts)
    enough = errors + chunk.prior_errors >= retry.max_errors or tried + chunk.answers_wanted > retry.max_attempts
    if not refused and not (attempts and enough):
        raise Broken(
            f"chunk {row.chunk_id} was given up after {errors} errors in {tried} attempts", job.job_key, row.chunk_id
        )


def _answered_by(row: ResultRow) -> int:
    """The attempt that the receipt names: a finished head keeps the receipt of the attempt that failed."""
    import base64

    statement = json.loads(base64.b64decode(json.loads(row.envelope)["payload"]))
    return int(statement["attempt_id"])


def _check_completed(driver: Driver, plan: JobPlan, job: JobRow, expected: list[bytes]) -> None:
    world = driver.world
    if len(expected) != len(plan.wanted):
        raise Broken(f"{job.job_id} completed with {len(expected)} of {len(plan.wanted)} items", job.job_key)
    if world.output(job.job_id, OUTPUT) != b"".join(line + b"\n" for line in expected):
        raise Broken(f"output.jsonl of {job.job_id} is not what its chunks say", job.job_key)
    first = plan.submission.range.start if plan.submission.range else 0
    bad = [first + place for place, line in enumerate(expected) if is_error_answer(line)]
    named = [json.loads(line)["item"] for line in world.output(job.job_id, ERRORS).splitlines()]
    if named != bad:
        raise Broken(f"errors.jsonl of {job.job_id} names {named} for {bad}", job.job_key)
    if len(bad) > plan.submission.retry.error_threshold * len(expected):
        raise Broken(f"{job.job_id} completed with {len(bad)} bad items of {len(expected)}", job.job_key)
    folder = world.folder / job.job_id
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        (Path(folder) / name).write_bytes(world.output(job.job_id, name))
    verdict = verify(folder)
    if not verdict.good:
        raise Broken(f"{MANIFEST} of {job.job_id}: {verdict.findings[0].message}", job.job_key)


def _check_failed(driver: Driver, plan: JobPlan, job: JobRow) -> None:
    if not job.reason:
        raise Broken(f"{job.job_id} failed without a reason", job.job_key)
    innocent = all(item.do == "ok" for item in plan.wanted)
    if driver.scenario.strict and innocent:
        raise Broken(f"{job.job_id} failed though all its items are good: {job.reason}", job.job_key)
