"""The http contract with good and bad servers: each item gets its own line in its own place, and the right blame."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fallow.protocols.rest.work import HttpMessage, LimitsMessage
from fallow.worker.contracts.http_items import request_id
from fallow.worker.engines.process import ProcessEngine
from tests.worker.conftest import Rig

MIB = 1 << 20
PROGRAM = str(Path(__file__).with_name("modelserver.py"))


@pytest.fixture
def rig(server, tmp_path):
    rig = Rig(server, tmp_path, ProcessEngine(True, tmp_path / "processes"), None)
    yield rig
    rig.close()


def serve(rig, bodies, **fields):
    """One attempt over these bodies, as request lines unless they are something else than objects with an n."""
    items = b"".join(json.dumps(body).encode() + b"\n" for body in bodies)
    fields.setdefault("contract", "http")
    return rig.run(sys.executable, PROGRAM, str(rig.directory), items=items, **fields)


def asked(n, **members):
    return {"custom_id": f"c{n}", "method": "POST", "url": "/v1/chat/completions", "body": {"n": n, **members}}


def lines_of(ended):
    return [json.loads(line) for line in ended.answers.splitlines()]


def codes(ended):
    return {n: line["error"]["code"] for n, line in enumerate(lines_of(ended)) if "error" in line}


def test_request_lines_and_bare_bodies(rig):
    bodies = [asked(0), {"n": 1}, {**asked(2), "url": "/v1/embeddings", "extra": 1}, {"n": 3, "pretty": 1}]
    ended = serve(rig, bodies, http=HttpMessage(path="/v1/completions"), job_id="j", item_start=70)
    assert ended.fault is None
    assert codes(ended) == {}
    first, second, third, fourth = lines_of(ended)
    said = {"path": "/v1/chat/completions", "n": 0, "most": None}
    response = {"status_code": 200, "request_id": request_id("j", 70), "body": said}
    assert first == {"custom_id": "c0", "response": response}
    assert second == {"path": "/v1/completions", "n": 1, "most": None}
    assert third["response"]["body"]["path"] == "/v1/embeddings"
    assert fourth["n"] == 3
    assert ended.receipt.item_errors == 0
    assert b"loading" in ended.log


def test_answers_come_in_any_order_and_leave_in_theirs(rig):
    bodies = [asked(n, sleep=0.3 if n % 7 == 0 else 0, most=1) for n in range(60)]
    ended = serve(rig, bodies)
    lines = lines_of(ended)
    assert [line["custom_id"] for line in lines] == [f"c{n}" for n in range(60)]
    assert [line["response"]["body"]["n"] for line in lines] == list(range(60))
    assert max(line["response"]["body"]["most"] for line in lines) > 1
    assert rig.control.items_done == 60


def test_never_more_at_once_than_allowed(rig):
    ended = serve(rig, [asked(n, sleep=0.005, most=1) for n in range(200)], http=HttpMessage(concurrency_max=3))
    assert max(line["response"]["body"]["most"] for line in lines_of(ended)) <= 3


@pytest.mark.parametrize(
    ("item", "code", "custom_id"),
    [
        ([1], "item_invalid", None),
        ("text", "item_invalid", None),
        ({**asked(1), "method": "GET"}, "item_invalid", "c1"),
        ({**asked(1), "url": "http://elsewhere/v1"}, "item_invalid", "c1"),
        ({**asked(1), "url": "//elsewhere/v1"}, "item_invalid", "c1"),
        ({**asked(1), "url": "/v1 HTTP/1.1\r\nX: y"}, "item_invalid", "c1"),
        ({**asked(1), "url": "/v1/é"}, "item_invalid", "c1"),
        ({**asked(1), "url": 7}, "item_invalid", "c1"),
        ({**asked(1), "body": "text"}, "item_invalid", "c1"),
        ({**asked(1), "custom_id": 5}, "item_invalid", None),
        (asked(1, stream=True), "stream_refused", "c1"),
        ({"n": 1, "stream": True}, "stream_refused", None),
    ],
)
def test_items_that_cannot_be_asked(rig, item, code, custom_id):
    ended = serve(rig, [asked(0), item, asked(2)])
    lines = lines_of(ended)
    assert codes(ended) == {1: code}
    assert lines[1].get("custom_id") == custom_id
    assert [lines[0]["custom_id"], lines[2]["custom_id"]] == ["c0", "c2"]
    if custom_id:
        assert lines[1]["response"] is None


def test_an_answer_of_400_is_the_items_own(rig):
    bad = {"do": "status", "status": 400}
    ended = serve(rig, [asked(0), asked(1, **bad), {"n": 2, **bad}, asked(3, **bad, body="<p>No</p>")], job_id="j")
    lines = lines_of(ended)
    assert codes(ended) == {1: "http_400", 2: "http_400", 3: "http_400"}
    body = {"error": {"message": "no 1", "code": 7}}
    response = {"status_code": 400, "request_id": request_id("j", 1), "body": body}
    error = {"code": "http_400", "message": "no 1"}
    assert lines[1] == {"error": error, "custom_id": "c1", "response": response}
    assert lines[2]["response"]["status_code"] == 400
    assert "custom_id" not in lines[2]
    assert lines[3]["response"]["body"]["error"]["message"] == "<p>No</p>"
    assert ended.receipt.item_errors == 3


def test_redirects_are_not_followed(rig):
    away = {"do": "status", "status": 302, "headers": {"Location": "/v1/elsewhere"}}
    assert codes(serve(rig, [asked(0, **away), asked(1)])) == {0: "http_302"}


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503])
def test_what_may_pass_is_asked_again(rig, status):
    ended = serve(rig, [asked(n, do="status_once", status=status) for n in range(3)])
    assert ended.fault is None
    assert codes(ended) == {}
    assert [line["response"]["body"]["n"] for line in lines_of(ended)] == [0, 1, 2]


def test_what_does_not_pass_is_an_error_line(rig):
    ended = serve(rig, [asked(0), asked(1, do="status", status=500), asked(2)])
    assert codes(ended) == {1: "http_500"}


def test_retry_after_is_obeyed(rig):
    waits = {"do": "status_once", "status": 429, "headers": {"Retry_After": "1"}}
    began = time.monotonic()
    assert codes(serve(rig, [asked(0, **waits)])) == {}
    assert time.monotonic() - began >= 1


def test_a_server_that_says_too_many_is_asked_less(rig):
    ended = serve(rig, [asked(n, do="busy", most=2) for n in range(100)])
    assert codes(ended) == {}
    assert len(lines_of(ended)) == 100


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("hello\r\n\r\n", "malformed_answer"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "not_json"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nNaN", "not_json"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "not_json"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 900000000000\r\n\r\n", "output_too_large"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "no_answer"),
        ("HTTP/1.1 200 OK\r\n" + "X: y\r\n" * 200 + "\r\n", "malformed_answer"),
        ("HTTP/1.1 200 OK\r\nX: " + "y" * 70_000 + "\r\n\r\n", "malformed_answer"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}", "no_answer"),
    ],
)
def test_answers_that_are_none(rig, raw, code):
    ended = serve(rig, [asked(0), asked(1, do="raw", raw=raw), asked(2)])
    assert ended.fault is None
    assert codes(ended) == {1: code}


def test_an_answer_that_never_ends_is_not_read_to_its_end(rig):
    limits = LimitsMessage(item_output_bytes=MIB)
    ended = serve(rig, [asked(0), asked(1, do="huge", size=50 * MIB), asked(2)], limits=limits)
    assert codes(ended) == {1: "output_too_large"}


def test_large_answers_of_later_items_wait_on_disk(rig):
    ended = serve(rig, [asked(0, sleep=0.5), *(asked(n, do="huge", size=2 * MIB) for n in range(1, 9))])
    assert ended.fault is None
    assert [len(line) > 2 * MIB for line in ended.answers.splitlines()] == [False] + [True] * 8


def test_the_chunks_output_is_bounded(rig):
    limits = LimitsMessage(output_bytes=5 * MIB)
    ended = serve(rig, [asked(n, do="huge", size=MIB) for n in range(20)], limits=limits)
    assert (str(ended.fault.failure_class), ended.fault.code) == ("limits", "output_too_large")
    assert len(ended.answers.splitlines()) == 4


def test_a_dropped_connection_is_tried_again(rig):
    ended = serve(rig, [asked(0), asked(1, do="drop_once"), asked(2, do="drop"), asked(3)])
    assert codes(ended) == {2: "no_answer"}


def test_the_item_that_kills_the_server_is_found(rig):
    bodies = [asked(n, sleep=0.02) for n in range(40)]
    bodies[17] = asked(17, do="die")
    bodies[39] = asked(39, do="die")
    ended = serve(rig, bodies, item_start=1000)
    assert ended.fault is None
    assert codes(ended) == {17: "model_server_died", 39: "model_server_died"}
    assert [line["custom_id"] for line in lines_of(ended)] == [f"c{n}" for n in range(40)]
    assert b"out of tokens" in ended.log


def test_a_server_that_dies_once_costs_nobody_an_answer(rig):
    ended = serve(rig, [asked(n, do="die_once") if n in (0, 20) else asked(n) for n in range(40)])
    assert ended.fault is None
    assert codes(ended) == {}


def test_a_server_that_somebody_kills(rig):
    """Whoever was under way is not to blame."""
    found = []

    def kill():
        # The server is the process whose parent is this test's, running that program.
        until = time.monotonic() + 20
        while not found and time.monotonic() < until:
            wanted = ["pgrep", "-f", f"{PROGRAM} {rig.directory}"]
            listed = subprocess.run(wanted, capture_output=True, text=True, check=False)
            found.extend(int(pid) for pid in listed.stdout.split())
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(found[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    ended = serve(rig, [asked(n, sleep=0.05) for n in range(100)])
    thread.join()
    assert found
    assert "fresh one" in " ".join(rig.notes)
    assert codes(ended) == {}
    assert len(lines_of(ended)) == 100


def test_too_many_deaths_are_handed_on(rig):
    ended = serve(rig, [asked(n, do="die") for n in range(40)], http=HttpMessage(concurrency_max=1))
    assert (str(ended.fault.failure_class), ended.fault.code) == ("submitter", "model_server_died")
    done = len(lines_of(ended))
    assert 5 <= done < 40
    assert ended.fault.bad_item == done


def test_an_item_that_takes_too_long(rig):
    limits = LimitsMessage(item_timeout_seconds=0.5)
    bodies = [asked(0), asked(1, do="hang"), asked(2), asked(3, do="trickle"), asked(4)]
    ended = serve(rig, bodies, limits=limits)
    assert ended.fault is None
    assert codes(ended) == {1: "item_timeout", 3: "item_timeout"}
    assert lines_of(ended)[1]["error"]["message"] == "The item took longer than the item timeout of 0.5 s."


def test_a_server_that_hangs_is_started_anew(rig):
    limits = LimitsMessage(item_timeout_seconds=0.5)
    ended = serve(rig, [asked(0), asked(1, do="freeze"), asked(2)], limits=limits)
    assert ended.fault is None
    assert codes(ended) == {1: "item_timeout"}
    assert "fresh one" in " ".join(rig.notes)


def test_the_memory_limit_is_named(rig):
    limits = LimitsMessage(memory_bytes=200 * MIB)
    ended = serve(rig, [asked(0), asked(1, do="eat", size=400 * MIB), asked(2)], limits=limits)
    assert ended.fault is None
    assert codes(ended) == {1: "out_of_memory"}
    assert "200 MiB" in lines_of(ended)[1]["error"]["message"]


def test_a_server_that_never_starts(rig):
    ended = serve(rig, [asked(0)], env={"NEVER": "1"})
    assert (str(ended.fault.failure_class), ended.fault.code, ended.fault.exit_code) == ("submitter", "exit_code", 3)
    assert "loading" in ended.finished.log_tail


def test_a_server_that_is_never_ready(rig):
    ended = serve(rig, [asked(0)], env={"SLOW": "1"}, limits=LimitsMessage(start_timeout_seconds=1))
    assert (str(ended.fault.failure_class), ended.fault.code) == ("limits", "start_timeout")


def test_a_server_that_always_says_not_yet(rig):
    ended = serve(rig, [asked(0)], env={"HEALTH": "503"}, limits=LimitsMessage(start_timeout_seconds=1))
    assert ended.fault.code == "start_timeout"


def test_a_server_without_a_health_path_is_asked_for_its_models(rig):
    assert serve(rig, [asked(0)], env={"HEALTH": "404"}).fault is None


def test_the_chunks_time_is_bounded(rig):
    ended = serve(rig, [asked(0), asked(1, do="hang")], limits=LimitsMessage(chunk_timeout_seconds=2))
    assert (str(ended.fault.failure_class), ended.fault.code) == ("limits", "chunk_timeout")
    assert len(lines_of(ended)) == 1


def test_the_owner_may_stop_it(rig):
    threading.Timer(1.0, rig.control.stop, ["Enough."]).start()
    ended = serve(rig, [asked(0), asked(1, do="hang")])
    assert (str(ended.fault.failure_class), ended.fault.code) == ("aborted", "stopped")


def test_one_server_for_all_chunks_of_a_job(rig):
    first = serve(rig, [asked(0)], reuse="job")
    second = serve(rig, [asked(1)], reuse="job", job_id="job")
    third = serve(rig, [asked(2)], reuse="job", job_id="another")
    assert [each.fault for each in (first, second, third)] == [None] * 3
    assert [b"loading" in each.log for each in (first, second, third)] == [True, False, True]


def test_a_warm_server_that_died_between_chunks_is_started_anew(rig):
    assert serve(rig, [asked(0)], reuse="job").fault is None
    place = rig.slot.shelf._session.place
    place.server.running.kill()
    ended = serve(rig, [asked(1)], reuse="job")
    assert ended.fault is None
    assert codes(ended) == {}


def test_large_answers_do_not_stand_in_each_others_way(rig):
    """Of large answers few are read at once; a server that dies meanwhile must not leave the others waiting."""
    bodies = [asked(n, do="huge", size=3 * MIB) if n % 2 else asked(n, sleep=0.01) for n in range(40)]
    bodies[20] = asked(20, do="die")
    ended = serve(rig, bodies)
    assert ended.fault is None
    assert codes(ended) == {20: "model_server_died"}
    assert [len(line) > 3 * MIB for line in ended.answers.splitlines()] == [bool(n % 2) for n in range(40)]
