"""A real HTTP server on the loopback that answers what a test tells it to."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes]


class WebServer:
    """answers: by path; called with the request's headers. seen: (path, headers) of every request."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: dict[str, Callable[[dict[str, str]], Answer]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []

    def file(self, path: str, data: bytes, ranges: bool = True, **headers: str) -> None:
        """Serve a file, with ranges or without."""

        def answer(asked: dict[str, str]) -> Answer:
            wanted = asked.get("range", "").removeprefix("bytes=")
            if not wanted or not ranges:
                return 200, {"ETag": '"v1"', **headers}, data
            first, last = wanted.split("-")
            start, end = int(first), min(int(last) + 1, len(data)) if last else len(data)
            if start >= len(data):
                return 416, {}, b""
            return (
                206,
                {"ETag": '"v1"', "Content-Range": f"bytes {start}-{end - 1}/{len(data)}", **headers},
                data[start:end],
            )

        self.answers[path] = answer

    def redirect(self, path: str, to: str) -> None:
        self.answers[path] = lambda _: (302, {"Location": to}, b"")


@contextmanager
def web_server(tls: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    """The server, listening on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = {name.lower(): value for name, value in self.headers.items()}
            server.seen.append((self.path, asked))
            status, headers, body = server.answers.get(self.path, lambda _: (404, {}, b""))(asked)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Transfer-Encoding" in headers:
                self.end_headers()
                self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
                return
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        if tls:
            listening.socket = tls.wrap_socket(listening.socket, server_side=True)
        listening.handle_error = lambda *_: None  # type: ignore[assignment]  # a client that breaks off is part of it
        server = WebServer(int(listening.server_address[1]))
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            listening.shutdown()
