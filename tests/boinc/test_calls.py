"""The scheduler call from a client's side: work comes, goes back, is lost, is stopped."""

from fallow.core.words import JobState
from tests.boinc.project import Project


def test_a_client_computes_a_job_and_earns_credit(project: Project) -> None:
    project.submit("job-1")
    ada = project.host("laptop", "operators")
    reply = ada.call(1.0, 1.0)
    assert reply.text_of("hostid") == "1"
    assert ada.code_sign_key
    assert len(ada.held) == 1, ada.messages()  # its speed is not known: one chunk to begin with
    [task] = ada.held.values()
    project.clock.advance(20)
    ada.finish(task, project.clock.now())
    reply = ada.call(1.0, 1.0)
    assert [each.text_of("name") for each in reply.all("result_ack")] == [task.name]
    project.settle()
    [second] = ada.held.values()
    ada.finish(second, project.clock.now())
    ada.call()
    project.settle()
    assert project.state("job-1") is JobState.COMPLETED
    assert project.output("job-1").count(b"\n") == 20
    [host] = project.read(lambda tx: tx.hosts_of("operators", 10))
    assert host.earned.total > 0
    user = project.read(lambda tx: tx.boinc_user("operators"))
    assert user.earned.total == host.earned.total
