"""How long the door waits for a client, and for how much: slow or endless requests must not hold its connections.

uvicorn bounds neither: a request's head may come byte by byte for ever, and be of any length.
"""

from asyncio import Transport
from collections.abc import Iterable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX: Final = 64 * 1024  # a request line and its headers; ours are a tenth of that
_HEAD_END: Final = b"\r\n\r\n"
_BODY_BYTES_PER_SECOND: Final = 256  # each so many bytes earn a second; a slower body is given up
_LINGER_BYTES: Final = 4 * 1024 * 1024  # of a body that was answered already: a sender reads its answer only later
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s"
)
_SAYS: Final = (
    b'{"error": {"code": "too_large", "message": "The address and the headers are longer than %d bytes.", '
    b'"remedy": "Send less.", "details": {}}}' % HEAD_BYTES_MAX
)


class Connection(HttpToolsProtocol):
    """One connection, which knows until when it waits for its client."""

    patience_seconds = 60.0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """A client is there, and has said nothing yet."""
        super().connection_made(transport)
        self._in_head = True
        self._in_body = False
        self._head_bytes = 0
        self._late_bytes = 0
        self._deadline = self.loop.time() + self.patience_seconds

    def data_received(self, data: bytes) -> None:
        """More of a request, or of several."""
        if self._is_answered():
            self._late_bytes += len(data)
            if self._late_bytes > _LINGER_BYTES:
                self.transport.abort()
                return
        elif not self._in_head:
            earned = self._deadline + len(data) / _BODY_BYTES_PER_SECOND
            self._deadline = min(earned, self.loop.time() + self.patience_seconds)
        if not self._in_body and self._head_bytes + len(data) > HEAD_BYTES_MAX and not self._ends_in(data):
            self._refuse()
            return
        self._began = False
        super().data_received(data)
        if self._in_head:
            # What follows the end of another request in the same data is where this head began.
            self._head_bytes += len(data.rpartition(_HEAD_END)[2] if self._began else data)

    def _is_answered(self) -> bool:
        """Whether what comes is the rest of a body that nobody reads any more, such as of a refused upload."""
        return self._in_body and self.cycle is not None and self.cycle.response_complete

    def _ends_in(self, data: bytes) -> bool:
        """Whether the head ends early enough in what came now."""
        left = HEAD_BYTES_MAX - self._head_bytes
        return left > 0 and _HEAD_END in data[: left + len(_HEAD_END)]

    def _refuse(self) -> None:
        self.transport.write(_TOO_LARGE % (len(_SAYS), _SAYS))
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._began = True
        self._head_bytes = 0
        self._deadline = self.loop.time() + self.patience_seconds

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        self._head_bytes = self._late_bytes = 0
        self._deadline = self.loop.time() + self.patience_seconds
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def give_up_if_overdue(self, now: float) -> None:
        """Breaks the connection off when its client was waited for long enough. now: by the loop's clock."""
        if self._waits_for_us():
            self._deadline = now + self.patience_seconds
        elif now > self._deadline:
            self.transport.abort()

    def _waits_for_us(self) -> bool:
        """Whether it is our turn, or nobody's: between two requests uvicorn's own keep-alive timer runs."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            return not cycle.more_body or self.flow.read_paused or bool(cycle.waiting_for_100_continue)
        return not self._in_head and not self._in_body and self.timeout_keep_alive_task is not None


def connection_class(patience_seconds: float) -> type[Connection]:
    """A Connection with that patience."""
    return type("PatientConnection", (Connection,), {"patience_seconds": patience_seconds})


def give_up_overdue(connections: Iterable[object], now: float) -> None:
    """Looks at each; to be called every second or so."""
    for connection in list(connections):
        if isinstance(connection, Connection):
            connection.give_up_if_overdue(now)
