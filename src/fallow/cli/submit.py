"""fallow submit: a job for a server; the input is sent along when the server cannot see it."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fallow.cli.dry_run import show_estimate
from fallow.cli.job_options import JobOptions, check_what_runs, fields_beside, request_fields, with_job_options
from fallow.cli.options import AsJson, Server, Token, examples
from fallow.cli.progress import ProgressShown
from fallow.cli.showing import note, show_json
from fallow.cli.summary import exit_code, show_last_log, show_summary, top_errors
from fallow.core.refusals import Code, Refusal

if TYPE_CHECKING:
    from fallow.sdk.client import Client

_FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".txt": "text",
    ".text": "text",
}


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "fallow submit reviews.jsonl --image my/model:1 --output out/ --wait",
            "fallow submit s3://bucket/in.jsonl --image my/model:1 --output s3://bucket/out/",
            "fallow submit prompts.jsonl --model tiny-chat",
        )
    )(with_job_options(submit))


def submit(
    input: Annotated[
        str, typer.Argument(metavar="INPUT", help="A local file, which is uploaded; or a URI the server can read.")
    ],
    options: JobOptions,
    output: Annotated[
        str | None,
        typer.Option(metavar="URI|DIR", help="A URI the server writes; or a local directory, fetched with --wait."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="A model of the server: what runs, and how, is the model's.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until the job is over.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the job would be, and create none; a local file is sent.")
    ] = False,
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Submit a job to a server and print its id.

    With --wait exits as fallow run does: 0 completed, 1 failed, 3 completed with error lines.
    """
    from fallow.sdk.client import Client

    if model is None:
        check_what_runs(options)
    local = Path(output) if output and not _is_uri(output) else None
    if local and not options.overwrite and (local / "output.jsonl").exists():
        raise Refusal(
            Code.OUTPUT_EXISTS,
            f"There are outputs in {local} already.",
            "Choose another directory, or say --overwrite.",
        )
    started = time.monotonic()
    with Client(server, token) as client:
        fields = request_fields(options) if model is None else fields_beside(model, options)
        fields |= {"output_uri": output if output and not local else None}
        fields |= {"input_uri": input} if _is_uri(input) else _uploaded(client, Path(input), options)
        if dry_run:
            show_estimate(client.estimate(**fields), as_json)
            return
        job_id = client.submit(**fields).job_id
        if not wait:
            _say_submitted(client, job_id, local, as_json)
            return
        with ProgressShown() as shown:
            detail = client.wait(job_id, shown)
        if local and detail.state == "completed":
            client.download(job_id, local, overwrite=options.overwrite)
        if detail.state == "failed":
            show_last_log(client, job_id)
        errors = top_errors(_error_lines(client, job_id)) if detail.progress.error_items else []
    seconds = time.monotonic() - started
    show_summary(detail, errors, seconds, shown.done_here, str(local) if local else output, as_json)
    raise typer.Exit(exit_code(detail))


def _is_uri(text: str) -> bool:
    return "://" in text or text.startswith(("file:", "fallow:"))


def _uploaded(client: "Client", path: Path, options: JobOptions) -> dict[str, Any]:
    if path.is_dir():
        raise Refusal(
            Code.INPUT_UNREADABLE,
            f"{path} is a directory, and only files are uploaded.",
            "Put it where the server can read it and give its s3:// or file: URI.",
        )
    kind = options.format or _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise Refusal(
            Code.INPUT_FORMAT, f"The name {path.name!r} does not tell the input's format.", "Say it with --format."
        )
    shown = sys.stderr.isatty()
    sent = client.upload(path, _show_upload if shown else None)
    if shown:
        note("")
    return {"input_uri": sent.uri, "input_format": kind}


def _show_upload(sent: int, total: int) -> None:
    typer.echo(f"\ruploaded {sent / 1e6:,.1f} of {total / 1e6:,.1f} MB", err=True, nl=False)


def _say_submitted(client: "Client", job_id: str, local: Path | None, as_json: bool) -> None:
    if as_json:
        show_json(client.job(job_id))
        return
    typer.echo(job_id)
    note(f"See it with: fallow job {job_id}")
    if local:
        note(f"When it is done: fallow results {job_id} --output {local}")


def _error_lines(client: "Client", job_id: str) -> list[bytes]:
    """The first of errors.jsonl, from the server; none while there is no such file."""
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        try:
            (path,) = client.download(job_id, directory, ("errors.jsonl",))
        except Refusal:
            return []
        return path.read_bytes().splitlines()
