"""The scheduler call from a client's side: work comes, goes back, is lost, is stopped."""

import base64
import json

import pytest

from fallow.core.words import AttemptState, JobState
from fallow.sim.boinc_host import Finished, SimHost
from tests.boinc.project import Project


def finish_all(host: SimHost, project: Project) -> None:
    """The client works until there is nothing left for it."""
    for _ in range(50):
        host.call(1000.0, 1.0)
        if not host.held:
            return
        project.clock.advance(10)
        for task in list(host.held.values()):
            host.finish(task, project.clock.now())
        host.call()
        project.settle()
    raise AssertionError("it never ends")


def test_a_client_computes_a_job_and_earns_credit(project: Project) -> None:
    project.submit("job-1")
    ada = project.host("laptop", "ada")
    reply = ada.call(1.0, 1.0)
    assert reply.text_of("hostid") == "1"
    assert ada.code_sign_key
    assert len(ada.held) == 1, ada.messages()  # its speed is not known: one chunk to begin with
    [task] = ada.held.values()
    project.clock.advance(20)
    ada.finish(task, project.clock.now())
    reply = ada.call(1.0, 1.0)
    assert [each.text_of("name") for each in reply.all("result_ack")] == [task.name]
    assert not reply.text_of("hostid")
    assert not reply.text_of("code_sign_key")
    project.settle()
    [second] = ada.held.values()
    ada.finish(second, project.clock.now())
    ada.call()
    project.settle()
    assert project.state("job-1") is JobState.COMPLETED
    assert project.output("job-1").count(b"\n") == 20
    [host] = project.read(lambda tx: tx.hosts_of("ada", 10))
    assert host.earned.total > 0
    user = project.read(lambda tx: tx.boinc_user("ada"))
    assert user.earned.total == host.earned.total
    said = ada.call()
    assert float(said.text_of("user_total_credit")) == pytest.approx(host.earned.total, abs=1e-5)


def test_a_machine_whose_speed_is_known_gets_chunks_in_tasks_of_minutes(project: Project) -> None:
    project.submit("job-1", items=400)
    ada = project.host("laptop", "ada")
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    assert len(ada.leases(task)) == 1
    project.clock.advance(20)
    ada.finish(task, project.clock.now())
    ada.call()
    project.settle()
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    assert 10 <= len(ada.leases(task)) <= 64  # 10 items took at most 20 seconds, and a task shall take 300
    finish_all(ada, project)
    assert project.state("job-1") is JobState.COMPLETED
    assert project.counts("job-1") == {AttemptState.VALID: 40}


