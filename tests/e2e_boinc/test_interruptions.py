"""What volunteers do to their clients in the middle of a chunk, and what becomes of the chunk.

Each scenario has an account of its own, whose client computes that account's job. They run at the same time.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e_boinc.client import BoincClient
from tests.e2e_boinc.containers import containers, labels_of
from tests.e2e_boinc.project import Account, Project
from tests.e2e_boinc.together import Together

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

SLOWLY = ["sh", "-c", 'while read -r line; do sleep 1; echo "$line"; done']


def started(project: Project, name: str, items: int, **more: object) -> tuple[Account, BoincClient, str]:
    """An account, its client, and the name of the task that the client computes now: one slow chunk."""
    account = project.account(name)
    project.submit(account, name, SLOWLY, items, chunk_items=items, **more)
    client = project.attached(f"{name}-pc", account)
    return account, client, computing(client)


def computing(client: BoincClient, more_than: float = 0.1) -> str:
    """The task that has got so far, by its own account."""
    task = client.wait_task(active_task_state="EXECUTING")
    client.wait("progress", lambda: fraction_done(client, task["name"]) > more_than)
    return task["name"]


def fraction_done(client: BoincClient, task: str) -> float:
    found = [each for each in client.tasks() if each["name"] == task]
    return float(found[0].get("fraction done", "0")) if found else 0.0


def finished_once(project: Project, job_id: str, items: int) -> list[str]:
    """Waits for the job's end; the states of its attempts. Its output has each item once."""
    assert project.house.wait_over(job_id)["state"] == "completed", project.house.story(job_id)
    assert project.outputs(job_id) == [{"n": n} for n in range(items)]
    return [each["state"] for each in project.attempts(job_id)]


def killed_and_restarted(project: Project) -> None:
    """kill -9 of the client. The runner that it leaves behind and the one that it starts anew do not both compute."""
    _, client, _ = started(project, "killed", 12)
    before = labels_of(client)
    assert containers(before) == ["running"]
    client.kill()
    client.start()
    client.wait("a new container", lambda: containers(now) if (now := labels_of(client)) != before else [])
    assert containers(before) == []
    after = labels_of(client)
    assert finished_once(project, "killed", 12) == ["valid"]
    client.wait("the containers' end", lambda: containers(before + after) == [])


def quit_and_restarted(project: Project) -> None:
    """As at a shutdown: the task's container is gone with the client, and it computes again afterwards."""
    _, client, _ = started(project, "shut-down", 10)
    labels = labels_of(client)
    assert containers(labels) == ["running"]
    client.quit()
    assert containers(labels) == []
    client.start()
    assert finished_once(project, "shut-down", 10) == ["valid"]


def suspended_and_resumed(project: Project) -> None:
    """The container is paused for as long, and its items' time limit does not run meanwhile."""
    _, client, task = started(project, "suspended", 12, limits={"item_timeout_seconds": 4.0})
    labels = labels_of(client)
    assert containers(labels) == ["running"]
    client.task(project.url, task, "suspend")
    client.wait("a paused container", lambda: containers(labels) == ["paused"])
    reached = fraction_done(client, task)
    for _ in range(2):  # two calls take longer than an item may
        client.wait_log("Scheduler request completed", after=len(client.log))
    assert containers(labels) == ["paused"]
    assert fraction_done(client, task) == pytest.approx(reached, abs=0.1)
    assert project.attempts("suspended")[0]["state"] == "leased"
    client.task(project.url, task, "resume")
    client.wait("a running container", lambda: containers(labels) == ["running"])
    assert finished_once(project, "suspended", 12) == ["valid"]


def suspended_out_of_memory(project: Project) -> None:
    """Where the owner wants no suspended programs in memory, the container is gone until the task goes on."""
    account = project.account("out-of-memory")
    project.submit(account, "out-of-memory", SLOWLY, 8, chunk_items=8)
    client = project.attached("out-of-memory-pc", account, stays_in_memory=False)
    task, labels = computing(client), labels_of(client)
    assert containers(labels) == ["running"]
    client.task(project.url, task, "suspend")
    client.wait("the container to rest or go", lambda: containers(labels) in ([], ["paused"]))
    client.task(project.url, task, "resume")
    assert finished_once(project, "out-of-memory", 8) == ["valid"]


