"""fallow boinc create-work: BOINC's create_work, for this server."""

import sys

import typer

from fallow.cli.options import AsJson, Server, Token, examples
from fallow.cli.showing import note, show_json


def register(group: typer.Typer) -> None:
    """Into the group `fallow boinc`."""
    group.command(
        "create-work",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": True},
        epilog=examples(
            "fallow boinc create-work --appname blur --wu_template in.xml --result_template out.xml photo1.png",
            "fallow boinc create-work --appname blur --stdin < jobs.txt",
        ),
    )(create_work)


def create_work(context: typer.Context, server: Server = None, token: Token = None, as_json: AsJson = False) -> None:
    """Make jobs as BOINC's create_work does, and print the id of the job that they are items of.

    Takes create_work's options: --appname, --wu_name, --wu_template, --result_template, --command_line, --min_quorum,
    --max_error_results, --max_total_results, --delay_bound, --priority, --remote_file URL NBYTES MD5, --stdin, and then
    the input files. Options that mean nothing here are named in a warning.
    """
    from fallow.sdk.boinc_work import create_work as created
    from fallow.sdk.client import Client

    with Client(server, token) as client:
        made = created(client, context.args, sys.stdin)
    if made.ignored:
        note("These options mean nothing here: " + ", ".join(f"--{name}" for name in made.ignored) + ".")
    if as_json:
        show_json({"job_id": made.job_id, "items": made.items})
        return
    typer.echo(made.job_id)
