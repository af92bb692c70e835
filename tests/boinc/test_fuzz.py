"""Calls and uploads garbled at random from a seed, sent to the real door: always answered, and honest work goes on.

FALLOW_FUZZ_EXAMPLES: how many, for a longer run.
"""

import os
import random

from fallow.core.words import JobState
from fallow.protocols.boinc.xml import parse
from tests.boinc.project import Project
from tests.boinc.test_calls import finish_all
from tests.protocols.boinc.recordings import UPLOADS, WHOLE_CALLS, call, upload
from tests.protocols.boinc.test_mutations import mutated

EXAMPLES = int(os.environ.get("FALLOW_FUZZ_EXAMPLES", "250"))
RECORDED_KEY = b"b44b61213c2ca84d7f21f7536fd0898b"
RECORDED_HOST = b"<hostid>1</hostid>"


def test_garbled_calls_are_answered_and_honest_work_goes_on(project: Project) -> None:
    """Most have a good key; some report tasks that are out, some the name of another's machine."""
    choose, entered = random.Random("calls"), 0
    project.account("bob")
    project.submit("job-1", items=20, retry={"max_errors": 100, "max_attempts": 1000})
    key = project.system.door.people.boinc_users.authenticator_of("bob").encode()
    bodies = [body for name in WHOLE_CALLS if len(body := call(name)) < 20_000]
    for number in range(EXAMPLES):
        body = mutated(choose, choose.choice(bodies))
        if choose.random() < 0.9:
            body = body.replace(RECORDED_KEY, key)
        if choose.random() < 0.5:
            body = body.replace(b"u1_3_0_r163434933_0", b"job-1_r%d_0" % choose.randint(0, 5))
        if choose.random() < 0.5:
            body = body.replace(RECORDED_HOST, b"<hostid>%d</hostid>" % choose.randint(0, 5))
        status, answer = project.ask("POST", "/boinc/cgi", body)
        assert status == 200, (number, body)
        said = parse(answer, "scheduler_reply")
        assert float(said.text_of("request_delay")) > 0
        entered += bool(said.text_of("userid"))
        if number % 50 == 0:
            project.pass_time(3600)
    assert entered > EXAMPLES // 4, "most got past the door"
    project.pass_time(8 * 86_400)
    finish_all(project.host("laptop", "ada"), project)
    assert project.state("job-1") is JobState.COMPLETED
    assert project.output("job-1").count(b"\n") == 20


def test_garbled_uploads_are_answered_and_the_whole_file_is_taken(project: Project) -> None:
    choose, others = random.Random("uploads"), 0
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    done = ada.run(task, project.clock.now())
    ours = (
        f"<data_server_request>\n<file_upload>\n<file_info>\n<name>{task.output_name}</name>\n</file_info>\n"
        f"<nbytes>{len(done.answer)}</nbytes>\n<md5_cksum>{'0' * 32}</md5_cksum>\n<offset>0</offset>\n<data>\n"
    ).encode() + done.answer
    bodies = [ours, ours, ours, *map(upload, UPLOADS)]
    for number in range(EXAMPLES):
        body = mutated(choose, choose.choice(bodies))
        status, answer = project.ask("POST", "/boinc/file_upload_handler", body)
        assert status == 200, (number, body)
        others += parse(answer, "data_server_reply").text_of("status") == "1"
    assert others > EXAMPLES // 20, "some got past the door"
    assert ada.upload(done).text_of("status") == "0"
    ada.done.append(done)
    ada.call()
    project.settle()
    assert project.state("job-1") is JobState.COMPLETED


def test_garbled_answers_cost_their_own_task(project: Project) -> None:
    """What is reported is uploaded as it is: only the machine's own task suffers."""
    choose, examples = random.Random("answers"), max(20, EXAMPLES // 5)
    project.submit("job-1", items=10, retry={"max_errors": 100, "max_attempts": 1000})
    valid = 0
    for number in range(examples):
        ada = project.host(f"laptop-{number}", "ada", seed=number.to_bytes(32, "big"))
        ada.call(1.0, 1.0)
        if not ada.held:
            valid += 1
            project.submit(f"job-{number + 2}", items=10, retry={"max_errors": 100, "max_attempts": 1000})
            ada.call(1.0, 1.0)
        [task] = ada.held.values()
        done = ada.run(task, project.clock.now())
        garbled = mutated(choose, done.answer)
        sent = type(done)(task, garbled)
        if ada.upload(sent).text_of("status") != "0":
            assert not garbled
        ada.done.append(sent)
        ada.call()
        assert not ada.done, "it is acknowledged"
        project.settle()
    assert 0 < valid < examples
