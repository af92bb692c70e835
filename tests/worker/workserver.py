"""A real HTTP server that speaks the worker's wire, holding everything in memory, with a few faults to order."""

import contextlib
import http.server
import re
import socket
import threading
import time
from typing import Any

import msgspec

from fallow.protocols.rest import work as wire


class WorkServer:
    """Leases are handed out in order; what workers say is kept for the test to read."""

    def __init__(self, inline_bytes_max: int = 64 << 10) -> None:
        self.inline_bytes_max = inline_bytes_max
        self.waiting: list[wire.Lease] = []
        self.held: dict[int, wire.Lease] = {}
        self.reports: dict[int, wire.Report] = {}
        self.hellos: list[wire.Hello] = []
        self.asks: list[wire.Ask] = []
        self.blobs: dict[str, bytes] = {}
        self.images: dict[str, wire.ImageBlobs] = {}
        self.requests: list[tuple[str, str, str]] = []  # verb, path, Range
        self.stop: set[int] = set()
        self.watched: set[int] = set()  # whose logs somebody looks at
        self.cut_after: int | None = None  # the next GET of a blob breaks off after this many bytes
        self.status: dict[str, int] = {}  # path prefix -> answer this status
        self.forget_workers = False
        self.connections: set[socket.socket] = set()
        self.port = 0
        self._next_attempt = 0
        self._changed = threading.Condition()
        self.up()

    def up(self) -> None:
        server = self

        class Bound(Handler):
            work = server

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Bound)
        self._http.daemon_threads = True
        self.port = self._http.server_port
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def down(self) -> None:
        """As if the machine went off: open connections end, too."""
        self._http.shutdown()
        self._http.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, name: str, data: bytes) -> str:
        self.blobs[f"/bytes/{name}"] = data
        return f"{self.url}/bytes/{name}"

    def lease(self, lines: bytes, **fields: Any) -> wire.Lease:
        """One attempt over these JSON lines, unless `fields` say otherwise."""
        self._next_attempt += 1
        attempt = self._next_attempt
        fields.setdefault("item_count", len([line for line in lines.split(b"\n") if line.strip()]))
        fields.setdefault("input", wire.ChunkInput("jsonl", self.put(f"in-{attempt}", lines)))
        fields.setdefault("limits", wire.LimitsMessage())
        fields.setdefault("contract", "stream")
        lease = wire.Lease(
            attempt_id=attempt,
            job_id=fields.pop("job_id", "job"),
            chunk_id=fields.pop("chunk_id", attempt),
            item_start=fields.pop("item_start", 0),
            upload_url=f"{self.url}/bytes/up-{attempt}",
            log_url=f"{self.url}/bytes/log-{attempt}",
            deadline_seconds=60.0,
            artifact_uri=f"fallow:artifact-{attempt}",
            ran="sha256:test",
            **fields,
        )
        with self._changed:
            self.waiting.append(lease)
        return lease

    def report_of(self, lease: wire.Lease, seconds: float = 60.0) -> wire.Report:
        """Waits, bounded, until the attempt was reported."""
        until = time.monotonic() + seconds
        with self._changed:
            while lease.attempt_id not in self.reports:
                left = until - time.monotonic()
                assert left > 0, f"attempt {lease.attempt_id} was never reported"
                self._changed.wait(left)
            return self.reports[lease.attempt_id]

    def until(self, true: Any, seconds: float = 30.0) -> None:
        """Waits, bounded, until this becomes true."""
        until = time.monotonic() + seconds
        with self._changed:
            while not true():
                assert time.monotonic() < until, "it never became true"
                self._changed.wait(0.05)

    def artifact(self, lease: wire.Lease) -> bytes:
        report = self.reports[lease.attempt_id]
        return report.inline if report.inline is not None else self.blobs[f"/bytes/up-{lease.attempt_id}"]

    def log(self, lease: wire.Lease) -> bytes:
        return self.blobs.get(f"/bytes/log-{lease.attempt_id}", b"")

    def hello(self, hello: wire.Hello) -> wire.Welcome:
        with self._changed:
            self.hellos.append(hello)
            self.forget_workers = False
            self._changed.notify_all()
        return wire.Welcome("w-test", time.time_ns() // 1000, 0.3, self.inline_bytes_max)

    def ask(self, ask: wire.Ask) -> wire.Answer:
        with self._changed:
            self.asks.append(ask)
            for report in ask.reports:
                self.reports[report.attempt_id] = report
                self.held.pop(report.attempt_id, None)
            leases, self.waiting = self.waiting[: ask.want], self.waiting[ask.want :]
            self.held.update({lease.attempt_id: lease for lease in leases})
            self._changed.notify_all()
        acks = tuple(wire.Ack(report.attempt_id, "accepted") for report in ask.reports)
        stop = tuple(h.attempt_id for h in ask.holding if h.attempt_id in self.stop)
        watched = tuple(h.attempt_id for h in ask.holding if h.attempt_id in self.watched)
        return wire.Answer(acks, tuple(leases), stop, 0.05, time.time_ns() // 1000, watched=watched)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    work: WorkServer

    def log_message(self, *args: object) -> None:
        return

    def handle(self) -> None:
        self.work.connections.add(self.connection)
        try:
            super().handle()
        except (ConnectionError, ValueError):
            return
        finally:
            self.work.connections.discard(self.connection)

    def do_GET(self) -> None:
        self.work.requests.append((self.command, self.path, self.headers.get("Range", "")))
        if self.refused():
            return
        if self.path == "/healthz":
            self.answer(200, b"ok")
            return
        if match := re.fullmatch(r"/api/work/images/(.+)", self.path):
            blobs = self.work.images.get(match[1])
            self.answer(200 if blobs else 404, msgspec.json.encode(blobs) if blobs else b"{}")
            return
        data = self.work.blobs.get(self.path)
        if data is None:
            self.answer(404, b'{"error":{"code":"not_found","message":"gone"}}')
            return
        status, headers = 200, {}
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(match[1]), int(match[2] or len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            status, data = 206, data[first : last + 1]
        self.answer(status, data, headers)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.body()
        if self.refused():
            return
        if self.path == "/api/work/hello":
            self.answer(200, msgspec.json.encode(self.work.hello(msgspec.json.decode(body, type=wire.Hello))))
        elif self.path == "/api/work" and self.work.forget_workers:
            self.answer(404, b'{"error":{"code":"worker_unknown","message":"Who are you?"}}')
        elif self.path == "/api/work":
            self.answer(200, msgspec.json.encode(self.work.ask(msgspec.json.decode(body, type=wire.Ask))))
        else:
            self.work.blobs[self.path] = body
            self.answer(200, b"")

    def do_PUT(self) -> None:
        body = self.body()
        if not self.refused():
            self.work.blobs[self.path] = body
            self.answer(200, b"")

    def refused(self) -> bool:
        for prefix, status in self.work.status.items():
            if self.path.startswith(prefix):
                self.answer(status, b'{"error":{"code":"url_expired","message":"no"}}' if status == 410 else b"{}")
                return True
        return False

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = None
        if self.command == "GET" and self.path.startswith("/bytes/"):
            cut, self.work.cut_after = self.work.cut_after, None
        self.wfile.write(data if cut is None else data[:cut])
        if cut is not None and cut < len(data):
            self.close_connection = True
