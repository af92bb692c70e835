"""fallow doctor: what works on this machine, and what to do about what does not."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from fallow.cli.options import AsJson, examples
from fallow.cli.showing import one_line, show_json

_MARKS = {"ok": "ok", "warn": "warning", "fail": "FAILS", "info": "note"}


def register(app: typer.Typer) -> None:
    app.command(epilog=examples("fallow doctor", "fallow doctor --server https://fallow.example --json"))(doctor)


def doctor(
    server: Annotated[
        str, typer.Option(envvar="FALLOW_SERVER", metavar="URL", help="Also try to reach it.", show_default=False)
    ] = "",
    token: Annotated[
        str, typer.Option(envvar="FALLOW_TOKEN", metavar="KEY", help="Also try this key.", show_default=False)
    ] = "",
    engine: Annotated[
        Literal["podman", "docker", "process"] | None, typer.Option(help="Look at this engine only.")
    ] = None,
    data_dir: Annotated[Path, typer.Option(metavar="DIR", help="The worker's data directory.")] = Path("fallow-worker"),
    allow_process: Annotated[bool, typer.Option("--allow-process", help="Bare commands are fine too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say in plain words what works on this machine as a worker. Exits 1 when something needed does not."""
    from fallow.core.words import Engine
    from fallow.worker.doctor import examine
    from fallow.worker.options import AgentOptions

    options = AgentOptions(
        server=server,
        token=token,
        data_dir=data_dir,
        engine=Engine(engine) if engine else None,
        allow_process=allow_process,
    )
    findings = examine(options)
    failed = any(str(each.verdict) == "fail" for each in findings)
    if as_json:
        show_json({"good": not failed, "findings": [asdict(each) for each in findings]})
    else:
        for each in findings:
            typer.echo(f"{_MARKS.get(str(each.verdict), each.verdict):<8} {each.check}: {one_line(each.message)}")
            if each.remedy:
                typer.echo(f"{'':<8} -> {one_line(each.remedy)}")
    if failed:
        raise typer.Exit(1)
