"""fallow server: the control plane and its door."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from fallow.cli.options import examples


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples(
            "fallow server --data-dir /var/lib/fallow --listen 0.0.0.0:8420",
            "fallow server --database postgresql://db/fallow --objects s3://bucket/fallow",
        )
    )(server)


def server(
    data_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="Default: fallow-data.")] = None,
    listen: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Default: 127.0.0.1:8420.")] = None,
    public_url: Annotated[
        str | None, typer.Option(metavar="URL", help="How workers reach it, where that differs.")
    ] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="postgresql://... Default: SQLite in the data directory.")
    ] = None,
    objects: Annotated[
        str | None, typer.Option(metavar="URI", help="s3://bucket/prefix. Default: files in the data directory.")
    ] = None,
    allow_root: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="file: inputs and outputs may be under DIR; repeatable.")
    ] = None,
    allow_process: Annotated[
        bool, typer.Option("--allow-process", help="Take jobs without an image, for workers that allow it.")
    ] = False,
    open_door: Annotated[
        bool, typer.Option("--open", help="Let anybody read jobs and workers. For demonstrations.")
    ] = False,
    roles: Annotated[str | None, typer.Option(metavar="LIST", help="What this process does. Default: all.")] = None,
    log_format: Annotated[
        Literal["text", "json"] | None, typer.Option(help="Default: text on a terminal, else json.")
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning"] | None, typer.Option(help="debug: every request and every move.")
    ] = None,
    metrics_listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="A /metrics of its own, for a process without a door.")
    ] = None,
    traces: Annotated[
        str | None, typer.Option(metavar="URL", help="Send OpenTelemetry traces there (OTLP over HTTP).")
    ] = None,
) -> None:
    """Start a server. Prints its URL and, the first time, an admin key. All settings: docs/settings.md."""
    from fallow.settings import load_settings
    from fallow.wiring import serve

    given: dict[str, Any] = {
        "data_dir": data_dir,
        "listen": listen,
        "public_url": public_url,
        "database": database,
        "objects": objects,
        "allowed_roots": tuple(allow_root) if allow_root else None,
        "allow_process_jobs": True if allow_process else None,
        "open": True if open_door else None,
        "roles": roles,
        "log_format": log_format,
        "log_level": log_level,
        "metrics_listen": metrics_listen,
        "traces": traces,
    }
    serve(load_settings(given), _ready)


def _ready(url: str, admin_key: str | None) -> None:
    typer.echo(f"fallow server at {url}")
    if admin_key:
        typer.echo(f"admin key, shown this once: {admin_key}")
