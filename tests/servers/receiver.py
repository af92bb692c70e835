"""A real receiver of webhooks, which checks what comes with the openai package's own `unwrap`."""

import importlib
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_CLIENTS = Path(__file__).parents[2] / ".cache" / "openai"


@dataclass(frozen=True)
class Call:
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """answers: (status, headers, body) of the next calls, in order; 200 when there is none left. taken: calls that were
    answered with 2xx. refused: the others. gate: set while it may answer."""

    port: int = 0
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    taken: list[Call] = field(default_factory=list)
    refused: list[Call] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    gate: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    """The receiver on its port, or on any the first time."""
    receiver.gate.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            call = Call({name.lower(): value for name, value in self.headers.items()}, body)
            receiver.gate.wait(60)
            with receiver.lock:
                status, headers, answer = receiver.answers.pop(0) if receiver.answers else (200, {}, b"")
                (receiver.taken if 200 <= status < 300 else receiver.refused).append(call)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    class Listening(ThreadingHTTPServer):
        allow_reuse_address = True
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A caller that breaks off is part of it."""

    with Listening(("127.0.0.1", receiver.port), Handler) as server:
        receiver.port = int(server.server_address[1])
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield receiver
        finally:
            receiver.gate.set()
            server.shutdown()


def openai_package() -> Any:
    """The newest of the openai packages that the tests use (scripts/openai-clients.sh fetches them)."""
    folders = [each for each in _CLIENTS.glob("*") if re.fullmatch(r"[\d.]+", each.name)]
    assert folders, "there is no openai package: run scripts/openai-clients.sh"
    newest = max(folders, key=lambda each: tuple(map(int, each.name.split("."))))
    if str(newest) not in sys.path:
        sys.path.append(str(newest))  # last: what both need is ours
    return importlib.import_module("openai")


def unwrapped(call: Call, secret: str) -> Any:
    """The event, if the package finds its signature good; it raises InvalidWebhookSignatureError otherwise."""
    client = openai_package().OpenAI(api_key="none", webhook_secret=secret)
    return client.webhooks.unwrap(call.body, call.headers)
