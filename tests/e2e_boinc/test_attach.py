"""From `boinccmd --project_attach` to credit: strangers' machines, their keys, and two of them that must agree."""

import hashlib
import re
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.e2e_boinc.client import BoincClient
from tests.e2e_boinc.project import Project
from tests.e2e_boinc.together import Together

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

STRANGERS: dict[str, object] = {"requirements": {"volunteers": True}}
SLOWLY = ["sh", "-c", 'while read -r line; do sleep 0.2; echo "$line"; done']


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, image: str) -> Iterator[Project]:
    home = tmp_path_factory.mktemp("boinc") / "project"
    home.mkdir()
    one = Project(home, image, {"FALLOW_BOINC_SIGN_UP": "true"})
    yield one
    one.close()


def test_a_stranger_attaches_and_earns_credit_for_verified_chunks(project: Project) -> None:
    """The chunks are verified, merged into the output, and the client shows the credit they earned."""
    ada = project.account("ada", "submit")
    vera = project.account("vera", "work")
    items = project.submit(ada, "public", ["cat"], 10, **STRANGERS)
    client = project.client("vera-pc")
    begun = time.monotonic()
    client.attach(project.url, vera.boinc_key)
    first = client.wait("the first chunk", lambda: project.house.job("public")["progress"]["completed_chunks"])
    verified = time.monotonic() - begun
    client.wait("credit on the volunteer's screen", lambda: credit_shown(client))
    credited = time.monotonic() - begun
    print(f"attach to {first} verified chunks: {verified:.1f} s; to credit on the screen: {credited:.1f} s")
    assert project.house.wait_over("public")["state"] == "completed"
    assert project.outputs("public") == [{"n": n} for n in range(10)]
    assert (project.home / "public-out" / "output.jsonl").read_bytes() == items.read_bytes()
    attempts = project.attempts("public")
    host = project.host(client)
    assert {(each["state"], each["worker_id"]) for each in attempts} == {("valid", host["worker_id"])}
    client.wait("all credit", lambda: len(credits_of(project, "public")) == len(attempts))
    granted = sum(each["granted"] for each in credits_of(project, "public"))
    assert granted > 0
    assert project.host(client)["credit_total"] == pytest.approx(granted)
    user = project.rows("SELECT credit_total FROM boinc_user WHERE account_id = 'vera'")[0]
    assert user["credit_total"] == pytest.approx(granted)
    client.project(project.url, "update")
    client.wait_log("Sending scheduler request: Requested by user")
    client.wait("the sum", lambda: credit_shown(client) == pytest.approx(granted, abs=1e-5))
    assert client.unparsed == []


def credit_shown(client: BoincClient) -> float:
    return float(client.projects()[0]["user_total_credit"])


def credits_of(project: Project, job_id: str) -> list[dict[str, float]]:
    return project.rows("SELECT c.* FROM credit AS c JOIN job AS j USING (job_key) WHERE j.job_id = ?", job_id)


def two_strangers_agree(project: Project) -> None:
    """quorum:2 is two machines of two accounts; both earn the same."""
    submitter = project.account("carl", "submit")
    owners = [project.account(name, "work") for name in ("olga", "otto")]
    project.submit(submitter, "agreed", SLOWLY, 10, verify="quorum:2", chunk_items=10, **STRANGERS)
    clients = [project.attached(f"{each.account_id}-pc", each) for each in owners]
    assert project.house.wait_over("agreed")["state"] == "completed", project.house.story("agreed")
    assert project.outputs("agreed") == [{"n": n} for n in range(10)]
    by_chunk: dict[int, set[str]] = {}
    for each in project.attempts("agreed"):
        if each["state"] == "valid":
            by_chunk.setdefault(each["chunk_id"], set()).add(each["worker_id"])
    assert all(len(workers) >= 2 for workers in by_chunk.values())
    clients[0].wait("credit", lambda: len(credits_of(project, "agreed")) >= 2)
    granted: dict[int, set[float]] = {}
    for each in project.rows(
        "SELECT a.chunk_id, c.granted FROM credit AS c JOIN attempt AS a USING (attempt_id)"
        " JOIN job AS j ON j.job_key = a.job_key WHERE j.job_id = 'agreed'"
    ):
        granted.setdefault(each["chunk_id"], set()).add(each["granted"])
    assert all(len(amounts) == 1 for amounts in granted.values())
    assert [each.unparsed for each in clients] == [[], []]


