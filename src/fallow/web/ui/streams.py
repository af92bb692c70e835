"""Pages that follow: an event says only that something changed, and the browser asks for what it shows.

Nothing is remembered between connections. Whoever comes back after a restart asks for everything again, and is right.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

import anyio
import anyio.to_thread
import msgspec
from starlette.responses import StreamingResponse

from fallow.core.refusals import Refusal
from fallow.store.port import JobRow
from fallow.web.deps import Door
from fallow.web.streams import lookers

_LOOK_SECONDS: Final = 1.0
_KEEP_ALIVE_LOOKS: Final = 10
_LOOKS: Final = 900  # then the browser comes back, and is asked again who it is
_MARK_LENGTH: Final = 16
Marks = dict[str, str]


def mark_of(*parts: object) -> str:
    """A short text that changes when what is shown of these parts changes."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=_MARK_LENGTH // 2).hexdigest()


def job_mark(row: JobRow) -> str:
    """Of everything that moves in a job's row."""
    return mark_of(row.state, row.counters, row.reason, row.plan.done, row.output != "")


def marks_of(rows: Iterable[JobRow]) -> Marks:
    return {row.job_id: job_mark(row) for row in rows}


def changes(door: Door, look: Callable[[], Marks], seen: str) -> StreamingResponse:
    """`event: changed` with the names of what has another mark than before; the first when all marks together are not
    `seen`, which is what the page was made from. Ends when the server does, when a look is refused, and after a quarter
    of an hour."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_changes(door, look, seen), 200, headers, "text/event-stream")


async def _changes(door: Door, look: Callable[[], Marks], seen: str) -> AsyncIterator[bytes]:
    yield b"retry: 1000\n\n"
    before: Marks = {}
    quiet = 0
    for _ in range(_LOOKS):
        if door.closing.is_set():
            return
        try:
            now = await anyio.to_thread.run_sync(look, limiter=lookers())
        except Refusal:  # deleted, or the database is away for a moment: the browser comes back and is told properly
            yield b"event: gone\ndata: {}\n\n"
            return
        changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
        if not before and seen == together(now):
            changed = []
        before = now
        if changed:
            quiet = 0
            yield b"event: changed\ndata: %b\n\n" % msgspec.json.encode({"changed": changed, "mark": together(now)})
        else:
            quiet += 1
            if quiet % _KEEP_ALIVE_LOOKS == 0:
                yield b": still here\n\n"
        await _rest(door)


def together(marks: Marks) -> str:
    return mark_of(list(marks.items()))


async def _rest(door: Door) -> None:
    """In short naps: a server that ends is not held up."""
    for _ in range(4):
        if door.closing.is_set():
            return
        await anyio.sleep(_LOOK_SECONDS / 4)
