"""fallow boinc against a real server: lines that attach a client, keys of single machines, the list of machines."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner, Result

from fallow.cli.main import app
from fallow.core.refusals import Code, Refusal
from fallow.settings import Settings
from fallow.wiring import EmbeddedServer, start_embedded

Run = Callable[..., Result]
REQUEST = Path(__file__).parents[1] / "protocols" / "boinc" / "recorded" / "a_003.call.request"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    started = start_embedded(Settings(data_dir=tmp_path_factory.mktemp("boinc")))
    yield started
    started.stop()


@pytest.fixture
def run(server: EmbeddedServer) -> Run:
    def ran(*words: str, code: int = 0) -> Result:
        env = {"FALLOW_SERVER": server.url, "FALLOW_TOKEN": server.admin_key}
        result = CliRunner().invoke(app, list(words), env=env)
        assert result.exit_code == code, result.output
        return result

    return ran


def attach_line(server: EmbeddedServer, key: str = "[0-9a-f]{32}") -> re.Pattern[str]:
    return re.compile(rf"boinccmd --project_attach {re.escape(server.url)}/boinc/ ({key})\n")


def test_the_line_that_attaches_a_client(run: Run, server: EmbeddedServer) -> None:
    own = attach_line(server).fullmatch(run("boinc", "key").stdout)
    assert own
    assert run("boinc", "key", "--weak").stdout.startswith(
        f"{json.loads(run('boinc', 'key', '--json').stdout)['user_id']}_"
    )
    assert run("account", "add", "Vera", "--role", "worker-owner").stdout.split() == ["vera"]
    veras = attach_line(server).fullmatch(run("boinc", "key", "--account", "vera").stdout)
    assert veras
    assert veras[1] != own[1]
    renewed = attach_line(server).fullmatch(run("boinc", "key", "--account", "vera", "--renew").stdout)
    assert renewed
    assert renewed[1] != veras[1]
    wrong = run("boinc", "key", "--account", "nobody", code=1).exception
    assert isinstance(wrong, Refusal)
    assert wrong.code is Code.NOT_FOUND


def test_a_machines_key_joins_and_is_revoked(run: Run, server: EmbeddedServer) -> None:
    made = run("boinc", "worker-key", "lab machine 7")
    key = attach_line(server).search(made.stdout)
    assert key
    assert "not shown again" in made.stderr
    [line] = run("boinc", "worker-keys").stdout.splitlines()
    key_id, name, host, _ = line.split("\t")
    assert (name, host) == ("lab machine 7", "nobody yet")
    assert run("boinc", "hosts").stdout == ""
    body = REQUEST.read_bytes().partition(b"\r\n\r\n")[2]
    body = re.sub(rb"(<authenticator>)[0-9a-f]{32}", rb"\g<1>" + key[1].encode(), body, count=1)
    assert b"<hostid>1</hostid>" in httpx2.post(f"{server.url}/boinc/cgi", content=body).content
    [line] = run("boinc", "hosts").stdout.splitlines()
    number, name, account, label, system, client, _, credit, trusted = line.split("\t")
    assert (number, name, account, label, client) == ("1", "vm", "operators", "", "7.20.5")
    assert (system.split()[0], credit, trusted) == ("Linux", "0", "0 of 0")
    assert run("boinc", "worker-keys").stdout.split("\t")[2] == "1"
    assert run("boinc", "revoke-worker-key", key_id).stdout == f"{key_id} is revoked.\n"
    assert run("boinc", "worker-keys").stdout == ""
    assert b"Invalid or missing account key" in httpx2.post(f"{server.url}/boinc/cgi", content=body).content
