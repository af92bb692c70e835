"""The client against a door that breaks: a small real HTTP server that plays a script."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import fallow
from fallow.core.refusals import Code
from fallow.sdk import transport

WHOLE = b"".join(b'{"n":%d}\n' % number for number in range(5000))


@dataclass
class Script:
    """What was asked, and who answers. An answerer returns False to break the connection off."""

    answer: Callable[[BaseHTTPRequestHandler], bool] = lambda _handler: False
    asked: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setattr(transport, "_WAIT_SECONDS", 0.001)
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            script.asked.append(f"{self.command} {self.path}")
            if not script.answer(self):
                self.close_connection = True

        do_POST = do_PUT = do_HEAD = do_PATCH = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


def say(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> bool:
    handler.send_response(status)
    for name, value in {"content-length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)
    return True


def said(value: object) -> bytes:
    return json.dumps(value).encode()


def test_what_may_be_repeated_is_repeated(door: Script) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if len(door.asked) == 1:
            return False
        if len(door.asked) == 2:
            return say(handler, 503, b"starting")
        return say(handler, 200, said({"workers": []}))

    door.answer = answer
    assert fallow.Client(door.url).workers() == []
    assert len(door.asked) == 3


def test_a_submission_is_never_sent_twice(door: Script) -> None:
    with pytest.raises(fallow.Refusal) as lost:
        fallow.Client(door.url).submit(input_uri="s3://b/in.jsonl", container_image="model:1")
    assert lost.value.code is Code.SERVER_UNREACHABLE
    assert door.asked == ["POST /api/jobs"]


def test_a_refusal_keeps_its_code_remedy_and_details(door: Script) -> None:
    error = {"code": "output_exists", "message": "No.", "remedy": "Do so.", "details": {"uri": "u"}}
    door.answer = lambda handler: say(handler, 409, said({"error": error}))
    with pytest.raises(fallow.Refusal) as refused:
        fallow.Client(door.url).job("job-1")
    assert (refused.value.code, refused.value.message, refused.value.remedy) == (Code.OUTPUT_EXISTS, "No.", "Do so.")
    assert refused.value.details == {"uri": "u", "status": 409}


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"error": "Job not found"}', b'{"error": {"code": "new_one"}}', b"\xff"]
)
def test_a_strange_error_is_still_a_refusal(door: Script, body: bytes) -> None:
    door.answer = lambda handler: say(handler, 404, body)
    with pytest.raises(fallow.Refusal) as refused:
        fallow.Client(door.url).job("job-1")
    assert refused.value.code is Code.NOT_FOUND


def test_a_strange_answer_is_a_refusal_and_a_newer_one_is_not(door: Script) -> None:
    door.answer = lambda handler: say(handler, 200, said({"workers": [], "since": "a newer server"}))
    assert fallow.Client(door.url).workers() == []
    door.answer = lambda handler: say(handler, 200, b"<html>")
    with pytest.raises(fallow.Refusal, match="not a WorkerList"):
        fallow.Client(door.url).workers()


def test_an_upload_goes_on_where_it_broke_off(door: Script, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(WHOLE)
    kept = bytearray()

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if handler.command == "HEAD":
            return say(handler, 200, b"", upload_offset=str(len(kept)))
        first = int(handler.headers["content-range"].split()[1].split("-")[0])
        assert first == len(kept)
        length = int(handler.headers["content-length"])
        if not kept:
            kept.extend(handler.rfile.read(length // 2))
            return False
        kept.extend(handler.rfile.read(length))
        return say(handler, 201, said({"uri": "fallow:x", "sha256": "0" * 64, "size_bytes": len(kept)}))

    door.answer = answer
    seen: list[tuple[int, int]] = []
    assert fallow.Client(door.url).upload(path, lambda sent, total: seen.append((sent, total))).uri == "fallow:x"
    assert bytes(kept) == WHOLE
    assert seen[-1] == (len(WHOLE), len(WHOLE))


def test_a_download_goes_on_where_it_broke_off_and_starts_over_when_the_file_changed(
    door: Script, tmp_path: Path
) -> None:
    other = WHOLE.replace(b"n", b"m")
    served = {"first": (WHOLE, '"1"'), "then": (WHOLE, '"1"')}

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        body, etag = served["first" if len(door.asked) == 1 else "then"]
        start = int((handler.headers.get("range") or "bytes=0-")[6:-1])
        if handler.headers.get("if-range") not in (None, etag):
            start = 0
        handler.send_response(206 if start else 200)
        handler.send_header("content-length", str(len(body) - start))
        handler.send_header("etag", etag)
        handler.end_headers()
        handler.wfile.write(body[start:] if len(door.asked) > 1 else body[: len(body) // 2])
        return len(door.asked) > 1

    door.answer = answer
    (path,) = fallow.Client(door.url).download("job-1", tmp_path / "a", ["output.jsonl"])
    assert path.read_bytes() == WHOLE
    assert len(door.asked) == 2
    door.asked.clear()
    served["then"] = (other, '"2"')
    (path,) = fallow.Client(door.url).download("job-1", tmp_path / "b", ["output.jsonl"])
    assert path.read_bytes() == other
    assert [each.name for each in (tmp_path / "b").iterdir()] == ["output.jsonl"]


def test_events_go_on_behind_the_last_one_seen(door: Script) -> None:
    def event(number: int) -> bytes:
        line = {
            "story_id": number,
            "at": "2026-11-22T04:10:00.000Z",
            "kind": "job",
            "chunk_id": None,
            "attempt_id": None,
        }
        line |= {"from_state": "", "to_state": "planning", "event": "submit", "cause": "", "by": "key"}
        return b"id: %d\nevent: job\ndata: %b\n\n" % (number, said(line))

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        after = int(handler.headers["last-event-id"])
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("connection", "close")
        handler.end_headers()
        handler.wfile.write(b": hello\n\n" + event(after + 1))
        handler.wfile.write(b"event: over\ndata: {}\n\n" if after == 2 else event(after + 2)[:20])
        return False

    door.answer = answer
    assert [line.story_id for line in fallow.Client(door.url).events("job-1")] == [1, 2, 3]


def test_the_environment_stands_in(door: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FALLOW_SERVER", door.url)
    monkeypatch.setenv("FALLOW_TOKEN", "flw_a_b")
    keys: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        keys.append(handler.headers["authorization"])
        return say(handler, 200, said({"workers": []}))

    door.answer = answer
    with fallow.Client() as client:
        client.workers()
    assert keys == ["Bearer flw_a_b"]


def test_importing_the_package_loads_nothing_more() -> None:
    """A worker imports it too, and must stay light."""
    import subprocess
    import sys

    program = "import sys, fallow; print(*{'pydantic', 'httpx2', 'fastapi'} & set(sys.modules)); fallow.Client()"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "\n"
