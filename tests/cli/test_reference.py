"""docs/cli.md is made from the commands and kept fresh; docs/guide.md names only what exists."""

import re
from pathlib import Path

from typer.main import get_command

from fallow.cli.main import app
from fallow.cli.reference import reference

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_fresh() -> None:
    """Stale: python -m fallow.cli.reference > docs/cli.md"""
    assert (DOCS / "cli.md").read_text("utf-8") == reference()


def test_the_guide_uses_commands_and_options_that_exist() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    text = (DOCS / "guide.md").read_text("utf-8").replace("\\\n", " ")
    used = re.findall(r"^ {4}(?:\w+=\S+ )*fallow (\w+)(.*)$", text, re.MULTILINE)
    assert len(used) > 15
    for name, rest in used:
        command = commands[name]
        words = rest.split(" -- ")[0].split()
        if parts := getattr(command, "commands", None):
            command = parts[words[0]]
        known = {spelling for option in command.params for spelling in option.opts}
        assert {word for word in words if word.startswith("--")} <= known, f"fallow {name}{rest}"
