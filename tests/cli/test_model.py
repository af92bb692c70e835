"""fallow model: a name is bound, listed, shown, used by a batch, and removed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fallow.settings import Settings
from fallow.wiring import EmbeddedServer, start_embedded
from tests.cli.command import fallow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    made = start_embedded(Settings(data_dir=tmp_path_factory.mktemp("server"), allow_process_jobs=True))
    yield made
    made.stop()


def test_the_life_of_a_model(server: EmbeddedServer, tmp_path: Path) -> None:
    env = {"FALLOW_SERVER": server.url, "FALLOW_TOKEN": server.admin_key}
    options = ("--endpoint", "/v1/x/up", "--engine", "process", "--chunk-items", "3", "--item-timeout", "5s")
    command = ("--", "cat", "-u")
    added = fallow("model", "add", "org/up", *options, *command, **env)
    assert (added.returncode, added.stdout) == (0, "org/up\n"), added.stderr
    assert "serves /v1/x/up with a command" in added.stderr
    again = fallow("model", "add", "org/up", *options, *command, **env)
    assert again.returncode == 2
    assert "already_exists" in again.stderr
    replaced = fallow("model", "add", "org/up", *options, "--priority", "3", "--replace", "--json", *command, **env)
    assert json.loads(replaced.stdout)["job"]["priority"] == 3
    shown = json.loads(fallow("model", "show", "org/up", **env).stdout)
    assert (shown["job"]["command"], shown["job"]["chunk_items"]) == (["cat", "-u"], 3)
    assert shown["job"]["limits"] == {"item_timeout_seconds": 5.0}
    assert fallow("model", "list", **env).stdout.split("\t")[:2] == ["org/up", "/v1/x/up"]
    listed = json.loads(fallow("model", "list", "--json", **env).stdout)["models"]
    assert [each["name"] for each in listed] == ["org/up"]
    (tmp_path / "in.jsonl").write_text('{"n": 1}\n')
    sent = fallow("submit", tmp_path / "in.jsonl", "--model", "org/up", "--priority", "5", "--json", **env)
    assert sent.returncode == 0, sent.stderr
    spec = json.loads(sent.stdout)["spec"]
    assert (spec["command"], spec["priority"]) == (["cat", "-u"], 5), "the model's, and what was said beside it"
    nobody = fallow("submit", tmp_path / "in.jsonl", "--model", "org/down", **env)
    assert (nobody.returncode, "org/down" in nobody.stderr) == (2, True)
    assert fallow("model", "remove", "org/up", **env).stdout == "org/up is removed.\n"
    gone = fallow("model", "show", "org/up", **env)
    assert gone.returncode == 2
    assert "not_found" in gone.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "There is nothing to run"),
        (("--image", "x", "--layout", "y"), "Give one of them"),
        (("--layout", "/nowhere"), "image_"),
        (("--engine", "process", "--job-id", "x", "--", "cat"), "job_id"),
    ],
)
def test_a_model_that_could_not_run_is_refused(server: EmbeddedServer, words: tuple[str, ...], says: str) -> None:
    env = {"FALLOW_SERVER": server.url, "FALLOW_TOKEN": server.admin_key}
    refused = fallow("model", "add", "new", "--endpoint", "/v1/x/new", *words, **env)
    assert refused.returncode == 2
    assert says in refused.stderr
