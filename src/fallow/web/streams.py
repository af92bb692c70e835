"""Bytes between the event loop and our synchronous functions: bodies in, bodies out. Memory is bounded by one piece."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import anyio
import anyio.from_thread
import anyio.to_thread
from anyio.lowlevel import RunVar
from starlette.types import Message, Receive

from fallow.core.refusals import Code, Refusal

T = TypeVar("T")
PIECE_BYTES: Final = 64 * 1024
# Uploads hold a thread while their sender is slow, so they have threads of their own; workers, with signed URLs, have
# others than accounts, of which each gets only so many: slow senders starve nobody else.
_deliverers: Final = anyio.CapacityLimiter(128)
_uploaders: Final = anyio.CapacityLimiter(128)
UPLOADS_OF_ACCOUNT: Final = 16  # at once; more of them wait
_turns: Final = RunVar[WeakValueDictionary[str, anyio.Semaphore]]("turns")
_LOOKERS: Final = 8
_lookers: Final = RunVar[anyio.CapacityLimiter]("lookers")


class SenderGone(Exception):
    """The client broke off in the middle of its body."""


def body_pieces(receive: Receive) -> Iterator[bytes]:
    """The request's body, for a function that runs under in_upload_thread(). Raises SenderGone."""
    more = True
    while more:
        message: Message = anyio.from_thread.run(_next, receive)
        if message["type"] == "http.disconnect":
            raise SenderGone
        more = message.get("more_body", False)
        if piece := message.get("body", b""):
            yield piece


async def _next(receive: Receive) -> Message:
    return await receive()


async def in_upload_thread(function: Callable[[], T], account_id: str | None) -> T:
    """Runs a function that reads a body, in a thread that may wait for its sender. account_id: the sender's; None: a
    signed URL was enough."""
    if account_id is None:
        return await anyio.to_thread.run_sync(function, limiter=_deliverers)
    async with _turns_of(account_id):
        return await anyio.to_thread.run_sync(function, limiter=_uploaders)


def _turns_of(account_id: str) -> anyio.Semaphore:
    try:
        turns = _turns.get()
    except LookupError:
        _turns.set(turns := WeakValueDictionary())
    found = turns.get(account_id)
    if found is None:
        turns[account_id] = found = anyio.Semaphore(UPLOADS_OF_ACCOUNT)
    return found


def lookers() -> anyio.CapacityLimiter:
    """Streams of events look again and again, and there may be any number of them: all together they take a few threads
    of the door."""
    try:
        return _lookers.get()
    except LookupError:
        _lookers.set(made := anyio.CapacityLimiter(_LOOKERS))
        return made


async def bounded_body(receive: Receive, size_bytes_max: int) -> bytes:
    """The whole body. Raises Refusal TOO_LARGE, or SenderGone."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > size_bytes_max:
            raise too_large(size_bytes_max)
        return body
    pieces, total = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise SenderGone
        pieces.append(message.get("body", b""))
        total += len(pieces[-1])
        if total > size_bytes_max:
            raise too_large(size_bytes_max)
        if not message.get("more_body", False):
            return b"".join(pieces)
        message = await receive()


def too_large(size_bytes_max: int) -> Refusal:
    return Refusal(
        Code.TOO_LARGE,
        f"The request is larger than the {size_bytes_max} bytes this server takes.",
        "Send less at once; inputs go to PUT /api/inputs/NAME.",
        {"size_bytes_max": size_bytes_max},
    )


def in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of about PIECE_BYTES: each piece costs a change of threads."""
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
