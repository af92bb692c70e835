"""The agent tells of its logs: only of what somebody looks at, only what is new, faster than its heartbeats."""

import sys

import msgspec

from fallow.protocols.rest import work as wire

GATED = (
    "import sys,os,time\n"
    "sys.stderr.write('first \\u00e9\\n'); sys.stderr.flush()\n"
    "while not os.path.exists(sys.argv[1]): time.sleep(0.02)\n"
    "sys.stderr.write('second\\n'); sys.stderr.flush()\n"
    "while not os.path.exists(sys.argv[2]): time.sleep(0.02)\n"
    "for line in sys.stdin: sys.stdout.write(line)\n"
)


def gated(server, tmp_path):
    """An attempt that says something, waits for a file, says more, and waits for another one."""
    gates = [tmp_path / "one", tmp_path / "two"]
    command = (sys.executable, "-uc", GATED, *map(str, gates))
    return server.lease(b'{"n":1}\n', command=command), *gates


def told(server, lease):
    """What the server could put together, and whether it fits."""
    log = b""
    for ask in server.asks:
        for part in ask.logs:
            if part.attempt_id == lease.attempt_id:
                assert part.start == len(log)
                log += part.data
    return log


def test_a_log_is_told_while_it_grows_and_each_byte_once(server, agent, tmp_path):
    lease, one, two = gated(server, tmp_path)
    server.watched.add(lease.attempt_id)
    agent()
    server.until(lambda: told(server, lease) == "first é\n".encode())
    one.touch()
    server.until(lambda: told(server, lease) == "first é\nsecond\n".encode())
    two.touch()
    assert server.report_of(lease).failure is None
    assert server.log(lease) == "first é\nsecond\n".encode()


def test_nothing_is_told_while_nobody_looks(server, agent, tmp_path):
    lease, one, two = gated(server, tmp_path)
    agent()
    server.until(lambda: any(ask.holding for ask in server.asks))
    one.touch()
    two.touch()
    server.report_of(lease)
    assert [ask.logs for ask in server.asks if ask.logs] == []


def test_a_server_that_does_not_know_of_it_and_an_agent_that_does_not():
    """Both sides leave out what they do not know."""
    old_answer = msgspec.json.encode({"acks": [], "leases": [], "stop": [], "wait_seconds": 1.0})
    assert msgspec.json.decode(old_answer, type=wire.Answer).watched == ()

    class OldAsk(msgspec.Struct):
        worker_id: str
        session: str

    new_ask = wire.Ask("w-1", "s", logs=(wire.LogPart(1, 0, b"\x00\xff"),))
    assert msgspec.json.decode(msgspec.json.encode(new_ask), type=OldAsk) == OldAsk("w-1", "s")
    assert msgspec.json.decode(msgspec.json.encode(new_ask), type=wire.Ask) == new_ask
