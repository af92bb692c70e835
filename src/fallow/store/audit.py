"""What must always hold of a job's rows, checked by counting again and by replaying its story.

For tests and the simulator: it reads everything.
"""

from collections import Counter
from collections.abc import Iterator

from fallow.core.lifecycle import (
    ATTEMPT,
    ATTEMPT_OVER,
    CHUNK,
    JOB,
    AttemptEvent,
    ChunkEvent,
    JobEvent,
)
from fallow.core.progress import COUNTER_NAMES, Counters
from fallow.core.transition import FAULTS_COUNTED
from fallow.core.words import AttemptId, AttemptState, ChunkState, JobKey, JobState, Kind
from fallow.store.port import AttemptRow, ChunkRow, StoryRow, Tx

PAGE = 1000


def problems(tx: Tx, job_key: JobKey) -> list[str]:
    """What is wrong with a job's rows, a sentence each; empty when all is well."""
    row = tx.job_by_key(job_key)
    if row is None:
        return [f"there is no job {job_key}"]
    chunks, attempts = list(_chunks(tx, job_key)), list(_attempts(tx, job_key))
    counted = recount(chunks, attempts)
    found = [
        f"{name} is {getattr(row.counters, name)}, counted {getattr(counted, name)}"
        for name in COUNTER_NAMES
        if getattr(row.counters, name) != getattr(counted, name)
    ]
    states: dict[tuple[Kind, int], str] = {(Kind.JOB, job_key): row.state}
    states.update(((Kind.CHUNK, each.case.chunk.chunk_id), each.case.chunk.state) for each in chunks)
    states.update(((Kind.ATTEMPT, each.attempt.attempt_id), each.attempt.state) for each in attempts)
    return found + _untold(states, list(_story(tx, job_key)))


def recount(chunks: list[ChunkRow], attempts: list[AttemptRow]) -> Counters:
    """The counters as the rows themselves have it."""
    of_chunks = Counter(each.case.chunk.state for each in chunks)
    of_attempts = Counter(each.attempt.state for each in attempts)
    errors = {each.attempt.attempt_id: each.attempt.item_errors for each in attempts}
    items: Counter[ChunkState] = Counter()
    done_errors = 0
    for each in chunks:
        chunk = each.case.chunk
        items[chunk.state] += chunk.item_count
        if chunk.state is ChunkState.DONE and chunk.canonical_id is not None:
            done_errors += errors[chunk.canonical_id]
    return Counters(
        items_total=sum(items.values()) - items[ChunkState.SPLIT],
        items_done=items[ChunkState.DONE],
        items_error=done_errors,
        items_failed=items[ChunkState.FAILED],
        **{f"chunks_{state}": of_chunks[state] for state in ChunkState},
        attempts_queued=of_attempts[AttemptState.QUEUED],
        attempts_leased=of_attempts[AttemptState.LEASED],
        attempts_over=sum(of_attempts[state] for state in ATTEMPT_OVER),
        attempts_errored=sum(_is_counted_error(each) for each in attempts),
        attempts_lost=of_attempts[AttemptState.LOST],
        attempts_invalid=of_attempts[AttemptState.INVALID],
    )


def _is_counted_error(row: AttemptRow) -> bool:
    attempt = row.attempt
    return attempt.state is AttemptState.ERRORED and attempt.failure_class in FAULTS_COUNTED


def _untold(states: dict[tuple[Kind, int], str], story: list[StoryRow]) -> list[str]:
    """Where the story breaks a table, or does not end where the rows are."""
    found: list[str] = []
    told: dict[tuple[Kind, int], str] = {}
    for row in story:
        thing = (row.kind, _number(row))
        if told.get(thing, "") != row.from_state:
            found.append(f"story {row.story_id}: {thing} was {told.get(thing, '')!r}, not {row.from_state!r}")
        if not _lawful(row):
            found.append(f"story {row.story_id}: {row.from_state!r} --{row.event}--> {row.to_state!r} is in no table")
        told[thing] = row.to_state
    for thing in states.keys() | told.keys():
        if states.get(thing) != told.get(thing):
            found.append(f"{thing} is {states.get(thing)}, its story ends with {told.get(thing)}")
    return found


def _number(row: StoryRow) -> int:
    number = {Kind.JOB: row.job_key, Kind.CHUNK: row.chunk_id, Kind.ATTEMPT: row.attempt_id}[row.kind]
    assert number is not None
    return number


def _lawful(row: StoryRow) -> bool:
    before = row.from_state or None
    if row.kind is Kind.JOB:
        return JOB.get((JobState(before) if before else None, JobEvent(row.event))) == row.to_state
    if row.kind is Kind.CHUNK:
        return CHUNK.get((ChunkState(before) if before else None, ChunkEvent(row.event))) == row.to_state
    return ATTEMPT.get((AttemptState(before) if before else None, AttemptEvent(row.event))) == row.to_state


def _chunks(tx: Tx, job_key: JobKey) -> Iterator[ChunkRow]:
    after = -1
    while page := tx.chunk_rows(job_key, after, PAGE):
        yield from page
        after = page[-1].case.chunk.chunk_id


def _attempts(tx: Tx, job_key: JobKey) -> Iterator[AttemptRow]:
    after = AttemptId(0)
    while page := tx.attempts_of_job(job_key, after, PAGE):
        yield from page
        after = page[-1].attempt.attempt_id


def _story(tx: Tx, job_key: JobKey) -> Iterator[StoryRow]:
    after = 0
    while page := tx.job_events(after, PAGE, job_key):
        yield from page
        after = page[-1].story_id
