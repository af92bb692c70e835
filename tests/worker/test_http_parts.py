"""The parts of the http contract that need no model server: how many at once, what an item asks, the way in."""

import json
import os
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.worker.answers import is_error_answer, parse_json
from fallow.worker.contracts.http_items import Request, answer_line, error_answer, request_id, request_of
from fallow.worker.contracts.http_pace import Pace
from fallow.worker.engines.gate import Gate, may_enter


def drive(pace: Pace, best: int, answers: int, start: float = 0.0) -> float:
    """A server that is faster with more requests up to `best` at once, and no faster beyond."""
    now = start
    for _ in range(answers):
        now += 1.0 / min(pace.limit, best)
        pace.answered(now, pace.limit)
    return now


@pytest.mark.parametrize("best", [1, 4, 8, 16])
def test_the_pace_finds_what_the_server_can_use(best):
    pace = Pace(64)
    drive(pace, best, 5000)
    assert best <= pace.limit <= max(4, 2 * best)


def test_the_pace_keeps_to_its_limits():
    assert Pace(1).limit == 1
    pace = Pace(5)
    drive(pace, 1000, 5000)
    assert pace.limit == 5


def test_a_strain_halves_and_growth_begins_again_slowly():
    pace = Pace(64)
    now = drive(pace, 64, 5000)
    assert pace.limit == 64
    pace.strained()
    assert pace.limit == 32
    drive(pace, 64, 32 * 2 * 13, now)
    assert 32 < pace.limit < 64
    for _ in range(10):
        pace.strained()
    assert pace.limit == 1


def test_answers_while_there_is_little_to_do_teach_nothing():
    pace = Pace(64)
    for moment in range(1000):
        pace.answered(float(moment), 1)
    assert pace.limit == 2


@given(st.floats(0.001, 100), st.lists(st.sampled_from(["answer", "strain", "idle"]), max_size=300))
def test_the_pace_is_always_between_one_and_the_most(gap, events):
    pace, now = Pace(7), 0.0
    for event in events:
        now += gap
        if event == "strain":
            pace.strained()
        else:
            pace.answered(now, pace.limit if event == "answer" else 0)
        assert 1 <= pace.limit <= 7


def test_request_ids_are_the_same_everywhere_and_differ_by_item():
    assert request_id("job", 1) == request_id("job", 1)
    assert len({request_id("job", n) for n in range(100)} | {request_id("other", 1)}) == 101


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)


@given(JSON)
def test_every_item_is_a_request_or_an_error_line(item):
    line = json.dumps(item).encode()
    found = request_of(line, "/v1/x", "req_1")
    if isinstance(found, Request):
        assert isinstance(item, dict)
        assert parse_json(found.body) == item
    else:
        assert is_error_answer(found)
        assert b"\n" not in found


@given(st.text(), JSON, st.sampled_from([None, 1, 2]))
def test_an_answer_keeps_every_value(custom_id, body, indent):
    request = Request("/v1/x", b"{}", "req_1", custom_id)
    line = answer_line(request, 200, json.dumps(body, indent=indent).encode())
    assert b"\n" not in line
    response = {"status_code": 200, "request_id": "req_1", "body": body}
    assert parse_json(line) == {"custom_id": custom_id, "response": response}
    assert not is_error_answer(line)


@given(st.integers(300, 599), st.binary(), st.sampled_from([None, "c"]))
def test_any_error_answer_makes_an_error_line(status, body, custom_id):
    line = error_answer(Request("/v1/x", b"{}", "req_1", custom_id), status, body)
    assert is_error_answer(line)
    said = parse_json(line)
    assert said["error"]["code"] == f"http_{status}"
    assert said["error"]["message"]
    assert said["response"]["status_code"] == status
    assert ("custom_id" in said) == (custom_id is not None)


@pytest.mark.containers
class TestGate:
    """As root: into the network of a process that has one of its own."""

    @pytest.fixture
    def apart(self):
        """A process in a fresh network namespace, with a server on its loopback address."""
        program = (
            "import socket; s = socket.create_server(('127.0.0.1', 8000)); print('up', flush=True)\n"
            "while True: c, _ = s.accept(); c.sendall(b'from inside'); c.close()"
        )
        up = f'ip link set lo up 2>/dev/null || ifconfig lo up; exec {sys.executable} -c "$0"'
        process = subprocess.Popen(["unshare", "-n", "sh", "-c", up, program], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process
        process.kill()
        process.wait()
        process.stdout.close()

    def test_it_connects_inside_and_nowhere_else(self, apart):
        gate = Gate(apart.pid)
        try:
            with gate.connect(8000) as inside:
                assert inside.recv(100) == b"from inside"
            with socket.create_server(("127.0.0.1", 0)) as outside, pytest.raises(ConnectionRefusedError):
                gate.connect(outside.getsockname()[1])
        finally:
            gate.close()

    def test_connections_outlive_the_gate(self, apart):
        gate = Gate(apart.pid)
        inside = gate.connect(8000)
        gate.close()
        with inside:
            assert inside.recv(100) == b"from inside"

    def test_a_process_that_is_gone(self, apart):
        apart.kill()
        apart.wait()
        with pytest.raises(OSError, match=r"."):
            Gate(apart.pid)

    def test_it_leaves_no_process_behind(self, apart):
        gate = Gate(apart.pid)
        child = gate._child.pid
        gate.close()
        assert not os.path.exists(f"/proc/{child}")

    def test_whether_this_user_may(self):
        assert may_enter() == (os.geteuid() == 0)

    def test_many_connections_cost_little_and_leak_nothing(self, apart):
        gate = Gate(apart.pid)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(200):
            gate.connect(8000).close()
        assert len(os.listdir("/proc/self/fd")) == before
        assert len(os.listdir(f"/proc/{gate._child.pid}/fd")) < 20
        gate.close()
