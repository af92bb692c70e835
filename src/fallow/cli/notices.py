"""fallow webhook and fallow notices: where one is told things, and what one was told."""

from typing import Annotated

import typer

from fallow.cli.options import AsJson, Server, Token, examples
from fallow.cli.showing import note, show_json, show_table
from fallow.core.notices import EVENTS

webhook = typer.Typer(
    help="Programs of yours that are called when something happens.",
    epilog=examples("fallow webhook add deploy https://ci.example.org/hook --event job.completed"),
    no_args_is_help=True,
    rich_markup_mode=None,
)
WebhookId = Annotated[
    str, typer.Argument(metavar="WEBHOOK", help="As fallow webhook list shows it.", show_default=False)
]
Event = Annotated[
    list[str] | None, typer.Option("--event", metavar="KIND", help="What for; repeatable. Default: everything.")
]


def register(app: typer.Typer) -> None:
    app.command(
        epilog=examples("fallow notices", "fallow notices --unread --kind job.failed", "fallow notices --read")
    )(notices)
    app.add_typer(webhook, name="webhook")


def notices(
    kind: Annotated[list[str] | None, typer.Option(metavar="KIND", help="Only these; repeatable.")] = None,
    unread: Annotated[bool, typer.Option("--unread", help="Only those that are not read.")] = False,
    read: Annotated[bool, typer.Option("--read", help="Then all are read.")] = False,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many at most.")] = 50,
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """What you were told, newest first: jobs that ended or need attention, silent workers, a full disk."""
    from itertools import islice

    from fallow.sdk.client import Client

    with Client(server, token) as client:
        found = list(islice(client.notices(kind or (), unread), limit))
        if read:
            client.read_notices()
    if as_json:
        show_json({"notices": [each.model_dump(mode="json") for each in found]})
        return
    rows = ((each.created_at, each.kind, each.title, "" if each.read_at else "unread") for each in found)
    show_table(("when", "kind", "what", ""), rows, "Nothing has happened.")


@webhook.command("list", epilog=examples("fallow webhook list"))
def listed(server: Server = None, token: Token = None, as_json: AsJson = False) -> None:
    """List your webhooks."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        found = list(client.webhooks())
    if as_json:
        show_json({"webhooks": [each.model_dump(mode="json") for each in found]})
        return
    rows = (
        (
            each.webhook_id,
            each.name,
            each.url,
            "everything" if len(each.event_types) == len(EVENTS) else ", ".join(each.event_types),
            "active" if each.enabled else "disabled",
        )
        for each in found
    )
    show_table(("webhook", "name", "address", "for", "state"), rows, "There are no webhooks.")


@webhook.command(epilog=examples("fallow webhook add deploy https://ci.example.org/hook --event job.completed"))
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name for people.", show_default=False)],
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to POST to: https://...", show_default=False)],
    event: Event = None,
    server: Server = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Add a webhook. Its secret is shown this once."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        made = client.add_webhook(name, url, event or ())
    if as_json:
        show_json(made)
        return
    typer.echo(made.secret)
    note(f"{made.webhook_id} is called for {len(made.event_types)} kinds of events. The secret is not shown again.")


@webhook.command(epilog=examples("fallow webhook remove wh_0123456789abcdef01234567"))
def remove(webhook_id: WebhookId, server: Server = None, token: Token = None) -> None:
    """Remove a webhook: nothing is sent there any more."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        client.remove_webhook(webhook_id)
    typer.echo(f"{webhook_id} is removed.")


@webhook.command(epilog=examples("fallow webhook rotate wh_0123456789abcdef01234567"))
def rotate(
    webhook_id: WebhookId,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="The old secret is worthless now, not after 24 hours.")
    ] = False,
    server: Server = None,
    token: Token = None,
) -> None:
    """Give a webhook a new secret, shown this once."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        made = client.rotate_webhook(webhook_id, keep_old=not at_once)
    typer.echo(made.secret)


@webhook.command("test", epilog=examples("fallow webhook test wh_0123456789abcdef01234567 --event job.failed"))
def sample(
    webhook_id: WebhookId,
    event: Annotated[str, typer.Option(metavar="KIND", help="What to send a sample of.")] = "job.completed",
    server: Server = None,
    token: Token = None,
) -> None:
    """Call a webhook now with a sample. Exit code 1 when it did not take it."""
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        result = client.test_webhook(webhook_id, event)
    if not result.delivered:
        note(f"It was not taken: {result.error}")
        raise typer.Exit(1)
    typer.echo(f"It answered {result.status}.")
