"""Feeds: jobs whose input grows while they run, part by part, until it is closed.

A part is one object of its own; a chunk never reaches from one part into the next, so it is sent as soon as its part
has come. Parts are numbered by whoever feeds: a repeated append is harmless, and one that skipped a number is refused.
"""

import hashlib

from fallow.control.callers import Caller
from fallow.control.places import Places
from fallow.control.refused import no_such_job
from fallow.core.job import Input
from fallow.core.lifecycle import JOB_OVER
from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.core.words import InputFormat, JobKey, Scope
from fallow.store.port import FeedPart, FeedRow, JobRow, Store, Tx

FEED_URI = "feed:"
EXPIRES_SECONDS = 86400  # of a feed whose submitter chose nothing: one that was forgotten must not stay for ever
PARTS_MAX = 1_000_000


class Feeds:
    """What a submitter does with a feed, and where a worker finds its bytes."""

    def __init__(self, store: Store, places: Places) -> None:
        self._store = store
        self._places = places

    def append(self, caller: Caller, job_id: str, number: int, lines: bytes) -> FeedRow:
        """More JSON lines; `number` counts from 0. Raises Refusal NOT_FOUND, BAD_REQUEST or STATE_CONFLICT."""
        with self._store.reading() as tx:
            job, feed = _open(tx, caller, job_id)
            known = tx.feed_part(job.job_key, number)
        if not lines.strip():
            raise Refusal(Code.BAD_REQUEST, "There are no items in the body.", "Send at least one line.")
        key = _part_key(job, number, lines)
        if known is not None:
            return _repeated(known, key, feed)
        _check_next(feed, number)
        self._places.artifacts.put(key, (lines,))
        with self._store.transaction() as tx:
            written = tx.add_feed_part(job.job_key, number, key, len(lines), self._places.clock.now())
            known, feed = tx.feed_part(job.job_key, number), tx.feed(job.job_key) or feed
        if not written:
            _check_next(feed, number)
            return _repeated(known, key, feed)
        return feed

    def close(self, caller: Caller, job_id: str) -> FeedRow:
        """No more will come; what came is finished. Harmless when it is repeated. Raises Refusal NOT_FOUND."""
        with self._store.transaction() as tx:
            job, feed = _feed(tx, caller, job_id)
            tx.close_feed(job.job_key, self._places.clock.now())
            return tx.feed(job.job_key) or feed

    def part_at(self, job_key: JobKey, position: int) -> FeedPart:
        """The part that holds a byte of the whole input. Raises Refusal NOT_FOUND."""
        with self._store.reading() as tx:
            parts = tx.feed_parts(job_key, position, 1)
        if not parts or parts[0].start > position:
            raise Refusal(Code.NOT_FOUND, "This part of the feed is gone.", "Submit the job again.")
        return parts[0]


def feed_input(submission: Submission) -> Input:
    """The input of a feed that has had nothing yet. Raises Refusal BAD_REQUEST for what only a whole input allows."""
    never = {
        "input_uri": submission.input_uri,
        "chunk_range": submission.range,
        "num_chunks": submission.chunking.chunks,
        "plugins.planner": submission.plugins.planner,
    }
    for name, given in never.items():
        if given:
            raise Refusal(
                Code.BAD_REQUEST, f"A feed has no {name}.", "Leave it out, and append items instead.", {"field": name}
            )
    if submission.input_format not in (None, InputFormat.JSONL):
        raise Refusal(Code.INPUT_FORMAT, "The items of a feed are JSON lines.", "Leave input_format out.")
    return Input(FEED_URI, InputFormat.JSONL)


def _part_key(job: JobRow, number: int, lines: bytes) -> str:
    """Other bytes under the same number have another key, so that two who race cannot mix them up."""
    return f"jobs/{job.job_id}/feed/{number}-{hashlib.sha256(lines).hexdigest()[:32]}"


def _feed(tx: Tx, caller: Caller, job_id: str) -> tuple[JobRow, FeedRow]:
    caller.needs(Scope.SUBMIT, Scope.OPERATE)
    job = tx.job(job_id)
    if job is None or not (caller.sees_all or job.account_id == caller.account_id):
        raise no_such_job(job_id)
    feed = tx.feed(job.job_key)
    if feed is None:
        raise Refusal(Code.STATE_CONFLICT, f"The job {job_id} is no feed.", 'Submit a job with "feed": true for that.')
    return job, feed


def _open(tx: Tx, caller: Caller, job_id: str) -> tuple[JobRow, FeedRow]:
    job, feed = _feed(tx, caller, job_id)
    if job.state in JOB_OVER:
        raise Refusal(Code.STATE_CONFLICT, f"The job is {job.state}.", "Submit a new one.")
    return job, feed


def _check_next(feed: FeedRow, number: int) -> None:
    details: dict[str, object] = {"next": feed.parts}
    if feed.closed_at is not None:
        raise Refusal(Code.STATE_CONFLICT, "The feed is closed.", "Submit a new job.", details)
    if number > feed.parts:
        raise Refusal(
            Code.STATE_CONFLICT, f"Append {number} came before append {feed.parts}.", "Send them in order.", details
        )
    if number >= PARTS_MAX:
        raise Refusal(Code.TOO_LARGE, f"A feed has at most {PARTS_MAX:,} parts.", "Submit a new job.", details)


def _repeated(known: FeedPart | None, key: str, feed: FeedRow) -> FeedRow:
    """The same again is no fault. Raises Refusal STATE_CONFLICT for something else under an old number."""
    if known is not None and known.artifact_key == key:
        return feed
    raise Refusal(
        Code.STATE_CONFLICT,
        "Other items were appended under this number.",
        "Count on; does somebody else feed the same job?",
        {"next": feed.parts},
    )
