"""A small server of the http contract for the tests, that does whatever its requests ask for.

Run as a program: `python modelserver.py [STATE_DIR]`. The body's member "do" says what: see `DEEDS`. A mark in
STATE_DIR survives the program, so that a deed can be done once only.
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STATE = Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    under_way = 0
    most = 0
    lock = threading.Lock()

    def log_message(self, *_args: object) -> None:
        return

    def do_GET(self) -> None:
        health = os.environ.get("HEALTH", "200")
        if self.path == "/health" and health != "200":
            self.answer(int(health), b"{}")
        else:
            self.answer(200, b'{"object":"list","data":[]}')

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw)
        with Handler.lock:
            Handler.under_way += 1
            Handler.most = max(Handler.most, Handler.under_way)
        try:
            self.do(body)
        finally:
            with Handler.lock:
                Handler.under_way -= 1

    def do(self, body: dict) -> None:
        deed = DEEDS.get(body.get("do", ""))
        if deed is not None:
            deed(self, body)
            return
        time.sleep(body.get("sleep", 0))
        echo = {"path": self.path, "n": body.get("n"), "most": Handler.most if "most" in body else None}
        self.answer(200, json.dumps(echo, indent=1 if "pretty" in body else None).encode())

    def answer(self, status: int, data: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def first_time(self, name: object) -> bool:
        """Whether this is the first call for the name, in this program or one before it."""
        try:
            (STATE / f"seen-{name}").open("x").close()
        except FileExistsError:
            return False
        return True

    def die(self, _body: dict) -> None:
        sys.stderr.write("out of tokens\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    def die_once(self, body: dict) -> None:
        if self.first_time(body["n"]):
            self.die(body)
        self.answer(200, b'{"n":%d}' % body["n"])

    def status(self, body: dict) -> None:
        said = body.get("body", {"error": {"message": f"no {body['n']}", "code": 7}})
        data = said.encode() if isinstance(said, str) else json.dumps(said).encode()
        self.answer(body["status"], data, **body.get("headers", {}))

    def status_once(self, body: dict) -> None:
        if self.first_time(body["n"]):
            self.status(body)
        else:
            self.answer(200, b'{"n":%d}' % body["n"])

    def raw(self, body: dict) -> None:
        self.wfile.write(body["raw"].encode("latin-1"))
        self.close_connection = True

    def drop(self, _body: dict) -> None:
        self.close_connection = True

    def drop_once(self, body: dict) -> None:
        if self.first_time(body["n"]):
            self.close_connection = True
        else:
            self.answer(200, b'{"n":%d}' % body["n"])

    def huge(self, body: dict) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b'"' + b"x" * body["size"] + b'"')
        self.close_connection = True

    def hang(self, _body: dict) -> None:
        time.sleep(1000)

    def trickle(self, _body: dict) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while True:
            self.wfile.write(b" ")
            time.sleep(0.05)

    def freeze(self, _body: dict) -> None:
        """The whole program, as a deadlock does."""
        os.kill(os.getpid(), signal.SIGSTOP)

    def eat(self, body: dict) -> None:
        held = bytearray(body["size"])
        held[::4096] = b"x" * len(held[::4096])
        time.sleep(30)

    def busy(self, body: dict) -> None:
        """429 whenever more than `most` are under way."""
        with Handler.lock:
            too_many = Handler.under_way > body["most"]
        time.sleep(0.01)
        self.answer(429 if too_many else 200, b'{"n":%d}' % body["n"])


NAMES = "die die_once status status_once raw drop drop_once huge hang trickle freeze eat busy"
DEEDS = {name: getattr(Handler, name) for name in NAMES.split()}


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, _request: object, _address: object) -> None:
        return


if __name__ == "__main__":
    sys.stderr.write("loading\n")
    sys.stderr.flush()
    if os.environ.get("NEVER") == "1":
        sys.exit(3)
    if os.environ.get("SLOW") == "1":
        time.sleep(1000)
    Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever(poll_interval=0.05)
