"""fallow story: every move of a job, and why nothing moves."""

from typing import TYPE_CHECKING, Annotated

import typer

from fallow.cli.options import AsJson, JobId, Server, Token, examples
from fallow.cli.showing import one_line, show_json

if TYPE_CHECKING:
    from fallow.sdk.messages import StoryLine


def register(app: typer.Typer) -> None:
    shown = examples("fallow story job-123", "fallow story job-123 --chunk 42", "fallow story job-123 --follow")
    app.command(epilog=shown)(story)


def story(
    job_id: JobId,
    chunk: Annotated[int | None, typer.Option(min=0, metavar="N", help="Only chunk N and its attempts.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print moves as they happen.")] = False,
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Tell what happened to a job, or to a chunk and its attempts, move by move; and why nothing is sent now, if so."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        if follow:
            for line in client.events(job_id):
                if chunk in (None, line.chunk_id):
                    typer.echo(line.model_dump_json() if as_json else told(line))
            return
        lines = client.story(job_id, chunk)
        if as_json:
            whole = [line.model_dump(mode="json") for line in lines]
            show_json({"lines": whole, "why_waiting": client.why_waiting(job_id)})
            return
        for line in lines:
            typer.echo(told(line))
        for reason in client.why_waiting(job_id):
            typer.echo(f"waits: {one_line(reason)}")


def told(line: "StoryLine") -> str:
    """One move as one line."""
    what = line.kind
    if line.chunk_id is not None:
        what = f"chunk {line.chunk_id}"
    if line.attempt_id is not None:
        what += f" attempt {line.attempt_id}"
    moved = f"{line.from_state or 'new'} -> {line.to_state}"
    cause = f": {line.cause}" if line.cause else ""
    return one_line(f"{line.at}  {what:<22} {moved:<24} {line.event} by {line.by}{cause}")
