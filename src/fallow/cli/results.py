"""fallow results: what a job has produced, while it runs and after."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from fallow.cli.options import JobId, Server, Token, examples
from fallow.cli.showing import note


def register(app: typer.Typer) -> None:
    app.command(epilog=examples("fallow results job-123 --follow", "fallow results job-123 --output out/"))(results)


def results(
    job_id: JobId,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Fetch output.jsonl, errors.jsonl and manifest.json to DIR.")
    ] = None,
    after: Annotated[int, typer.Option(min=-1, metavar="N", help="Print only items behind item N.")] = -1,
    follow: Annotated[
        bool, typer.Option("--follow", help="Print results as they come, until the job is over.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    server: Server = None,
    token: Token = None,
) -> None:
    """Print results as JSON lines {"item", "output"}, or fetch a finished job's files."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        if output is not None:
            for path in client.download(job_id, output, overwrite=overwrite):
                note(f"wrote {path}")
            return
        for line in client.result_lines(job_id, after, follow):
            sys.stdout.buffer.write(line + b"\n")
            if follow:
                sys.stdout.buffer.flush()
