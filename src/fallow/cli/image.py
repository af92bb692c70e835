"""fallow image build: an image from a small file, without a container engine."""

from pathlib import Path
from typing import Annotated

import typer

from fallow.cli.options import AsJson, examples
from fallow.cli.showing import note, show_json

image = typer.Typer(
    help="Build container images.",
    epilog=examples("fallow image build images/embed/spec.toml -o build/embed"),
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    app.add_typer(image, name="image")


@image.callback()
def group() -> None:
    """Build container images."""  # with a callback, `build` stays a command of its own while it is the only one


@image.command(epilog=examples("fallow image build images/embed/spec.toml -o build/embed"))
def build(
    spec: Annotated[Path, typer.Argument(metavar="SPEC.toml", help="What goes into it.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where the OCI layout goes.", show_default=False)
    ],
    base: Annotated[str | None, typer.Option(envvar="BASE", metavar="BASE", help="Instead of the spec's base.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write an image as a deterministic OCI layout. Needs no container engine and no registry.

    Run it with: fallow run INPUT --image oci:DIR --output OUT
    """
    from fallow.sdk.images.build import build_image

    built = build_image(spec, output, base=base or None, progress=note)
    if as_json:
        show_json(
            {
                "digest": built.digest,
                "image_id": built.image_id,
                "layout": str(built.layout),
                "size_bytes": built.size_bytes,
                "reused": built.reused,
            }
        )
        return
    how = "is up to date" if built.reused else "built"
    typer.echo(f"oci:{output} {how}: {built.digest}, {built.size_bytes / 1e6:.1f} MB")
