"""A TCP proxy between clients and the server that can cut an upload in the middle."""

import contextlib
import re
import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Uploads:
    """What went to the upload handler, in order: "size?" for a size query, else the offset that an upload began at."""

    seen: list[str] = field(default_factory=list)
    cut: int = 0


class CuttingProxy:
    """Listens on a free port of 127.0.0.1 and passes on to `target`, a port of 127.0.0.1 too."""

    def __init__(self) -> None:
        self.target = 0
        self.uploads = Uploads()
        self._cut_after: int | None = None
        self._reached, self._go_on = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_next(self, after: int) -> None:
        """The next upload is cut after so many bytes of the file."""
        self.hold_next(after)[1].set()

    def hold_next(self, after: int) -> tuple[threading.Event, threading.Event]:
        """(set when so many bytes of the next upload's file were passed on, to be set when its line shall be cut)"""
        with self._lock:
            self._cut_after = after
            self._reached, self._go_on = threading.Event(), threading.Event()
            return self._reached, self._go_on

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), 10)
            except OSError:
                near.close()  # the server is away: so it looks to the client
                continue
            far.settimeout(None)
            threading.Thread(target=self._to_server, args=(near, far), daemon=True).start()
            threading.Thread(target=_pass_on, args=(far, near), daemon=True).start()

    def _to_server(self, near: socket.socket, far: socket.socket) -> None:
        request = bytearray()  # the request now under way: a connection carries several, one after the other
        length: int | None = None
        noted = False
        while data := _receive(near):
            if length is None or len(request) >= length:
                request, length, noted = bytearray(), None, False
            request += data
            length = length or _length(request)
            begun = _file_begins(request)
            if begun is not None:
                if not noted:
                    self._note_upload(bytes(request[:begun]))
                    noted = True
                room = self._room(len(request) - begun)
                if room is not None:
                    _send(far, data[: max(0, len(data) - room)])
                    self._reached.set()
                    self._go_on.wait(120)
                    break
            elif b"<get_file_size>" in request and len(request) >= (length or 0) > 0:
                self._note("size?")
            if not _send(far, data):
                break
        _close(near, far)

    def _room(self, sent: int) -> int | None:
        """How many bytes of the last piece are too many; None: it may pass."""
        with self._lock:
            if self._cut_after is None or sent < self._cut_after:
                return None
            over = sent - self._cut_after
            self._cut_after = None
            self.uploads.cut += 1
            return over

    def _note_upload(self, head: bytes) -> None:
        found = re.search(rb"<offset>\s*(\d+)", head)
        self._note(found.group(1).decode() if found else "none")

    def _note(self, what: str) -> None:
        with self._lock:
            self.uploads.seen.append(what)


def _length(request: bytearray) -> int | None:
    """The whole request's, head and body; None while its head is not there."""
    end = request.find(b"\r\n\r\n")
    if end < 0:
        return None
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", request[: end + 2])
    return end + 4 + (int(found.group(1)) if found else 0)


def _file_begins(request: bytearray) -> int | None:
    at = request.find(b"<data>\n", 0, 16384)
    return at + 7 if at >= 0 and b"<file_upload>" in request[:at] else None


def _receive(source: socket.socket) -> bytes:
    try:
        return source.recv(16384)
    except OSError:
        return b""


def _send(target: socket.socket, data: bytes) -> bool:
    try:
        target.sendall(data)
    except OSError:
        return False
    return True


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    while data := _receive(source):
        if not _send(target, data):
            break
    _close(source, target)


def _close(*ends: socket.socket) -> None:
    for each in ends:
        with contextlib.suppress(OSError):  # the other side was faster
            each.shutdown(socket.SHUT_RDWR)
        each.close()
