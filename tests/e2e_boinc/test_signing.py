"""A real client and the key it trusts: replaced, kept offline, lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fallow.protocols.boinc import signing
from tests.e2e.house import fallow
from tests.e2e_boinc.client import BoincClient
from tests.e2e_boinc.project import Account, Project

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]
OFFLINE = {"FALLOW_BOINC_SIGN_OFFLINE": "1"}


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path, image: str) -> Iterator[Project]:
    home = tmp_path / "project"
    home.mkdir()
    one = Project(home, image, dict(getattr(request, "param", {})))
    yield one
    one.close()


def admin(project: Project, *words: object) -> str:
    """On the server's own machine, while it runs."""
    offline = project.settings.get("FALLOW_BOINC_SIGN_OFFLINE", "0")
    ran = fallow("admin", *words, "--data-dir", project.home / "server", FALLOW_BOINC_SIGN_OFFLINE=offline)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def alone(*words: object) -> None:
    """On a machine that is not the server."""
    ran = fallow("admin", *words)
    assert ran.returncode == 0, ran.stderr


def trusts(client: BoincClient, public: Path) -> bool:
    """Whether the client has kept this key as the project's."""
    _, found, rest = client.state.partition("<code_sign_key>")
    return bool(found) and signing.same_key(rest.partition("</code_sign_key>")[0], public.read_text())


def finishes(project: Project, account: Account, job_id: str) -> None:
    project.submit(account, job_id, ["cat"], 5)
    assert project.house.wait_over(job_id)["state"] == "completed", project.house.story(job_id)


def test_clients_follow_a_key_that_the_old_one_vouches_for(project: Project) -> None:
    """The client stays attached, takes the new key, and computes with the program that it signed."""
    account = project.account("ada")
    client = project.attached("pc", account)
    finishes(project, account, "before")
    key = project.home / "new.pem"
    public = Path(f"{key}.public")
    admin(project, "backup-boinc-key", project.home / "old.pem")
    alone("make-boinc-key", key)
    assert not trusts(client, public)
    admin(project, "restore-boinc-key", key, "--replace")
    finishes(project, account, "after")
    client.project(project.url, "update")
    client.wait("the new key", lambda: trusts(client, public))
    newcomer = project.attached("new-pc", account)
    newcomer.wait("the new key", lambda: trusts(newcomer, public))
    finishes(project, account, "later")
    assert "RSA" not in client.log
    assert client.unparsed == []


def sign_elsewhere(project: Project, key: Path) -> None:
    folder = project.home / "programs"
    admin(project, "boinc-unsigned", folder)
    alone("boinc-sign", folder, "--key", key)
    assert "0 programs still unsigned" in admin(project, "boinc-install-signatures", folder)


@pytest.mark.parametrize("project", [OFFLINE], indirect=True)
def test_a_server_that_has_only_the_public_half(project: Project) -> None:
    """Nothing runs before somebody signs elsewhere; a lost key is told to the volunteer, who attaches again."""
    account = project.account("olga")
    project.submit(account, "first", ["cat"], 5)
    client = project.attached("pc", account)
    client.wait("the reason", lambda: "not signed yet" in client.notices())
    first, second = project.home / "first.pem", project.home / "second.pem"
    alone("make-boinc-key", first)
    admin(project, "restore-boinc-key", f"{first}.public")
    sign_elsewhere(project, first)
    call_until(project, client, lambda: project.house.job("first")["state"] == "completed")
    assert trusts(client, Path(f"{first}.public"))
    alone("make-boinc-key", second)
    admin(project, "restore-boinc-key", f"{second}.public", "--replace")
    sign_elsewhere(project, second)
    project.submit(account, "second", ["cat"], 5)
    call_until(project, client, lambda: "remove and add" in client.notices())
    assert project.house.job("second")["state"] != "completed"
    client.project(project.url, "detach")
    client.attach(project.url, account.boinc_key)
    assert project.house.wait_over("second")["state"] == "completed", project.house.story("second")
    client.wait("the new key", lambda: trusts(client, Path(f"{second}.public")))


def call_until(project: Project, client: BoincClient, true: Any) -> None:
    """Its owner presses "Update" until something is so."""

    def pressed() -> bool:
        client.project(project.url, "update")
        return bool(true())

    client.wait("what the next calls bring", pressed)
