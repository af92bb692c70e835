"""Which machine calls: numbers, copies, merges, keys of single machines, labels."""

from fallow.core.words import AttemptState, JobState
from fallow.sim.boinc_host import Finished
from tests.boinc.project import Project
from tests.boinc.test_calls import finish_all


def hosts(project: Project, account: str = "ada") -> list[int]:
    return sorted(host.host_id for host in project.read(lambda tx: tx.hosts_of(account, 100)))


def test_a_client_that_forgot_its_number_is_found_by_its_cross_project_id(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    ada.call(1.0, 1.0)
    ada.host_id, ada.seqno = 0, 0  # detached and attached again: what it had is gone
    ada.held.clear()
    reply = ada.call(1.0, 1.0)
    assert reply.text_of("hostid") == "1"
    assert hosts(project) == [1]
    assert len(ada.held) == 1
    finish_all(ada, project)
    assert project.state("job-1") is JobState.COMPLETED


def test_a_copied_state_is_another_machine(project: Project) -> None:
    project.submit("job-1", items=40)
    ada = project.host("laptop", "ada")
    for _ in range(6):
        ada.call(1.0, 1.0)
    held = dict(ada.held)
    copy = project.host("laptop", "ada", host_id=ada.host_id, seqno=1, held=dict(held))
    reply = copy.call(1.0, 1.0)
    assert reply.text_of("hostid") == "2"
    assert set(copy.aborted()) == set(held), "what the first one computes, the copy need not"
    assert hosts(project) == [1, 2]
    assert copy.call().text_of("hostid") == "", "it has its number, and counts its calls from 0"
    copy.done += [Finished(task, b"", exit_status=202, client_state=6) for task in held.values()]
    reply = copy.call()
    assert len(reply.all("result_ack")) == len(held)
    assert project.counts("job-1")[AttemptState.LEASED] == len(held), "the first one goes on"
    finish_all(ada, project)
    finish_all(copy, project)
    assert project.state("job-1") is JobState.COMPLETED
    assert set(project.counts("job-1")) == {AttemptState.VALID}


def test_somebody_elses_number_is_nobodys(project: Project) -> None:
    project.account("bob")
    ada = project.host("laptop", "ada")
    ada.call()
    bob = project.host("desk", "bob", host_id=ada.host_id, seqno=99)
    reply = bob.call()
    assert reply.text_of("hostid") == "2"
    assert hosts(project) == [1]
    assert hosts(project, "bob") == [2]


def test_machines_that_look_alike_are_one_unless_several_clients_may_run(project: Project) -> None:
    first = project.host("laptop", "ada", cpid="1" * 32, allow_multiple=False)
    first.call()
    again = project.host("laptop", "ada", cpid="2" * 32, allow_multiple=False)
    again.call()
    assert hosts(project) == [1]
    beside = project.host("laptop", "ada", cpid="3" * 32, allow_multiple=True)
    beside.call()
    assert hosts(project) == [1, 2]


def test_a_machines_own_key_is_good_for_that_machine_alone(project: Project) -> None:
    caller = project.system.keys.authenticate(project.key)
    row, key = project.system.door.people.worker_keys.create(caller, "for the laptop", "ada")
    laptop = project.host("laptop", "ada")
    laptop.key = key
    laptop.call()
    assert hosts(project) == [1]
    thief = project.host("desk", "ada")
    thief.key = key
    reply = thief.call()
    assert not reply.text_of("hostid")
    assert hosts(project) == [1], "no machine was made for it"
    assert project.system.door.people.boinc_users.identify(key).key_id == row.key_id
    laptop.call()
    assert laptop.reply.text_of("userid")


def test_a_weak_key_computes(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    user = project.read(lambda tx: tx.boinc_user("ada"))
    ada.key = project.system.door.people.boinc_users.weak_key_of(user)
    finish_all(ada, project)
    assert project.state("job-1") is JobState.COMPLETED


def test_the_label_is_the_clients_else_its_venues_else_the_operators(project: Project) -> None:
    def label() -> str | None:
        return project.read(lambda tx: tx.worker("b-1.1")).label  # type: ignore[no-any-return]

    ada = project.host("laptop", "ada")
    ada.call()
    assert label() is None
    ada.extra = "<host_venue>work</host_venue>"
    ada.call()
    assert label() == "on_prem"
    ada.extra = "<host_venue>work</host_venue><worker_label>cloud</worker_label>"
    ada.call()
    assert label() == "cloud"


def test_a_wrong_key_is_told_so_and_waits(project: Project) -> None:
    ada = project.host("laptop", "ada")
    for key in ("", "0" * 32, "x" * 10_000, "1_" + "0" * 32, "'; DROP TABLE account; --"):
        ada.key = key
        reply = ada.call(1.0, 1.0)
        assert float(reply.text_of("request_delay")) == 3600
        assert ada.messages() == ["Invalid or missing account key.  To fix, remove and add this project."]
        assert not reply.text_of("userid")
    assert hosts(project) == []


def test_a_disabled_accounts_machines_get_nothing(project: Project) -> None:
    ada = project.host("laptop", "ada")
    ada.call()
    answer = project.http.patch("/api/accounts/ada", json={"disabled": True}, headers=project.bearer)
    assert answer.status_code == 200, answer.text
    reply = ada.call(1.0, 1.0)
    assert not reply.text_of("userid")


def test_a_clock_years_off_changes_nothing(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada", extra="<time_stats><now>946684800.0</now></time_stats>")
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    assert task.deadline > project.clock.now() / 1e6
    finish_all(ada, project)
    assert project.state("job-1") is JobState.COMPLETED
