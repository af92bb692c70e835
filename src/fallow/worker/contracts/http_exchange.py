"""One request and its answer over a kept connection. Another thread may cut it short at any moment."""

import http.client
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from fallow.worker.contracts.http_items import Request

BLOCK = 1 << 16
LARGE = 1 << 20  # of larger answers only a few are read at the same time, so that memory stays bounded
LARGE_AT_ONCE = 2
RETRY_AFTER_SECONDS_MAX = 120.0

Connect = Callable[[], socket.socket]


class Kind(Enum):
    """What became of a request."""

    ANSWERED = "answered"
    NOT_SENT = "not_sent"  # there was no connection: the server never saw it
    LOST = "lost"  # the connection ended before the answer was whole
    MALFORMED = "malformed"  # what came is not HTTP
    TOO_LARGE = "too_large"
    CUT = "cut"  # by us


@dataclass(frozen=True, slots=True)
class Reply:
    """retry_after: seconds that the server asks for; None where it does not."""

    kind: Kind
    status: int = 0
    body: bytes = b""
    retry_after: float | None = None


class Connections:
    """Idle connections to one server. Used by several threads."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()
        self.large = threading.BoundedSemaphore(LARGE_AT_ONCE)

    def take(self) -> "_Connection | None":
        """One that was used before, if there is any."""
        with self._lock:
            return self._idle.pop() if self._idle else None

    def fresh(self) -> "_Connection":
        """Raises OSError."""
        connection = _Connection(self._connect)
        connection.connect()
        return connection

    def put(self, connection: "_Connection") -> None:
        with self._lock:
            self._idle.append(connection)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


class Exchange:
    """run() in one thread, cut() from any other; release() when its reply has been dealt with."""

    def __init__(self, connections: Connections, request: Request, bytes_max: int) -> None:
        self._connections = connections
        self._request = request
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._was_cut = False
        self._is_large = False

    def release(self) -> None:
        """The reply is not held in memory any more: another large one may be read."""
        if self._is_large:
            self._is_large = False
            self._connections.large.release()

    def cut(self) -> None:
        """The connection ends now, whatever it waits for."""
        with self._lock:
            self._was_cut = True
            if self._connection is not None:
                self._connection.cut()

    def run(self) -> Reply:
        """Never raises. A kept connection that the server had closed meanwhile is replaced once."""
        reply = Reply(Kind.NOT_SENT)
        kept = self._connections.take()
        if kept is not None:
            reply = self._on(kept)
            if reply.kind is not Kind.LOST or kept.heard:
                return reply
        try:
            connection = self._connections.fresh()
        except OSError:
            return reply  # where it was lost before, this may be the request that ended the server
        return self._on(connection)

    def _on(self, connection: "_Connection") -> Reply:
        with self._lock:
            self._connection = connection
        keep = False
        try:
            if self._was_cut:
                return Reply(Kind.NOT_SENT)
            reply, keep = self._talk(connection)
        except (http.client.RemoteDisconnected, http.client.IncompleteRead, OSError):
            # IncompleteRead: a body shorter than was promised.
            reply = Reply(Kind.LOST)
        except (http.client.HTTPException, ValueError):
            reply = Reply(Kind.MALFORMED)
        finally:
            with self._lock:
                self._connection = None
            if keep and not self._was_cut:
                self._connections.put(connection)
            else:
                connection.close()
        return Reply(Kind.CUT) if self._was_cut and reply.kind is not Kind.ANSWERED else reply

    def _talk(self, connection: "_Connection") -> tuple[Reply, bool]:
        """(the reply, whether the connection may be used again)."""
        request = self._request
        connection.heard = False
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "fallow-worker",
            "X-Request-Id": request.request_id,
        }
        connection.request("POST", request.path, request.body, headers)
        answer = connection.getresponse()
        connection.heard = True
        body = self._body(answer)
        answer.close()  # read to its end; read1() leaves it open, and the connection then takes no further request
        if body is None:
            return Reply(Kind.TOO_LARGE, answer.status), False
        reply = Reply(Kind.ANSWERED, answer.status, body, _retry_after(answer.getheader("Retry-After")))
        return reply, not answer.will_close

    def _body(self, answer: http.client.HTTPResponse) -> bytes | None:
        """None when it is larger than it may be."""
        if answer.length is not None and answer.length > self._bytes_max:
            return None
        parts: list[bytes] = []
        if not _read(answer, parts, min(LARGE, self._bytes_max + 1)):
            return b"".join(parts)
        if not self._is_large:
            self._connections.large.acquire()
            self._is_large = True
        return None if _read(answer, parts, self._bytes_max + 1) else b"".join(parts)


class _Connection(http.client.HTTPConnection):
    """heard: whether the current request has had the head of its answer."""

    def __init__(self, connect: Connect) -> None:
        super().__init__("localhost")
        self._connect = connect
        self.heard = False

    def connect(self) -> None:
        # Not opened again by itself: a lost connection must be seen.
        self.auto_open = 0
        self.sock = self._held = self._connect()
        self.sock.settimeout(None)
        # A small request goes out in two pieces; the second must not wait for word that the first has arrived.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def cut(self) -> None:
        # Not self.sock: that is gone while the last answer of a connection is read.
        try:
            self._held.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it had ended already


def _read(answer: http.client.HTTPResponse, parts: list[bytes], most: int) -> bool:
    """Reads until the end or until the parts hold `most` bytes; whether the latter. Raises IncompleteRead."""
    held = sum(map(len, parts))
    while held < most:
        block = answer.read1(min(BLOCK, most - held))
        if not block:
            if answer.length:
                raise http.client.IncompleteRead(b"", answer.length)
            return False
        parts.append(block)
        held += len(block)
    return True


def _retry_after(text: str | None) -> float | None:
    """Seconds, bounded. The form with a date is not read: the worker's own back-off does as well."""
    if text is None or not text.strip().isascii() or not text.strip().isdigit():
        return None
    return min(float(text.strip()[:6]), RETRY_AFTER_SECONDS_MAX)
