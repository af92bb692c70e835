"""HTTP by hand, for what no proper client would send."""

import contextlib
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """status: 0 when the server closed without a word."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        for line in self.head.split(b"\r\n")[1:]:
            found, _, value = line.partition(b":")
            if found.decode("latin-1").lower() == name:
                return value.strip().decode("latin-1")
        return ""


class Wire:
    """One connection. Every wait is bounded."""

    def __init__(self, url: str, seconds: float = 20.0) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.socket = socket.create_connection((parts.hostname, parts.port or 80), timeout=seconds)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> int:
        """How much of it went out before the server closed."""
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < len(data):
                sent += self.socket.send(data[sent : sent + 65536])
        return sent

    def answer(self, *, bodiless: bool = False) -> Answer:
        """The next one, with its body as Content-Length says. bodiless: it is the answer to a HEAD."""
        data = b""
        with contextlib.suppress(ConnectionError):
            while b"\r\n\r\n" not in data and (piece := self.socket.recv(65536)):
                data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/") else 0
        said = Answer(status, head, body)
        length = "" if bodiless else said.header("content-length")
        with contextlib.suppress(ConnectionError):
            while length and len(body) < int(length) and (piece := self.socket.recv(65536)):
                body += piece
        return Answer(status, head, body)

    def is_closed(self) -> bool:
        """Waits until the server closes it, dropping what still comes; False when it does not in time."""
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True


def request(url: str, head: str, body: bytes = b"", *, key: str = "") -> Answer:
    """One request. head: the request line and headers, without Host and Authorization, lines ended by \\n."""
    with Wire(url) as wire:
        wire.send(framed(url, head, key) + body)
        return wire.answer(bodiless=head.startswith("HEAD "))


def framed(url: str, head: str, key: str = "") -> bytes:
    """The head as it goes out."""
    lines = [*head.strip("\n").split("\n"), f"Host: {urlsplit(url).netloc}"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n"
