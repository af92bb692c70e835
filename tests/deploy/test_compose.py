"""deploy/compose names what exists: settings of the server, files, variables that .env.example explains."""

import re
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from fallow.settings import Settings, load_settings

FOLDER = Path(__file__).parents[2] / "deploy" / "compose"
COMPOSE = (FOLDER / "compose.yaml").read_text("utf-8")
EXAMPLE = dict(re.findall(r"^([A-Z_]+)=(.*)$", (FOLDER / ".env.example").read_text("utf-8"), re.MULTILINE))


def test_every_variable_is_explained_and_used() -> None:
    assert set(re.findall(r"\$\{([A-Z_]+)", COMPOSE)) == set(EXAMPLE)


def test_the_server_starts_with_these_settings(tmp_path: Path) -> None:
    given = {**EXAMPLE, "DB_PASSWORD": "word"}
    said = re.findall(r"^ +FALLOW_([A-Z_]+): (.+)$", COMPOSE, re.MULTILINE)
    named = {name.lower(): re.sub(r"\$\{([A-Z_]+)[^}]*\}", lambda m: given[m[1]], value) for name, value in said}
    assert set(named) <= {each.name for each in fields(Settings)}
    settings = load_settings({**named, "data_dir": tmp_path}, {})
    assert settings.smtp_url == "smtp+plain://relay:25"
    assert settings.database.startswith("postgresql://fallow:word@db/")


@pytest.mark.parametrize("name", re.findall(r"dockerfile: (\S+)", COMPOSE))
def test_the_files_are_there(name: str) -> None:
    assert (FOLDER / Path(name).name).is_file()


def test_the_relays_script_is_a_shell_script() -> None:
    assert subprocess.run(["sh", "-n", FOLDER / "relay.sh"], check=False).returncode == 0