def a_weak_key_computes(project: Project) -> None:
    """As BOINC's clients know it: the user's number and a digest of the key."""
    account = project.account("wendy")
    user = project.rows("SELECT user_id FROM boinc_user WHERE account_id = 'wendy'")[0]["user_id"]
    weak = f"{user}_{hashlib.md5(account.boinc_key.encode()).hexdigest()}"
    project.submit(account, "weakly", ["cat"], 5)
    client = project.client("wendy-pc")
    client.attach(project.url, weak)
    assert project.house.wait_over("weakly")["state"] == "completed"
    assert client.unparsed == []


def a_key_for_one_machine_is_refused_to_another(project: Project) -> None:
    """The second machine's owner reads why."""
    account = project.account("willy")
    key = project.cli("boinc", "worker-key", "kiosk", key=account.key).split()[-1]
    project.submit(account, "kiosk", ["cat"], 5)
    first = project.client("kiosk-pc")
    first.attach(project.url, key)
    assert project.house.wait_over("kiosk")["state"] == "completed"
    second = project.client("thief-pc")
    second.attach(project.url, key)
    second.wait("the refusal", lambda: "another machine" in second.notices())
    assert len(project.hosts(account)) == 1


def a_wrong_key_is_told_so(project: Project) -> None:
    client = project.client("wrong-pc")
    client.attach(project.url, "0" * 32)
    client.wait("the refusal", lambda: "key" in client.notices().lower())


def a_stranger_makes_an_account_from_the_client(project: Project) -> None:
    """It computes and cannot submit; the same address and password find it again."""
    client = project.client("nora-pc")
    words = (project.url, "nora@example.org", "a good long password")
    made = client.command("--create_account", *words, "Nora")
    key = re.search(r"account key: ([0-9a-f]{32})", made)
    assert key is not None, made
    assert key.group(1) in client.command("--lookup_account", *words)
    client.attach(project.url, key.group(1))
    client.wait("her name", lambda: [each.get("user_name") for each in client.projects()] == ["Nora"])
    scopes = project.rows("SELECT scopes FROM account WHERE email = 'nora@example.org'")
    assert "submit" not in str(scopes[0]["scopes"])
    assert client.unparsed == []


def a_labelled_machine_gets_the_jobs_for_its_label(project: Project) -> None:
    """An unmodified client says no label: the operator does."""
    account = project.account("lara")
    project.submit(account, "edgy", ["cat"], 5, worker_label="edge")
    client = project.attached("lara-pc", account)
    for _ in range(2):
        client.wait_log("Scheduler request completed: got 0 new tasks", after=len(client.log))
    worker = project.host(client)["worker_id"]
    with httpx2.Client(base_url=project.house.url, headers={"Origin": project.house.url}, timeout=30) as browser:
        assert browser.post("/sign-in", data={"key": project.house.key}).status_code == 303
        token = re.search(r'name="csrf" value="([^"]+)"', browser.get(f"/worker?worker_id={worker}").text)
        assert token is not None
        form = {"worker_id": worker, "label": "edge", "csrf": token.group(1)}
        assert browser.post("/worker/label", data=form).headers["location"].startswith("/worker?")
    assert project.house.wait_over("edgy")["state"] == "completed"
    assert project.rows("SELECT label FROM worker WHERE worker_id = ?", worker) == [{"label": "edge"}]


SCENARIOS = (
    two_strangers_agree,
    a_weak_key_computes,
    a_key_for_one_machine_is_refused_to_another,
    a_wrong_key_is_told_so,
    a_stranger_makes_an_account_from_the_client,
    a_labelled_machine_gets_the_jobs_for_its_label,
)


@pytest.fixture(scope="module")
def together(project: Project) -> Iterator[Together]:
    running = Together(project, SCENARIOS, at_once=len(SCENARIOS))
    yield running
    running.close()


@pytest.mark.parametrize("name", [each.__name__ for each in SCENARIOS])
def test_attaching(together: Together, name: str) -> None:
    together.result(name)
