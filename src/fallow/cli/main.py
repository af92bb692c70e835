"""The one command. Exit codes: 0 done, 1 it failed, 2 refused or misused, 3 a job completed with error lines."""

import os
import sys

import typer

from fallow.cli import (
    accounts,
    admin,
    boinc,
    doctor,
    image,
    job,
    keys,
    logs,
    model,
    notices,
    results,
    run,
    server,
    sim,
    story,
    submit,
    verify,
    version,
    worker,
)
from fallow.core.refusals import Code, Refusal

EXIT_FAILED, EXIT_REFUSED, EXIT_INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="fallow",
    help="Batch AI inference on idle machines: chunks in containers, results you can prove.",
    epilog="\b\nExamples:\n  fallow run reviews.jsonl --image my/model:1 --output out/\n  fallow verify out/",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (
    run,
    submit,
    job,
    results,
    logs,
    story,
    verify,
    server,
    worker,
    doctor,
    admin,
    keys,
    accounts,
    model,
    notices,
    boinc,
    image,
    sim,
    version,
):
    part.register(app)


def main() -> None:
    """Runs the command. A refusal is one line on stderr; FALLOW_DEBUG=1 shows where it came from."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except Refusal as refusal:
        _give_up(refusal)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the interpreter complains while it flushes
        sys.exit(EXIT_FAILED)
    except Exception as wrong:  # noqa: BLE001  the top: whatever it was, people get a sentence
        _fail(wrong)


def _give_up(refusal: Refusal) -> None:
    code = refusal.details.get("code", refusal.code) if refusal.code is Code.BAD_REQUEST else refusal.code
    typer.echo(f"error [{code}]: {refusal}", err=True)
    if os.environ.get("FALLOW_DEBUG"):
        raise refusal
    sys.exit(EXIT_REFUSED)


def _fail(wrong: Exception) -> None:
    code, remedy = "internal", "This is a fault of fallow's: run it again with FALLOW_DEBUG=1 and report what it shows."
    if isinstance(wrong, ModuleNotFoundError):
        code, remedy = "not_installed", "Install what this command needs: pip install 'fallow[server]'."
    typer.echo(f"error [{code}]: {type(wrong).__name__}: {wrong}. {remedy}", err=True)
    if os.environ.get("FALLOW_DEBUG"):
        raise wrong
    sys.exit(EXIT_FAILED)
