"""fallow jobs, job, workers, and the verbs on one job."""

from collections.abc import Callable
from typing import Annotated

import typer

from fallow.cli.options import AsJson, JobId, Server, Token, examples
from fallow.cli.showing import many, one_line, show_json, show_table
from fallow.core.words import JobState

_VERBS = {
    "cancel": "Stop a job. What is finished stays readable.",
    "pause": "Send no more of a job; what runs may finish.",
    "resume": "Go on with a paused job.",
    "rerun": "Run again what is missing or failed of a job, and only that.",
}


def register(app: typer.Typer) -> None:
    app.command(epilog=examples("fallow jobs --state running"))(jobs)
    app.command(epilog=examples("fallow job job-123"))(job)
    app.command(epilog=examples("fallow workers"))(workers)
    for name, says in _VERBS.items():
        app.command(name, help=says, epilog=examples(f"fallow {name} job-123"))(_verb(name))
    app.command(epilog=examples("fallow delete job-123"))(delete)


def jobs(
    state: Annotated[list[JobState] | None, typer.Option(help="Only jobs in this state; repeatable.")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many at most.")] = 50,
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    import itertools

    from fallow.sdk.client import Client

    with Client(server, token) as client:
        found = list(itertools.islice(client.jobs(state or ()), limit))
    if as_json:
        show_json({"jobs": [each.model_dump(mode="json") for each in found]})
        return
    rows = (
        (
            each.job_id,
            each.state,
            f"{each.progress.completed_items}/{each.progress.total_items}",
            each.progress.error_items,
            each.created_at,
            each.name,
        )
        for each in found
    )
    show_table(("job", "state", "items", "errors", "created", "name"), rows, "There are no jobs.")


def job(job_id: JobId, server: Server = None, token: Token = None, as_json: AsJson = False) -> None:
    """Show one job: how far it is, and why it waits."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        detail = client.job(job_id)
    if as_json:
        show_json(detail)
        return
    progress = detail.progress
    facts = {
        "job": detail.job_id,
        "name": detail.name,
        "state": detail.state,
        "reason": detail.reason,
        "items": f"{progress.completed_items:,} of {progress.total_items:,}, {many(progress.error_items, 'error')}",
        "chunks": f"{progress.completed_chunks:,} of {progress.total_chunks:,}",
        "image": detail.container_image,
        "input": detail.input_uri,
        "output": detail.output_uri or "kept by the server: fallow results --output DIR",
        "created": detail.created_at,
        "started": detail.started_at,
        "finished": detail.finished_at,
    }
    for name, value in facts.items():
        if value:
            typer.echo(f"{name:<9}{one_line(value)}")
    for reason in detail.why_waiting:
        typer.echo(f"{'waits':<9}{one_line(reason)}")


def workers(server: Server = None, token: Token = None, as_json: AsJson = False) -> None:
    """List the machines that have joined."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        found = client.workers()
    if as_json:
        show_json({"workers": [each.model_dump(mode="json") for each in found]})
        return
    rows = (
        (each.worker_id, each.name, each.label, _condition(each.alive, each.leaving, each.state), each.attempts_leased)
        for each in found
    )
    show_table(
        ("worker", "name", "label", "state", "attempts"), rows, "No worker has joined. See fallow worker --help."
    )


def delete(job_id: JobId, server: Server = None, token: Token = None) -> None:
    """Remove a job that is over, with everything fallow keeps of it. Outputs at a URI of yours stay."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        client.delete(job_id)
    typer.echo(f"{job_id} is deleted.")


def _verb(name: str) -> Callable[..., None]:
    def verb(job_id: JobId, server: Server = None, token: Token = None, as_json: AsJson = False) -> None:
        from fallow.sdk.client import Client

        with Client(server, token) as client:
            summary = getattr(client, name)(job_id)
        if as_json:
            show_json(summary)
        else:
            typer.echo(f"{summary.job_id} is {summary.state}.")

    return verb


def _condition(alive: bool, leaving: bool, state: str) -> str:
    if not alive:
        return "silent"
    return "leaving" if leaving else state
