"""fallow version."""

from importlib.metadata import version as version_of

import typer

from fallow.cli.options import AsJson, examples
from fallow.cli.showing import show_json


def register(app: typer.Typer) -> None:
    app.command(epilog=examples("fallow version"))(version)


def version(as_json: AsJson = False) -> None:
    """Print fallow's version."""
    import platform

    if as_json:
        show_json({"version": version_of("fallow"), "python": platform.python_version()})
    else:
        typer.echo(f"fallow {version_of('fallow')}")
