"""fallow logs: what containers wrote to stderr."""

import sys
from typing import Annotated

import typer

from fallow.cli.options import JobId, Server, Token, examples
from fallow.cli.showing import note, one_line
from fallow.core.refusals import Code, Refusal
from fallow.core.words import AttemptState

_FAILED = (AttemptState.ERRORED, AttemptState.LOST, AttemptState.INVALID)


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
    from fallow.sdk.logs import followed, kept

    if failed and follow:
        raise Refusal(
            Code.BAD_REQUEST, "--failed and --follow do not go together: what runs has not failed yet.", "Give one."
        )

    def wanted(number: int, state: str) -> bool:
        return attempt in (None, number) and not (failed and state not in _FAILED)

    with Client(server, token) as client:
        told = (
            followed(client, job_id, chunk, wanted, once=attempt is not None) if follow else kept(client, job_id, chunk)
        )
        for each, pieces in told:
            if not wanted(each.attempt_id, each.state):
                continue
            what = f"chunk {each.chunk_id}, attempt {each.attempt_id}, worker {each.worker_id}: {each.state}"
            note(one_line(f"== {what}" + (f" [{each.code}] {each.message}" if each.message else "")))
            for piece in pieces:
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
