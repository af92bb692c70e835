"""fallow logs: what containers wrote to stderr."""

import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from fallow.cli.options import JobId, Server, Token, examples
from fallow.cli.showing import note, one_line
from fallow.core.lifecycle import JOB_OVER
from fallow.core.refusals import Code, Refusal
from fallow.core.words import AttemptState, JobState
from fallow.protocols.rest.jobs import AttemptView

if TYPE_CHECKING:
    from fallow.sdk.client import Client

_FAILED = (AttemptState.ERRORED, AttemptState.LOST, AttemptState.INVALID)
_LOOK_SECONDS = 1.0


def register(app: typer.Typer) -> None:
    words = ("fallow logs job-123 --failed", "fallow logs job-123 --chunk 7", "fallow logs job-123 --follow")
    app.command(epilog=examples(*words))(logs)


def logs(
    job_id: JobId,
    chunk: Annotated[int | None, typer.Option(min=0, metavar="N", help="Only attempts at chunk N.")] = None,
    attempt: Annotated[int | None, typer.Option(min=0, metavar="N", help="Only attempt N.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only attempts that failed.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job is over, with what runs as it writes.")
    ] = False,
    server: Server = None,
    token: Token = None,
) -> None:
    """Print the logs of a job's attempts, oldest first. Headings go to stderr.

    With --follow one running attempt is followed to its end before the next is printed.
    """
    from fallow.sdk.client import Client

    if failed and follow:
        raise Refusal(
            Code.BAD_REQUEST, "--failed and --follow do not go together: what runs has not failed yet.", "Give one."
        )

    def wanted(each: AttemptView) -> bool:
        return attempt in (None, each.attempt_id) and not (failed and each.state not in _FAILED)

    with Client(server, token) as client:
        if follow:
            _follow(client, job_id, chunk, wanted, once=attempt is not None)
            return
        for each in client.attempts(job_id, chunk):
            if wanted(each) and (each.log_size_bytes or each.message):
                _head(each)
                if each.log_size_bytes:
                    _write(client.log(job_id, each.attempt_id))


def _follow(
    client: "Client", job_id: str, chunk: int | None, wanted: Callable[[AttemptView], bool], *, once: bool
) -> None:
    """Until the job is over. once: a single attempt is wanted, and its end is enough."""
    known, shown = 0, set[int]()
    while True:
        over = JobState(client.job(job_id, chunks=0).state) in JOB_OVER
        told = waits = False
        for each in client.attempts(job_id, chunk, known):
            if each.state == AttemptState.QUEUED:
                waits = True
            elif each.attempt_id not in shown:
                shown.add(each.attempt_id)
                if wanted(each):
                    told |= _told(client, job_id, each)
                    if once:
                        return
            if not waits:  # all up to here are told
                known = each.attempt_id
                shown.discard(known)
        if over:
            return
        if not told:
            time.sleep(_LOOK_SECONDS)


def _told(client: "Client", job_id: str, each: AttemptView) -> bool:
    """Whether there was anything to tell."""
    if each.state != AttemptState.LEASED and not (each.log_size_bytes or each.message):
        return False
    _head(each)
    if each.state == AttemptState.LEASED or each.log_size_bytes:
        _write(client.follow_log(job_id, each.attempt_id))
    return True


def _head(each: AttemptView) -> None:
    what = f"chunk {each.chunk_id}, attempt {each.attempt_id}, worker {each.worker_id}: {each.state}"
    note(one_line(f"== {what}" + (f" [{each.code}] {each.message}" if each.message else "")))


def _write(pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
