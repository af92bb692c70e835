"""Logs: of one attempt, followed while it runs; of a job's attempts, one after the other."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from fallow.core.lifecycle import JOB_OVER
from fallow.core.words import AttemptState, JobState
from fallow.protocols.rest.jobs import AttemptView
from fallow.sdk.transport import Transport

if TYPE_CHECKING:
    from fallow.sdk.client import Client

Log = tuple[AttemptView, Iterator[bytes]]
_ATTEMPTS_SECONDS = 1.0
_WAIT_SECONDS = 20
_LOOK_SECONDS = 0.5


def log_pieces(transport: Transport, path: str, follow: bool) -> Iterator[bytes]:
    """What was written, piece by piece; with follow, until the attempt is over. What is missing between two pieces,
    because it came too fast, is told in a line of its own."""
    known = 0
    while True:
        asked = time.monotonic()
        wait = _WAIT_SECONDS if follow else None
        page = transport.send("GET", path, query={"after": known, "wait_seconds": wait})
        start = int(page.headers.get("x-fallow-start", known))
        if page.content and start > known:
            yield b"[fallow: %d bytes of the log are not shown here]\n" % (start - known)
        if page.content:
            yield page.content
        known = int(page.headers.get("x-fallow-next", known))
        if page.headers.get("x-fallow-over") == "true":
            return
        if not page.content and not follow:
            return
        if not page.content and time.monotonic() - asked < _LOOK_SECONDS:  # a server that does not wait
            time.sleep(_LOOK_SECONDS)


def kept(client: "Client", job_id: str, chunk_id: int | None) -> Iterator[Log]:
    """Attempts that have something to tell by now, oldest first."""
    for each in client.attempts(job_id, chunk_id):
        if each.log_size_bytes or each.message:
            yield each, client.log(job_id, each.attempt_id) if each.log_size_bytes else iter(())


def followed(
    client: "Client", job_id: str, chunk_id: int | None, wanted: Callable[[int, str], bool], *, once: bool
) -> Iterator[Log]:
    """The same until the job is over, a running attempt to its end before the next one. wanted: by number and state.
    once: a single attempt is wanted, and its end is enough."""
    after, told = 0, set[int]()
    while True:
        over = JobState(client.job(job_id, chunks=0).state) in JOB_OVER  # before the attempts, so that none is missed
        waits = news = False
        for each in client.attempts(job_id, chunk_id, after):
            if each.state == AttemptState.QUEUED:
                waits = True
            elif each.attempt_id not in told and wanted(each.attempt_id, each.state):
                told.add(each.attempt_id)
                if each.state == AttemptState.LEASED or each.log_size_bytes or each.message:
                    news = True
                    yield each, client.follow_log(job_id, each.attempt_id)
                if once:
                    return
            if not waits:  # all up to here are told
                after = each.attempt_id
                told.discard(after)
        if over:
            return
        if not news:
            time.sleep(_ATTEMPTS_SECONDS)
