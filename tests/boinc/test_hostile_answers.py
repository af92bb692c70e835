"""Answer files and last words that lie, about themselves or others: they cost their own task, and nothing else."""

import base64
import json
from typing import Any

import pytest

from fallow.control.boinc.outputs import contents
from fallow.core.words import AttemptState, JobState
from fallow.sim.boinc_host import Finished
from tests.boinc.project import Project
from tests.boinc.test_bad_input import one_task
from tests.boinc.test_calls import finish_all


def hostile(honest: dict[str, Any]) -> dict[str, bytes]:
    """By what is wrong with it."""
    [answer] = honest["answers"]

    def with_(**more: Any) -> bytes:
        return json.dumps({**honest, **more}).encode()

    def answered(**more: Any) -> bytes:
        return with_(answers=[{**answer, **more}])

    failure = {"failure_class": "worker", "code": "x", "message": "y"}
    deep = b"[" * 500_000
    return {
        "nothing": b"",
        "null": b"null",
        "deep": b'{"answers":' + deep,
        "deep_unknown": json.dumps(honest).encode()[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "nan": json.dumps(honest).replace("1.0", "NaN").encode(),
        "huge_id": answered(attempt_id=10**400),
        "large_id": answered(attempt_id=2**63),
        "negative_id": answered(attempt_id=-1),
        "huge_log": answered(log_size_bytes=10**30),
        "negative_log": answered(log_size_bytes=-(2**62)),
        "many": with_(answers=[answer] * 2000),
        "none": with_(answers=[]),
        "latin1": json.dumps(honest).encode().replace(b"podman", b"p\xff\xfe"),
        "short_key": with_(public_key=base64.b64encode(b"x" * 31).decode()),
        "long_key": with_(public_key=base64.b64encode(b"x" * 33).decode()),
        "no_key": with_(public_key=""),
        "zero_key": with_(public_key=base64.b64encode(b"\0" * 32).decode()),
        "no_base64": with_(public_key="!!!"),
        "inline_too_large": answered(inline=base64.b64encode(b"x" * 100_000).decode()),
        "inline_other": answered(inline=base64.b64encode(b"{}\n").decode()),
        "envelope_deep": answered(envelope=base64.b64encode(b"[" * 100_000).decode()),
        "envelope_deep_payload": answered(
            envelope=base64.b64encode(
                json.dumps(
                    {
                        "payload": base64.b64encode(b'{"items":' + b"[" * 100_000).decode(),
                        "payloadType": "x",
                        "signatures": [{"sig": "AAAA"}],
                    }
                ).encode()
            ).decode()
        ),
        "envelope_number": answered(envelope=base64.b64encode(b"1" * 10_000).decode()),
        "envelope_text": answered(envelope="\u0000\ud800 not base64"),
        "failure_numbers": answered(envelope="", inline=None, failure={**failure, "exit_code": 2**70}),
        "failure_text": answered(
            envelope="",
            inline=None,
            failure={**failure, "message": "\u0000\x1b[31m</message><hostid>1</hostid>\ud800" * 500},
        ),
        "failure_class": answered(envelope="", inline=None, failure={**failure, "failure_class": "nobody's"}),
        "version": with_(answer_version=2),
    }


KINDS = sorted(hostile({"answers": [{}]}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_answer_costs_only_its_own_task(project: Project, kind: str) -> None:
    project.submit("job-1", items=10)
    ada, honest = project.host("laptop", "ada"), project.host("desk", "operators")
    task = one_task(ada)
    done = Finished(task, hostile(json.loads(ada.run(task, project.clock.now()).answer))[kind])
    ada.upload(done)
    ada.done.append(done)
    reply = ada.call()
    assert not reply.all("hostid"), "nothing that it says becomes a tag"
    assert [each.text_of("name") for each in reply.all("result_ack")] == [task.name]
    project.settle()
    counts = project.counts("job-1")
    if kind != "negative_log":
        assert AttemptState.VALID not in counts, counts
        assert AttemptState.LEASED not in counts, counts
    project.pass_time(60)
    for path in ("/workers", "/jobs", "/job?job_id=job-1", "/api/jobs/job-1", "/api/boinc/hosts", "/api/workers"):
        assert project.http.get(path, headers=project.bearer).status_code == 200, path
    finish_all(honest, project)
    assert project.state("job-1") is JobState.COMPLETED


def test_an_answer_for_somebody_elses_attempt_is_passed_over(project: Project) -> None:
    project.account("bob")
    project.submit("job-1", items=20)
    ada, bob = project.host("laptop", "ada"), project.host("desk", "bob")
    mine, theirs = one_task(ada), one_task(bob)
    [lease] = bob.leases(theirs)
    said = json.loads(ada.run(mine, project.clock.now()).answer)
    stolen = ada.answer(lease, "b-2.1", project.clock.now())
    failed = {"attempt_id": lease.attempt_id, "failure": {"failure_class": "submitter", "code": "x", "message": "y"}}
    said["answers"] = [stolen, failed, *said["answers"], said["answers"][0]]
    done = Finished(mine, json.dumps(said).encode())
    ada.upload(done)
    ada.done.append(done)
    ada.call()
    project.settle()
    assert project.counts("job-1") == {AttemptState.VALID: 1, AttemptState.LEASED: 1}
    bob.finish(theirs, project.clock.now())
    bob.call()
    project.settle()
    assert project.state("job-1") is JobState.COMPLETED


def test_what_a_machine_says_of_itself_is_only_text(project: Project) -> None:
    evil = "</message><hostid>77</hostid><script>alert(1)</script>\x1b[2J\u202e'\"--"
    extra = "<host_venue>&lt;b&gt;</host_venue><worker_label>&lt;x&gt;</worker_label>"
    ada = project.host(evil[:60], "ada", extra=extra, seed=b"e" * 32)
    project.submit("job-1", items=10)
    task = one_task(ada)
    said = json.loads(ada.run(task, project.clock.now()).answer)
    said["engine"] = evil
    done = Finished(task, json.dumps(said).encode(), stderr="]]></stderr_txt><hostid>78</hostid>")
    ada.upload(done)
    ada.done.append(done)
    reply = ada.call()
    assert reply.text_of("hostid") in ("", "1")
    project.settle()
    page = project.http.get("/workers", headers=project.bearer).text
    assert "<script>alert(1)" not in page
    assert "\x1b" not in page
    words = json.dumps(project.http.get("/api/boinc/hosts", headers=project.bearer).json())
    assert "\\u001b" not in words


def test_a_last_word_that_is_no_failure(project: Project) -> None:
    project.submit("job-1", items=10, retry={"max_errors": 100, "max_attempts": 100})
    for n, words in enumerate(
        (
            "[" * 100_000,
            "null",
            '{"failure_class":"worker","code":1,"message":2}',
            '{"failure_class":"worker","code":"x","message":"y","exit_code":1e400}',
            '{"failure_class":"worker","code":"x","message":"y","items_done":' + "9" * 5000 + "}",
            '{"failure_class":"\\ud800","code":"x","message":"\\u0000\\ud800"}',
            '{"failure_class":"worker","code":"engine_missing","message":"</message><hostid>5</hostid>\\u0000"}',
        )
    ):
        ada = project.host(f"laptop-{n}", "ada", cpid=f"{n:032x}", seed=bytes([n]) * 32)
        task = one_task(ada)
        ada.done.append(Finished(task, b"", exit_status=1, client_state=3, stderr=f"fallow-failure {words}"))
        reply = ada.call()
        assert [each.text_of("name") for each in reply.all("result_ack")] == [task.name]
        assert not reply.all("hostid")
        project.settle()
    finish_all(project.host("desk", "operators"), project)
    assert project.state("job-1") is JobState.COMPLETED


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b"nan",
        b"\xff",
        b'{"files":null}',
        b'{"files":{}}',
        b'{"files":[null,1,"x",[],{"base64":"eA=="},{"path":[],"base64":"eA=="},{"path":"out","base64":7}]}',
        b'{"files":[{"path":"out"}]}',
        b'{"files":[{"path":"out","base64":"!"}]}',
        b'{"files":[{"path":"out","base64":"\xc3\xa9"}]}',
        b'{"error":{"code":"x"},"files":[{"path":"out","base64":"eA=="}]}',
    ],
)
def test_an_answer_is_no_file_of_a_batch_unless_it_is_one(line: bytes) -> None:
    assert [each for each in contents(line, ("out", "other")) if each not in (line, b"")] == []


def test_the_files_of_an_answer_end_at_the_first_that_is_none() -> None:
    line = b'{"files":[{"path":"b","base64":"!"},{"path":"a","base64":"eA=="},{"path":"c","base64":"eQ=="},7]}'
    assert contents(line, ("a", "c", "b")) == [b"x", b"y"]
    assert contents(line, ("a", "b", "c")) == [b"x"]
