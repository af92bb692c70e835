"""Bodies that never end or never begin, on real connections to a real process: its memory stays bounded."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.boinc.test_bad_input import CGI, SUBMIT, UPLOAD
from tests.e2e.house import House
from tests.web.raw import Answer, Wire, framed

MIB = 1 << 20
GROWTH_BYTES_MAX = 200 * MIB  # of a process that takes requests of 16 MiB, four at once here
SENT_MAX = 300 * MIB


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    running = House(tmp_path_factory.mktemp("house"))
    running.start_server()
    yield running
    running.server.stop()


def peak_bytes(house: House) -> int:
    """The most memory that the process ever held."""
    assert house.server.running is not None
    said = Path(f"/proc/{house.server.running.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", said)
    assert found is not None
    return int(found[1]) * 1024


def endless(house: House, path: str, begin: bytes, piece: bytes, at_once: int = 4) -> tuple[int, list[Answer]]:
    """Chunked bodies that go on until the server hangs up. How much it took at most, and what it said."""
    head = framed(house.url, f"POST {path} HTTP/1.1\nTransfer-Encoding: chunked\nContent-Type: text/xml")
    chunk = b"%x\r\n%s\r\n" % (len(piece), piece)
    sent = [0] * at_once
    with ExitStack() as open_now:
        wires = [open_now.enter_context(Wire(house.url)) for _ in range(at_once)]
        for wire in wires:
            wire.send(head + b"%x\r\n%s\r\n" % (len(begin), begin))
        alive = set(range(at_once))
        while alive and max(sent) < SENT_MAX:
            for number in sorted(alive):
                gone = wires[number].send(chunk)
                sent[number] += gone
                if gone < len(chunk):
                    alive.discard(number)
        return max(sent), [wire.answer() for wire in wires]


@pytest.mark.parametrize(
    ("path", "begin"),
    [
        (CGI, b"<scheduler_request>"),
        (UPLOAD, b"<data_server_request>\n<file_upload>\n<file_info>\n<name>answer_1_" + b"0" * 32 + b"</name>"),
        (SUBMIT, b"request=<submit_batch>"),
    ],
)
def test_endless_bodies_are_not_kept(house: House, path: str, begin: bytes) -> None:
    before = peak_bytes(house)
    taken, answers = endless(house, path, begin, b"<a>" * 21_845)
    assert taken < 64 * MIB
    assert {each.status for each in answers} <= {200, 0}, answers
    assert peak_bytes(house) - before < GROWTH_BYTES_MAX
    assert httpx2.get(house.url + "/boinc/", timeout=20).status_code == 200


def test_a_body_that_breaks_off_is_no_mistake(house: House) -> None:
    for path in (CGI, UPLOAD, SUBMIT):
        for body in (b"", b"<scheduler_request>", b"x" * 100_000):
            with Wire(house.url) as wire:
                wire.send(framed(house.url, f"POST {path} HTTP/1.1\nContent-Length: 1000000") + body)
    for path in (CGI, UPLOAD, SUBMIT):
        answer = httpx2.post(house.url + path, content=b"", timeout=20)
        assert answer.status_code == 200
    assert "request.failed" not in house.server.output
    assert "Traceback" not in house.server.output


@pytest.mark.parametrize("length", ["-1", "1e3", "5, 6", "+5", ""])
def test_lengths_that_lie(house: House, length: str) -> None:
    with Wire(house.url) as wire:
        wire.send(framed(house.url, f"POST {CGI} HTTP/1.1\nContent-Length: {length}") + b"<scheduler_request>" * 10)
        assert wire.answer().status in (200, 400, 0)
    assert "Traceback" not in house.server.output
