"""fallow boinc: keys with which BOINC clients join, and the machines that did."""

from typing import Annotated

import typer

from fallow.cli import boinc_work
from fallow.cli.options import AsJson, Server, Token, examples
from fallow.cli.showing import note, show_json, show_table

boinc = typer.Typer(
    help="Attach BOINC clients, and see the machines that did.",
    epilog=examples("fallow boinc key", "fallow boinc worker-key 'lab machine 7'", "fallow boinc hosts"),
    no_args_is_help=True,
    rich_markup_mode=None,
)
Account = Annotated[str | None, typer.Option(metavar="ID", help="Whose, for operators. Default: yours.")]


def register(app: typer.Typer) -> None:
    boinc_work.register(boinc)
    app.add_typer(boinc, name="boinc")


@boinc.command(epilog=examples("fallow boinc key", "fallow boinc key --account ada", "fallow boinc key --renew"))
def key(
    account: Account = None,
    renew: Annotated[bool, typer.Option("--renew", help="Make another; the old one opens nothing any more.")] = False,
    weak: Annotated[bool, typer.Option("--weak", help="Print the weak key alone: it may only compute.")] = False,
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Print the command that attaches a BOINC client to an account. Whoever has the key may submit in its name."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        found = client.renew_boinc_key(account) if renew else client.boinc_key(account)
    if as_json:
        show_json(found)
        return
    typer.echo(found.weak_key if weak else found.attach)


@boinc.command("worker-key", epilog=examples("fallow boinc worker-key 'lab machine 7'"))
def worker_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The machine's name.", show_default=False)],
    account: Account = None,
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Make a key for one machine, and print the command that attaches it. The first machine that uses it keeps it."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        made = client.add_worker_key(name, account)
    if as_json:
        show_json(made)
        return
    typer.echo(made.attach)
    note(f"Key {made.key_id} only computes, and only on the first machine that uses it. It is not shown again.")


@boinc.command("worker-keys", epilog=examples("fallow boinc worker-keys"))
def worker_keys(account: Account = None, server: Server = None, token: Token = None, as_json: AsJson = False) -> None:
    """List the keys of single machines."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        found = client.worker_keys(account)
    if as_json:
        show_json({"keys": [each.model_dump(mode="json") for each in found]})
        return
    rows = ((each.key_id, each.name, each.host_id or "nobody yet", each.created_at) for each in found)
    show_table(("key", "machine", "host", "made"), rows, "There are no keys of single machines.")


@boinc.command("revoke-worker-key", epilog=examples("fallow boinc revoke-worker-key 0123456789ab"))
def revoke_worker_key(
    key_id: Annotated[
        str, typer.Argument(metavar="KEY_ID", help="As fallow boinc worker-keys shows it.", show_default=False)
    ],
    account: Account = None,
    server: Server = None,
    token: Token = None,
) -> None:
    """Revoke a machine's key: the machine gets no work any more."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        client.revoke_worker_key(key_id, account)
    typer.echo(f"{key_id} is revoked.")


@boinc.command(epilog=examples("fallow boinc hosts", "fallow boinc hosts --account ada --json"))
def hosts(
    account: Account = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most, newest first.")] = 100,
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List machines with a BOINC client: all of them for operators, their own for others."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        found = client.boinc_hosts(account, limit)
    if as_json:
        show_json({"hosts": [each.model_dump(mode="json") for each in found]})
        return
    rows = (
        (
            each.host_id,
            each.name,
            each.account_id,
            each.label,
            each.os,
            each.client,
            each.called_at,
            f"{each.credit_total:,.0f}",
            f"{each.images_trusted} of {each.images}",
        )
        for each in found
    )
    columns = ("host", "name", "account", "label", "system", "client", "last call", "credit", "trusted with images")
    show_table(columns, rows, "No BOINC client has joined yet.")
