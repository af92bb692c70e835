"""fallow admin: what an operator does on the server itself, with its database and data directory."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from fallow.cli.options import AsJson, examples
from fallow.cli.showing import many, note, show_json
from fallow.core.refusals import Code, Refusal
from fallow.settings import Settings, load_settings

_VARIABLE = "FALLOW_KEY_PASSPHRASE"

admin = typer.Typer(
    help="The BOINC signing key: back it up, bring it, sign programs offline. Run these where the server runs.",
    epilog=examples("fallow admin boinc-key-status", "fallow admin backup-boinc-key /media/stick/boinc-key.pem"),
    no_args_is_help=True,
    rich_markup_mode=None,
)

DataDir = Annotated[Path | None, typer.Option(metavar="DIR", help="The server's. Default: fallow-data.")]
Database = Annotated[
    str | None, typer.Option(metavar="URL", help="The server's. Default: SQLite in the data directory.")
]
Objects = Annotated[str | None, typer.Option(metavar="URI", help="The server's. Default: files there.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Of programs and signatures.", show_default=False)]
Encrypt = Annotated[bool, typer.Option("--encrypt", help=f"Ask for a passphrase, or take {_VARIABLE}.")]


def register(app: typer.Typer) -> None:
    app.add_typer(admin, name="admin")


@admin.command("boinc-key-status", epilog=examples("fallow admin boinc-key-status"))
def boinc_key_status(
    data_dir: DataDir = None, database: Database = None, objects: Objects = None, as_json: AsJson = False
) -> None:
    """Show where the key is, whether it was backed up, and what waits for a signature."""
    from fallow.wiring.boinc_admin import open_desk

    with open_desk(_settings(data_dir, database, objects)) as desk:
        status = desk.status()
    if as_json:
        names = ("fingerprint", "is_private_here", "is_backed_up", "signs_offline", "version", "unsigned", "warning")
        show_json({name: getattr(status, name) for name in names})
        return
    typer.echo(f"key          {status.fingerprint or 'none'}")
    typer.echo(f"private half {'in the database' if status.is_private_here else 'not here'}")
    if status.is_private_here:
        typer.echo(f"backed up    {'yes' if status.is_backed_up else 'no'}")
    typer.echo(f"signing      {'offline' if status.signs_offline else 'by the server'}")
    typer.echo(f"unsigned     {many(status.unsigned, 'program')}")
    if status.warning:
        note(status.warning)


@admin.command(
    "backup-boinc-key", epilog=examples("fallow admin backup-boinc-key /media/stick/boinc-key.pem --encrypt")
)
def backup_boinc_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.", show_default=False)],
    encrypt: Encrypt = False,
    data_dir: DataDir = None,
    database: Database = None,
    objects: Objects = None,
) -> None:
    """Write the whole key to a file that only you can read. Keep it where the server is not."""
    from fallow.wiring.boinc_admin import open_desk

    passphrase = _new_passphrase() if encrypt else ""
    with open_desk(_settings(data_dir, database, objects)) as desk:
        fingerprint = desk.back_up(file, passphrase)
    typer.echo(f"{file} holds key {fingerprint}.")
    if not encrypt:
        note("It is not encrypted: whoever reads it can run programs on every volunteer's machine.")


@admin.command(
    "restore-boinc-key",
    epilog=examples(
        "fallow admin restore-boinc-key /media/stick/boinc-key.pem",
        "fallow admin restore-boinc-key keys/code_sign_private",
    ),
)
def restore_boinc_key(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A backup, or a BOINC project's code_sign_private or code_sign_public.",
            show_default=False,
        ),
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace another key, which attached clients trust.")
    ] = False,
    old_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="That key, if it is not here: then clients follow.")
    ] = None,
    data_dir: DataDir = None,
    database: Database = None,
    objects: Objects = None,
) -> None:
    """Bring a key: from a backup, or from a BOINC project that moves here and keeps its volunteers.

    Another key is replaced only with --replace. If its private half is here or given, it vouches for the new one and
    clients follow by themselves; else every volunteer must remove the project and add it again.
    """
    from fallow.wiring.boinc_admin import open_desk

    with open_desk(_settings(data_dir, database, objects), make=True) as desk:
        changed = desk.restore(file, _known_passphrase, replace=replace, old=old_key)
        status = desk.status()
    typer.echo(f"key {status.fingerprint} {'is here now' if changed else 'was here already'}.")
    if status.warning:
        note(status.warning)


@admin.command("forget-boinc-private-key", epilog=examples("fallow admin forget-boinc-private-key"))
def forget_boinc_private_key(data_dir: DataDir = None, database: Database = None, objects: Objects = None) -> None:
    """Leave only the public half on the server, once there is a backup: programs are signed offline from now on."""
    from fallow.wiring.boinc_admin import open_desk

    with open_desk(_settings(data_dir, database, objects)) as desk:
        done = desk.keys.forget_private()
    typer.echo("The private half is gone from the database." if done else "The private half was not here.")
    if done:
        note("Older backups of the database still hold it.")


@admin.command("make-boinc-key", epilog=examples("fallow admin make-boinc-key boinc-key.pem --encrypt"))
def make_boinc_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; FILE.public too.", show_default=False)],
    encrypt: Encrypt = False,
) -> None:
    """Make a key on a machine that is not online. Needs no server. Bring FILE.public to the server."""
    from fallow.wiring.boinc_admin import make_key

    fingerprint = make_key(file, _new_passphrase() if encrypt else "")
    typer.echo(f"{file} holds key {fingerprint}; bring {file}.public to the server.")


@admin.command("boinc-unsigned", epilog=examples("fallow admin boinc-unsigned /media/stick/programs"))
def boinc_unsigned(
    folder: Folder, data_dir: DataDir = None, database: Database = None, objects: Objects = None
) -> None:
    """Write the programs that wait for a signature into a folder."""
    from fallow.wiring.boinc_admin import open_desk

    with open_desk(_settings(data_dir, database, objects)) as desk:
        found = desk.write_unsigned(folder)
    for each in found:
        typer.echo(f"{each.sha256}  {each.name}")
    note(f"{many(len(found), 'program')} to sign.")


@admin.command("boinc-sign", epilog=examples("fallow admin boinc-sign /media/stick/programs --key boinc-key.pem"))
def boinc_sign(
    folder: Folder,
    key: Annotated[Path, typer.Option(metavar="FILE", help="The private key's file.", show_default=False)],
    any_program: Annotated[
        bool, typer.Option("--any", help="Also programs that this release would not build.")
    ] = False,
) -> None:
    """Sign every program in a folder. Needs no server and no network.

    Each must be what this release itself builds, so that nothing else is signed when somebody broke into the server.
    """
    from fallow.wiring.boinc_admin import sign_folder

    done = sign_folder(folder, key, _known_passphrase, any_program=any_program)
    for each in done:
        typer.echo(f"{each.sha256}  {each.name}")
    note(f"{many(len(done), 'program')} signed.")


@admin.command(
    "boinc-install-signatures", epilog=examples("fallow admin boinc-install-signatures /media/stick/programs")
)
def boinc_install_signatures(
    folder: Folder, data_dir: DataDir = None, database: Database = None, objects: Objects = None
) -> None:
    """Put in signatures that were made offline. Each is checked first; clients get the programs seconds later."""
    from fallow.wiring.boinc_admin import open_desk

    with open_desk(_settings(data_dir, database, objects)) as desk:
        done = desk.install_signatures(folder)
        left = desk.status().unsigned
    typer.echo(f"{many(len(done), 'signature')} put in; {many(left, 'program')} still unsigned.")


def _settings(data_dir: Path | None, database: str | None, objects: str | None) -> Settings:
    given: dict[str, Any] = {"data_dir": data_dir, "database": database, "objects": objects}
    return load_settings(given)


def _new_passphrase() -> str:
    return os.environ.get(_VARIABLE) or str(typer.prompt("passphrase", hide_input=True, confirmation_prompt=True))


def _known_passphrase() -> str:
    given = os.environ.get(_VARIABLE) or str(typer.prompt("passphrase", hide_input=True))
    if not given:
        raise Refusal(Code.BAD_REQUEST, "The key file is encrypted.", f"Give its passphrase, or set {_VARIABLE}.")
    return given
