"""Every command explains itself with an example, and misuse never shows a trace."""

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from fallow.cli.main import app
from tests.cli.command import fallow


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        parts = getattr(command, "commands", None)
        found += [(name, part) for part in parts] if parts else [(name,)]
    return found


def test_the_fixed_names_are_there() -> None:
    names = {words[0] for words in commands()}
    fixed = """run server worker submit jobs job results logs story cancel pause resume rerun delete keys doctor
        verify image sim version"""
    assert names >= {*fixed.split()}


@pytest.mark.parametrize("words", [(), *commands()], ids=" ".join)
def test_help_has_an_example(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.output
    assert " ".join(("fallow", *words)) in shown.output


def test_options_of_a_job_are_the_same_for_run_and_submit() -> None:
    known = get_command(app).commands  # type: ignore[attr-defined]
    shared = {option.name for option in known["run"].params} & {option.name for option in known["submit"].params}
    assert {"image", "verify", "chunk_items", "item_timeout", "command", "overwrite", "env"} <= shared
    assert isinstance(app, typer.Typer)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["jobs", "--server", "http://127.0.0.1:9"], "error [server_unreachable]: "),
        (["jobs", "--server", "not a url"], "error [setting_invalid]: "),
        (["worker"], "error [setting_invalid]: No server is named. "),
        (["server", "--listen", "nowhere"], "error [setting_invalid]: "),
        (["verify"], "Missing argument"),
        (["frobnicate"], "No such command"),
        (["keys", "add", "--scope", "everything"], "Invalid value"),
    ],
)
def test_misuse_is_one_sentence_and_exit_2(argv: list[str], said: str) -> None:
    ran = fallow(*argv)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_debug_shows_where_a_refusal_came_from() -> None:
    ran = fallow("worker", FALLOW_DEBUG="1")
    assert "Traceback" in ran.stderr


def test_version_is_printed() -> None:
    assert fallow("version").stdout.startswith("fallow ")