def aborted(project: Project) -> None:
    """Nobody's fault is counted, and another machine computes the chunk."""
    account, client, task = started(project, "aborted", 8)
    worker, labels = project.host(client)["worker_id"], labels_of(client)
    client.project(project.url, "nomorework")
    client.task(project.url, task, "abort")
    client.wait("the report", lambda: project.attempts("aborted")[0]["state"] == "aborted")
    assert containers(labels) == []
    other = project.attached("aborted-other-pc", account)
    assert finished_once(project, "aborted", 8) == ["aborted", "valid"]
    assert project.attempts("aborted")[1]["worker_id"] == project.host(other)["worker_id"]
    assert "owner stopped" in project.house.story("aborted", 0)
    told = project.rows("SELECT failures FROM worker WHERE worker_id = ?", worker)
    assert told == [{"failures": 0}]
    errors = project.rows("SELECT errored, invalid FROM reputation WHERE worker_id = ?", worker)
    assert all((each["errored"], each["invalid"]) == (0, 0) for each in errors)


def detached_and_attached_again(project: Project) -> None:
    """It is the machine that it was, and what it held goes out again."""
    account, client, _ = started(project, "detached", 8)
    before, labels = client.host_id(), labels_of(client)
    client.project(project.url, "detach")
    client.wait("the containers' end", lambda: containers(labels) == [])
    said = len(client.log)
    client.attach(project.url, account.boinc_key)
    client.wait_log("Scheduler request completed", after=said)
    client.wait("its number", lambda: client.host_id() == before)
    states = finished_once(project, "detached", 8)
    assert states.count("valid") == 1
    assert len(project.hosts(account)) == 1


def restored_from_a_copy(project: Project) -> None:
    """A copy of a client's directory becomes a machine of its own, and one of the two computes what both had."""
    account, client, task = started(project, "copied", 14)
    original = client.host_id()
    client.quit()
    client.copy_to(project.home / "copied-clone")
    client.start()
    for _ in range(3):  # a call may have been lost at the end: only a copy is more than one behind
        client.wait_log("Scheduler request completed", after=len(client.log))
    clone = project.client("copied-clone")
    clone.wait("a number of its own", lambda: clone.host_id() not in (0, original))
    clone.wait("the end of what is not its own", lambda: all(each["name"] != task for each in clone.tasks()))
    assert finished_once(project, "copied", 14).count("valid") == 1
    assert len(project.hosts(account)) == 2
    assert client.host_id() == original


def project_reset(project: Project) -> None:
    """The client forgets its tasks; the server sends what is missing again."""
    _, client, _ = started(project, "forgotten", 8)
    client.project(project.url, "reset")
    states = finished_once(project, "forgotten", 8)
    assert states[-1] == "valid"
    assert len(states) <= 2


def without_a_container_engine(project: Project) -> None:
    """The volunteer reads what is missing, chunks are not burnt on the machine, and it works when podman is there."""
    account = project.account("engineless")
    project.submit(account, "engineless", ["cat"], 20, chunk_items=5)
    programs = programs_without(project.home / "bin", {"podman", "docker"})
    client = project.attached("engineless-pc", account, path=str(programs))
    client.wait("a notice", lambda: "Install podman" in client.notices())
    tried = attempts_given_up(project, "engineless")
    assert 1 <= tried <= 4
    client.wait("another try", lambda: attempts_given_up(project, "engineless") > tried)
    assert attempts_given_up(project, "engineless") == tried + 1
    (programs / "podman").symlink_to(str(shutil.which("podman")))
    states = finished_once(project, "engineless", 20)
    assert states.count("valid") == 4
    assert set(states) == {"valid", "aborted"}


def attempts_given_up(project: Project, job_id: str) -> int:
    return [each["state"] for each in project.attempts(job_id)].count("aborted")


def programs_without(directory: Path, left_out: set[str]) -> Path:
    """A directory with every program of this machine but those."""
    directory.mkdir()
    for source in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        for each in Path(source).iterdir():
            if each.name not in left_out and not (directory / each.name).exists():
                (directory / each.name).symlink_to(each)
    return directory


SCENARIOS = (
    killed_and_restarted,
    quit_and_restarted,
    suspended_and_resumed,
    suspended_out_of_memory,
    aborted,
    detached_and_attached_again,
    restored_from_a_copy,
    project_reset,
    without_a_container_engine,
)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, image: str) -> Iterator[Together]:
    home = tmp_path_factory.mktemp("boinc") / "project"
    home.mkdir()
    project = Project(home, image, {"FALLOW_RETRY_SAME_SECONDS": "5", "FALLOW_BOINC_NO_ENGINE_SECONDS": "8"})
    running = Together(project, SCENARIOS, at_once=len(SCENARIOS))
    yield running
    running.close()
    odd = {each.home.name: each.unparsed for each in project.clients if each.unparsed}
    project.close()
    assert odd == {}


@pytest.mark.parametrize("name", [each.__name__ for each in SCENARIOS])
def test_an_interruption(together: Together, name: str) -> None:
    together.result(name)
