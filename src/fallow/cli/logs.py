"""fallow logs: what containers wrote to stderr."""

import sys
from typing import Annotated

import typer

from fallow.cli.options import JobId, Server, Token, examples
from fallow.cli.showing import note, one_line
from fallow.core.words import AttemptState

_FAILED = (AttemptState.ERRORED, AttemptState.LOST, AttemptState.INVALID)


def register(app: typer.Typer) -> None:
    app.command(epilog=examples("fallow logs job-123 --failed", "fallow logs job-123 --chunk 7"))(logs)


def logs(
    job_id: JobId,
    chunk: Annotated[int | None, typer.Option(min=0, metavar="N", help="Only attempts at chunk N.")] = None,
    attempt: Annotated[int | None, typer.Option(min=0, metavar="N", help="Only attempt N.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only attempts that failed.")] = False,
    server: Server = None,
    token: Token = None,
) -> None:
    """Print the logs of a job's attempts, oldest first. Headings go to stderr."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        for each in client.attempts(job_id, chunk):
            if attempt not in (None, each.attempt_id) or (failed and each.state not in _FAILED):
                continue
            if not each.log_size_bytes and not each.message:
                continue
            what = f"chunk {each.chunk_id}, attempt {each.attempt_id}, worker {each.worker_id}: {each.state}"
            note(one_line(f"== {what}" + (f" [{each.code}] {each.message}" if each.message else "")))
            if each.log_size_bytes:
                for piece in client.log(job_id, each.attempt_id):
                    sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
