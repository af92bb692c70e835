"""fallow account: people, what they may do, and how much of the fleet they get."""

from typing import Annotated, Literal

import typer

from fallow.cli.options import AsJson, Server, Token, examples
from fallow.cli.showing import note, show_json, show_table
from fallow.core.people import Role, roles_of
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Scope

account = typer.Typer(
    help="Make accounts, say what they may do, and divide the fleet between them.",
    epilog=examples("fallow account add 'Ada Lovelace' --email ada@example.org", "fallow account share ada-lovelace 5"),
    no_args_is_help=True,
    rich_markup_mode=None,
)
AccountId = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="As fallow account list shows it.", show_default=False)
]
Roles = Annotated[list[Role] | None, typer.Option("--role", help="What it may do when it signs in; repeatable.")]


def register(app: typer.Typer) -> None:
    app.add_typer(account, name="account")


@account.command("list", epilog=examples("fallow account list"))
def listed(server: Server = None, token: Token = None, as_json: AsJson = False) -> None:
    """List accounts: all of them for operators, their own for others."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        found = list(client.accounts())
    if as_json:
        show_json({"accounts": [each.model_dump(mode="json") for each in found]})
        return
    total = sum(each.share for each in found if each.disabled_at is None)
    rows = (
        (
            each.account_id,
            each.name,
            each.email,
            ", ".join(roles_of(frozenset(Scope(word) for word in each.scopes))),
            each.submit_right,
            f"{each.share:g} ({100 * each.share / total:.0f} %)" if each.disabled_at is None else "disabled",
        )
        for each in found
    )
    show_table(("account", "name", "e-mail", "roles", "may submit", "share"), rows, "There are no accounts.")


@account.command(
    epilog=examples(
        "fallow account add 'Ada Lovelace' --email ada@example.org",
        "fallow account add Ops --email ops@example.org --role operator",
    )
)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The person's name.", show_default=False)],
    email: Annotated[str | None, typer.Option(metavar="ADDRESS", help="To sign in with, and for notices.")] = None,
    role: Roles = None,
    account_id: Annotated[str | None, typer.Option("--id", metavar="ID", help="Default: made of the name.")] = None,
    share: Annotated[
        float, typer.Option(metavar="NUMBER", help="Its weight when the fleet is wanted by several.")
    ] = 1.0,
    submit: Annotated[
        Literal["all", "granted", "none"], typer.Option(help="Which applications it may submit for.")
    ] = "all",
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Make an account. With an e-mail address, it prints the link that lets its owner choose a password."""
    from fallow.sdk.client import Client

    fields = {"email": email, "account_id": account_id, "share": share, "submit_right": submit}
    scopes = [each.scope.value for each in role or [Role.SUBMITTER]]
    with Client(server, token) as client:
        made = client.add_account(
            name, scopes=scopes, **{key: value for key, value in fields.items() if value is not None}
        )
        link = client.password_link(made.account_id) if made.email else None
    if as_json:
        show_json({**made.model_dump(mode="json"), "password_link": link.url if link else None})
        return
    typer.echo(made.account_id)
    if link:
        typer.echo(link.url)
        note(f"Send {made.name} this link: it sets the password, once, until {link.expires_at}.")
    else:
        note("Without an e-mail address it signs in with keys:")
        note(f"fallow keys add --account {made.account_id} --scope submit")


@account.command(epilog=examples("fallow account password ada-lovelace"))
def password(account_id: AccountId, server: Server = None, token: Token = None) -> None:
    """Print a link that lets the account's owner choose a new password, once."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        link = client.password_link(account_id)
    typer.echo(link.url)
    note(f"It is good until {link.expires_at}, or until it was used.")


@account.command(
    epilog=examples(
        "fallow account grant ada-lovelace ghcr.io/org/model",
        "fallow account grant ada-lovelace --all",
        "fallow account grant ada-lovelace ghcr.io/org/model --revoke",
    )
)
def grant(
    account_id: AccountId,
    application: Annotated[
        str | None, typer.Argument(metavar="APPLICATION", help="A model's name, or an image without its tag.")
    ] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take it back.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All applications; with --revoke: none.")] = False,
    server: Server = None,
    token: Token = None,
) -> None:
    """Let an account submit jobs for an application, or for all."""
    from fallow.sdk.client import Client

    if everything == (application is not None):
        raise Refusal(Code.BAD_REQUEST, "Neither or both are named.", "Give an application, or --all.")
    with Client(server, token) as client:
        if application is None:
            client.change_account(account_id, submit_right="none" if revoke else "all")
        elif revoke:
            client.remove_grant(account_id, application)
        else:
            client.add_grant(account_id, application)
            if client.account(account_id).submit_right != "granted":
                client.change_account(account_id, submit_right="granted")
        right = client.account(account_id).submit_right
        granted = [each.application for each in client.grants(account_id)]
    said = {"all": "all applications", "none": "no application"}.get(right, ", ".join(granted) or "no application yet")
    typer.echo(f"{account_id} may submit for {said}.")


@account.command(epilog=examples("fallow account share ada-lovelace 5"))
def share(
    account_id: AccountId,
    weight: Annotated[
        float, typer.Argument(metavar="NUMBER", help="5 gets five times as much as 1.", show_default=False)
    ],
    server: Server = None,
    token: Token = None,
) -> None:
    """Say how much of the fleet an account gets while others want it too."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        client.change_account(account_id, share=weight)
        total = sum(each.share for each in client.accounts() if each.disabled_at is None)
    typer.echo(f"{account_id} gets {100 * weight / total:.0f} % while everybody wants the fleet.")


@account.command(epilog=examples("fallow account disable ada-lovelace", "fallow account disable ada-lovelace --undo"))
def disable(
    account_id: AccountId,
    undo: Annotated[bool, typer.Option("--undo", help="Enable it again.")] = False,
    server: Server = None,
    token: Token = None,
) -> None:
    """Shut an account out: its keys and sessions open nothing any more. Its jobs stay."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        client.change_account(account_id, disabled=not undo)
    typer.echo(f"{account_id} is {'enabled' if undo else 'disabled'}.")
