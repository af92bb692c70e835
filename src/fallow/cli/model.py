"""fallow model: names that stand for what runs, in /v1 and in job requests."""

from pathlib import Path
from typing import Annotated

import typer

from fallow.cli.job_options import JobOptions, check_what_runs, request_fields, with_job_options
from fallow.cli.options import AsJson, Server, Token, examples
from fallow.cli.showing import note, show_json, show_table
from fallow.core.refusals import Code, Refusal

model = typer.Typer(
    help="Bind names to images, for the OpenAI door and for jobs.",
    epilog=examples("fallow model list"),
    no_args_is_help=True,
    rich_markup_mode=None,
)
_Name = Annotated[str, typer.Argument(metavar="NAME", help="The model's name.", show_default=False)]


def register(app: typer.Typer) -> None:
    app.add_typer(model, name="model")


def add(
    model_name: _Name,
    options: JobOptions,
    endpoint: Annotated[
        list[str], typer.Option(metavar="PATH", help="What it serves; repeatable.", show_default=False)
    ],
    layout: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Instead of --image: an image's OCI layout, on the server.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="A model of this name gives way.")] = False,
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Add a model: requests for NAME run so from now on. The image is looked up now and stays what it is now."""
    from fallow.sdk.client import Client

    fields = {member: value for member, value in request_fields(options).items() if value is not None}
    if layout is not None:
        if options.image:
            raise Refusal(Code.BAD_REQUEST, "Both --image and --layout are given.", "Give one of them.")
        fields["container_image"] = f"oci:{layout.absolute()}"
    else:
        check_what_runs(options)
    with Client(server, token) as client:
        made = client.add_model(model_name, endpoint, fields, replace)
    if as_json:
        show_json(made)
        return
    typer.echo(made.name)
    note(f"It serves {', '.join(made.endpoints)} with {made.image or 'a command'}.")


model.command(
    epilog=examples(
        "fallow model add tiny-chat --image ghcr.io/acme/chat:1 --contract http --endpoint /v1/chat/completions",
        "fallow model add upper --engine process --endpoint /v1/x/upper -- python3 upper.py",
    )
)(with_job_options(add))


@model.command("list", epilog=examples("fallow model list"))
def listed(server: Server = None, token: Token = None, as_json: AsJson = False) -> None:
    """List the models that serve."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        found = client.models()
    if as_json:
        show_json({"models": [each.model_dump(mode="json") for each in found]})
        return
    rows = ((each.name, " ".join(each.endpoints), each.image or "a command", each.created_at) for each in found)
    show_table(("model", "endpoints", "image", "added"), rows, "There are no models.")


@model.command(epilog=examples("fallow model show tiny-chat"))
def show(name: _Name, server: Server = None, token: Token = None) -> None:
    """Show one model with its template, as JSON."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        show_json(client.model(name))


@model.command(epilog=examples("fallow model remove tiny-chat"))
def remove(name: _Name, server: Server = None, token: Token = None) -> None:
    """Remove a model: it takes no more jobs, and those that it has go on."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        client.remove_model(name)
    typer.echo(f"{name} is removed.")
