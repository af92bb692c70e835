"""fallow keys: API keys."""

from typing import Annotated

import typer

from fallow.cli.options import AsJson, Server, Token, examples, seconds
from fallow.cli.showing import note, show_json, show_table
from fallow.core.words import Scope

keys = typer.Typer(
    help="Make, list and revoke API keys.",
    epilog=examples("fallow keys add --name office --scope work"),
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    app.add_typer(keys, name="keys")


@keys.command("list", epilog=examples("fallow keys list"))
def listed(server: Server = None, token: Token = None, as_json: AsJson = False) -> None:
    """List keys: all of them for operators, their own for others."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        found = client.keys()
    if as_json:
        show_json({"keys": [each.model_dump(mode="json") for each in found]})
        return
    rows = (
        (each.key_id, each.name, each.account_id, ",".join(each.scopes), each.created_at, _condition(each.revoked_at))
        for each in found
    )
    show_table(("key", "name", "account", "scopes", "created", "state"), rows, "There are no keys.")


@keys.command(epilog=examples("fallow keys add --name office --scope work", "fallow keys add --scope submit"))
def add(
    scope: Annotated[list[Scope], typer.Option(help="What it may do; repeatable.", show_default=False)],
    name: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "key",
    account: Annotated[str | None, typer.Option(metavar="ID", help="Whose it is. Default: yours.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="TIME", help="How long it is good, such as 30d.")] = None,
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown this once."""
    from fallow.sdk.client import Client

    lasts = seconds(expires)
    with Client(server, token) as client:
        made = client.add_key(name, scope, account, None if lasts is None else max(1, round(lasts)))
    if as_json:
        show_json(made)
        return
    typer.echo(made.key)
    note(f"Key {made.key_id} may {', '.join(made.scopes)}. It is not shown again.")


@keys.command(epilog=examples("fallow keys revoke 0123456789ab"))
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As fallow keys list shows it.", show_default=False)],
    server: Server = None,
    token: Token = None,
) -> None:
    """Revoke a key: it opens nothing any more."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        client.revoke_key(key_id)
    typer.echo(f"{key_id} is revoked.")


def _condition(revoked_at: str | None) -> str:
    return f"revoked {revoked_at}" if revoked_at else "good"
