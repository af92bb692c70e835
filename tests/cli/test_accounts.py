"""fallow account against a real server: a person is made, may do something, gets a share, is shut out."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from click.testing import Result
from typer.testing import CliRunner

import fallow
from fallow.cli.main import app
from fallow.core.refusals import Code
from fallow.settings import Settings
from fallow.wiring import EmbeddedServer, start_embedded

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    folder: Path = tmp_path_factory.mktemp("accounts")
    started = start_embedded(Settings(data_dir=folder, allow_process_jobs=True))
    yield started
    started.stop()


@pytest.fixture
def run(server: EmbeddedServer) -> Run:
    def ran(*words: str, code: int = 0) -> Result:
        env = {"FALLOW_SERVER": server.url, "FALLOW_TOKEN": server.admin_key}
        result = CliRunner().invoke(app, ["account", *words], env=env)
        assert result.exit_code == code, result.output
        return result

    return ran


def test_a_person_is_made_and_chooses_a_password(run: Run, server: EmbeddedServer) -> None:
    made = run("add", "Ada Lovelace", "--email", "ada@example.org", "--role", "submitter", "--role", "worker-owner")
    account, link = made.stdout.split()
    assert account == "ada-lovelace"
    with httpx2.Client(base_url=server.url) as ada:
        form = {"token": link.partition("token=")[2], "password": "correct horse battery"}
        assert ada.post("/sign-in/password", data={**form, "again": form["password"]}).status_code == 303
        signed_in = ada.post("/sign-in", data={"email": "ada@example.org", "password": form["password"]})
        assert signed_in.status_code == 303
        assert ada.get("/api/me").json()["scopes"] == ["submit", "work"]
    assert "token=" in run("password", "ada-lovelace").stdout
    assert "ada-lovelace\tAda Lovelace\tada@example.org\tsubmitter, worker-owner\tall" in run("list").stdout


def test_rights_are_given_and_taken(run: Run) -> None:
    run("add", "Bob", "--submit", "none")
    assert run("grant", "bob", "ghcr.io/org/model").stdout == "bob may submit for ghcr.io/org/model.\n"
    assert run("grant", "bob", "ghcr.io/org/model", "--revoke").stdout == "bob may submit for no application yet.\n"
    assert run("grant", "bob", "--all").stdout == "bob may submit for all applications.\n"
    assert run("grant", "bob", "--all", "--revoke").stdout == "bob may submit for no application.\n"
    for words in (("grant", "bob"), ("grant", "bob", "app", "--all")):
        assert refusal(run(*words, code=1)) is Code.BAD_REQUEST


def test_shares_are_told_in_percent(run: Run) -> None:
    run("add", "Carl", "--share", "2")
    shares = [line.split("\t")[5] for line in run("list").stdout.splitlines()]
    whole = sum(float(each.split()[0]) for each in shares) + 6
    assert run("share", "carl", "8").stdout == f"carl gets {800 / whole:.0f} % while everybody wants the fleet.\n"
    assert refusal(run("share", "carl", "0", code=1)) is Code.BAD_REQUEST


def test_an_account_is_shut_out_and_let_in_again(run: Run, server: EmbeddedServer) -> None:
    run("add", "Dora")
    with fallow.Client(server.url, server.admin_key) as admin:
        key = admin.add_key("k", ["submit"], "dora").key
    with fallow.Client(server.url, key) as dora:
        assert dora.me().account.name == "Dora"
        assert run("disable", "dora").stdout == "dora is disabled.\n"
        with pytest.raises(fallow.Refusal, match="revoked"):
            dora.me()
        assert run("disable", "dora", "--undo").stdout == "dora is enabled.\n"
        assert dora.me().account.account_id == "dora"


def test_nobody_is_refused_by_name(run: Run) -> None:
    assert refusal(run("disable", "nobody", code=1)) is Code.NOT_FOUND


def refusal(result: Result) -> Code:
    assert isinstance(result.exception, fallow.Refusal)
    return result.exception.code