def test_a_reply_that_never_arrived_is_sent_again(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    ada.call(1.0, 1.0)
    [lost] = ada.held.values()
    ada.held.clear()
    reply = ada.call(1.0, 1.0)
    assert [each.text_of("name") for each in reply.all("result")] == [lost.name]
    [again] = ada.held.values()
    assert (again.ticket_md5, again.output_name) == (lost.ticket_md5, lost.output_name)
    finish_all(ada, project)
    assert project.counts("job-1") == {AttemptState.VALID: 1}


def test_what_a_client_lost_and_wants_no_more_goes_to_another(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada", extra="<dont_send_work>1</dont_send_work>")
    ada.extra = ""
    ada.call(1.0, 1.0)
    ada.held.clear()
    ada.extra = "<dont_send_work>1</dont_send_work>"
    ada.call()
    assert not ada.held
    bob = project.host("desk", "operators")
    finish_all(bob, project)
    assert project.counts("job-1") == {AttemptState.LOST: 1, AttemptState.VALID: 1}


def test_a_deadline_that_passes_gives_the_chunk_to_another_and_late_is_welcome(project: Project) -> None:
    project.submit("job-1", items=10)
    ada, bob = project.host("laptop", "ada"), project.host("desk", "operators")
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    answer = ada.run(task, project.clock.now())
    project.pass_time(3 * 3600)
    assert project.counts("job-1") == {AttemptState.LOST: 1, AttemptState.QUEUED: 1}
    bob.call(1.0, 1.0)
    assert len(bob.held) == 1
    ada.upload(answer)
    ada.done.append(answer)
    ada.call()
    project.settle()
    assert project.state("job-1") is JobState.COMPLETED
    reply = bob.call()
    assert len(reply.all("result_abort")) == 1, "nobody needs it twice"
    assert not bob.held


def test_a_cancelled_job_is_stopped_on_the_clients(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    answer = project.http.post("/api/jobs/job-1/cancel", headers=project.bearer)
    assert answer.status_code == 200, answer.text
    project.settle()
    assert ada.leases(task) == []
    ada.call()
    assert ada.aborted() == [task.name]


def test_an_abort_by_the_owner_is_nobodys_fault(project: Project) -> None:
    project.submit("job-1", items=10)
    ada, bob = project.host("laptop", "ada"), project.host("desk", "operators")
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    ada.done.append(Finished(task, b"", exit_status=203, client_state=6))
    ada.call()
    assert project.counts("job-1") == {AttemptState.ABORTED: 1, AttemptState.QUEUED: 1}
    finish_all(bob, project)
    assert project.state("job-1") is JobState.COMPLETED


def test_a_report_counts_once_however_often_it_comes(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    done = ada.finish(task, project.clock.now())
    ada.done.append(done)  # twice in one call
    reply = ada.call()
    assert len(reply.all("result_ack")) == 2
    ada.done.append(done)
    reply = ada.call()
    assert [each.text_of("name") for each in reply.all("result_ack")] == [task.name]
    project.settle()
    assert project.counts("job-1") == {AttemptState.VALID: 1}
    assert project.output("job-1").count(b"\n") == 10


def test_a_failing_item_becomes_an_error_line_and_the_rest_succeeds(project: Project) -> None:
    """The image fails at item 3: the finished head is kept, the item is tried alone, the tail goes on."""
    project.submit("job-1", items=10)
    hosts = [project.host(f"m{n}", "ada") for n in range(4)]

    def broken(host: SimHost) -> None:
        host.call(1.0, 1.0)
        for task in list(host.held.values()):
            leases = host.leases(task)
            worker_id = str(host.ticket(task)["worker_id"])
            answers = []
            for lease in leases:
                if not lease.item_start <= 3 < lease.item_start + lease.item_count:
                    answers.append(host.answer(lease, worker_id, project.clock.now()))
                    continue
                failure = {
                    "failure_class": "submitter",
                    "code": "exit_code",
                    "message": "The image ended with exit code 3.",
                    "items_done": 0,
                    "bad_item": 3,
                    "exit_code": 3,
                    "log_tail": "",
                }
                answers.append({"attempt_id": lease.attempt_id, "failure": failure})
            done = Finished(task, host.file(worker_id, answers))
            host.upload(done)
            host.done.append(done)
        host.call()
        project.settle()

    for _ in range(12):
        for host in hosts:
            broken(host)
        project.clock.advance(120)
    assert project.state("job-1") is JobState.COMPLETED
    lines = [json.loads(line)["output"] for line in project.output("job-1").splitlines()]
    assert [n for n, line in enumerate(lines) if "error" in line] == [3]
    assert lines[3]["error"]["code"] == "exit_code"


def test_a_machine_without_an_engine_is_told_and_rests(project: Project) -> None:
    project.submit("job-1", items=40)
    ada, bob = project.host("laptop", "ada"), project.host("desk", "operators")
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    words = {"failure_class": "worker", "code": "engine_missing", "message": "Install podman: apt-get install podman"}
    stderr = "probing\nfallow-failure " + json.dumps(words)
    ada.done.append(Finished(task, b"", exit_status=1, client_state=3, stderr=stderr))
    reply = ada.call(1.0, 1.0)
    assert "Install podman: apt-get install podman" in ada.messages()
    assert not reply.all("result")
    for _ in range(5):
        project.pass_time(60)
        ada.call(1.0, 1.0)
        assert not ada.held
    project.pass_time(600)
    ada.call(1.0, 1.0)
    assert len(ada.held) == 1, "it is tried once more after a while"
    finish_all(ada, project)
    finish_all(bob, project)
    assert project.state("job-1") is JobState.COMPLETED


def test_a_machine_that_signs_with_another_key_proves_itself_anew(project: Project) -> None:
    project.submit("job-1", items=30)
    ada = project.host("laptop", "ada")
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    ada.finish(task, project.clock.now())
    ada.call(1.0, 1.0)
    ada.seed = b"another key of thirty-two bytes."
    [task] = ada.held.values()
    ada.finish(task, project.clock.now())
    ada.call()
    project.settle()
    assert project.counts("job-1")[AttemptState.ERRORED] == 1
    project.pass_time(120)
    finish_all(ada, project)
    assert project.state("job-1") is JobState.COMPLETED
    [host] = project.read(lambda tx: tx.hosts_of("ada", 10))
    assert (host.host_id, host.generation, host.worker_id) == (1, 2, "b-1.2")


def test_a_forged_receipt_is_not_taken(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    honest = json.loads(ada.run(task, project.clock.now()).answer)
    envelope = bytearray(base64.b64decode(honest["answers"][0]["envelope"]))
    honest["answers"][0]["envelope"] = base64.b64encode(envelope.replace(b'"sig":"', b'"sig":"A')).decode()
    done = Finished(task, json.dumps(honest).encode())
    ada.upload(done)
    ada.done.append(done)
    ada.call()
    project.settle()
    assert project.counts("job-1")[AttemptState.ERRORED] == 1
    assert any("was not taken" in each for each in ada.messages())


def test_strangers_get_only_jobs_that_are_for_volunteers(project: Project) -> None:
    project.submit("mine", items=10, requirements={})
    ada, own = project.host("laptop", "ada"), project.host("desk", "operators")
    ada.call(1.0, 1.0)
    assert not ada.held
    own.call(1.0, 1.0)
    assert len(own.held) == 1


def test_two_machines_must_agree_where_the_job_says_so(project: Project) -> None:
    project.account("bob")
    project.submit("job-1", items=10, verify="quorum:2")
    ada, bob = project.host("laptop", "ada"), project.host("desk", "bob")
    finish_all(ada, project)
    assert project.state("job-1") is not JobState.COMPLETED
    finish_all(bob, project)
    assert project.state("job-1") is JobState.COMPLETED
    assert project.counts("job-1") == {AttemptState.VALID: 2}


def test_the_reply_carries_the_chunks_metadata(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    block = task.workunit.first("ai_batch")
    assert block is not None
    assert block.text_of("job_id") == "job-1"
    assert block.text_of("chunk_id") == "0"
    assert block.text_of("container_image") == project.image


def test_no_new_tasks_means_none(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada", extra="<dont_send_work>1</dont_send_work>")
    ada.call(1000.0, 2.0)
    assert not ada.held
    ada.extra = ""
    ada.call(0.0, 0.0)
    assert not ada.held, "it asked for nothing"


def test_a_windows_client_is_told_plainly(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada", platform="windows_x86_64")
    reply = ada.call(1000.0, 2.0)
    assert not ada.held
    assert float(reply.text_of("request_delay")) >= 3600
    assert any("windows_x86_64" in each for each in ada.messages())


def test_the_daily_quota_holds(project: Project) -> None:
    project.submit("job-1", items=400, chunk_items=1)
    ada = project.host("laptop", "ada", cores=1)
    sent = 0
    for _ in range(40):
        ada.call(100_000.0, 1.0)
        sent += len(ada.held)
        for task in list(ada.held.values()):
            ada.done.append(Finished(task, b"", exit_status=203, client_state=6))
        ada.call()
        project.pass_time(100)
    assert sent == 100
    ada.call(1000.0, 1.0)
    assert any("today" in each for each in ada.messages())
