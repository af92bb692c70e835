"""Machines that would have a clean record, a new quota or a second opinion by calling themselves otherwise."""

from fallow.core.words import AttemptState, JobState
from fallow.sim.boinc_host import SimHost
from tests.boinc.project import Project
from tests.boinc.test_calls import finish_all

OTHER_KEY = b"another key of thirty-two bytes."


def work_with(host: SimHost, project: Project, seed: bytes) -> int:
    """Asks for work and answers it, signed with this key; how many tasks that were."""
    host.seed = seed
    host.call(1.0, 1.0)
    tasks = list(host.held.values())
    for task in tasks:
        host.finish(task, project.clock.now())
    host.call()
    project.settle()
    return len(tasks)


def test_a_machine_with_a_new_key_does_not_agree_with_itself(project: Project) -> None:
    project.account("bob")
    project.submit("job-1", items=20, verify="quorum:2", retry={"max_attempts": 100, "max_errors": 100})
    ada, first_key = project.host("laptop", "ada"), project.host("laptop", "ada").seed
    work_with(ada, project, first_key)
    for _ in range(12):
        work_with(ada, project, OTHER_KEY)
        project.pass_time(4000)
    assert project.state("job-1") is not JobState.COMPLETED
    assert AttemptState.VALID not in project.counts("job-1")
    finish_all(project.host("desk", "bob"), project)
    assert project.state("job-1") is JobState.COMPLETED


def test_a_new_key_gives_no_new_quota_and_no_trust(project: Project) -> None:
    project.submit("job-1", items=400, chunk_items=1, retry={"max_attempts": 100, "max_errors": 100})
    ada = project.host("laptop", "ada", cores=1)
    sent = work_with(ada, project, b"1" * 32) + work_with(ada, project, b"2" * 32)
    [before], [after] = project.read(lambda tx: (tx.reputations("b-1.1"), tx.reputations("b-1.2")))
    assert before.sent_today == sent == after.sent_today
    assert (before.valid, after.valid, after.valid_in_row) == (1, 0, 0)


def test_a_new_key_is_no_end_of_a_rest(project: Project) -> None:
    """Who failed by its own fault rests; with a new key, too."""
    project.submit("job-1", items=400, chunk_items=1, retry={"max_attempts": 100, "max_errors": 100})
    ada = project.host("laptop", "ada", cores=1)
    work_with(ada, project, b"1" * 32)
    work_with(ada, project, b"2" * 32)
    worker = project.read(lambda tx: tx.worker("b-1.2"))
    assert worker.failures >= 1
    assert worker.backoff_until > project.clock.now()
    assert work_with(ada, project, b"2" * 32) == 0
    project.pass_time(400)
    assert work_with(ada, project, b"2" * 32) == 1


def test_a_client_that_always_forgets_its_task_does_not_keep_it(project: Project) -> None:
    """It is sent again with more time, but not for ever."""
    project.submit("job-1", items=10)
    ada, began = project.host("laptop", "ada"), project.clock.now() / 1e6
    ada.call(1.0, 1.0)
    first = list(ada.held)
    for _ in range(200):
        [task] = ada.held.values()
        project.pass_time(max(60.0, (task.deadline - project.clock.now() / 1e6) * 0.8))
        ada.held.clear()
        ada.call(0.0, 0.0)
        if not ada.held:
            break
        assert list(ada.held) == first
        assert ada.held[first[0]].deadline <= began + 7 * 86_400
    assert not ada.held
    project.pass_time(60)
    assert AttemptState.LEASED not in project.counts("job-1")
    finish_all(project.host("desk", "operators"), project)
    assert project.state("job-1") is JobState.COMPLETED


def test_an_erased_job_is_taken_back(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    done = ada.run(task, project.clock.now())
    answer = project.http.post("/api/jobs/job-1/cancel", headers=project.bearer)
    assert answer.status_code < 300, answer.text
    project.settle()
    assert ada.leases(task) == []
    answer = project.http.delete("/api/jobs/job-1", headers=project.bearer)
    assert answer.status_code < 300, answer.text
    project.settle()
    assert ada.upload(done).text_of("status") == "-1"
    assert project.ask("GET", f"/boinc/lease/{task.ticket_url.rpartition('/')[2]}", b"")[0] == 404
    ada.call()
    assert ada.aborted() == [task.name]
    assert task.name not in ada.held
    ada.done.append(done)
    assert [each.text_of("name") for each in ada.call().all("result_ack")] == [task.name]
