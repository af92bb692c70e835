"""The bridge of AsyncClient: a synchronous call runs in a thread of its own, and an iterator is read ahead in one.

The threads are daemons: a program that ends does not wait for a server's answer. A call that is cancelled is let go of;
the request that it made is not taken back.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_AHEAD = 256  # things of an iterator that wait for their reader at most


async def called(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the function returns or raises, while the event loop goes on."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            value = function(*args, **kwargs)
        except BaseException as wrong:  # noqa: BLE001  it is raised where the call was made
            tell(loop, _fail, future, wrong)
        else:
            tell(loop, _finish, future, value)

    threading.Thread(target=run, name="fallow-call", daemon=True).start()
    return await future


def tell(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *args: Any) -> None:
    """Calls the function on the loop, soon; not at all when the loop is closed and nobody waits any more."""
    if not loop.is_closed():
        try:
            loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # it was closed in this moment
            if not loop.is_closed():
                raise


def on_loop(callback: Callable[P, object] | None) -> Callable[P, None] | None:
    """The callback, to be called from any thread: it runs on this event loop."""
    if callback is None:
        return None
    loop = asyncio.get_running_loop()
    heard = callback

    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        tell(loop, lambda: heard(*args, **kwargs))

    return told


async def iterated(start: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
    """What the iterator gives, read in a thread at most _AHEAD things ahead; it is closed when nobody reads on."""
    pump = _Pump(start, asyncio.get_running_loop())
    threading.Thread(target=pump.run, name="fallow-iterator", daemon=True).start()
    try:
        while True:
            await pump.ready.wait()
            pump.ready.clear()
            while pump.held:
                yield pump.held.popleft()
                pump.room.release()
            if pump.over and not pump.held:
                break
        if pump.wrong is not None:
            raise pump.wrong
    finally:
        pump.stop = True
        pump.room.release()


class _Pump:
    """Moves things from an iterator to a queue, until somebody says stop."""

    def __init__(self, start: Callable[[], Iterator[Any]], loop: asyncio.AbstractEventLoop) -> None:
        self._start = start
        self._loop = loop
        self.held: deque[Any] = deque()
        self.room = threading.Semaphore(_AHEAD)
        self.ready = asyncio.Event()
        self.stop = False
        self.over = False
        self.wrong: BaseException | None = None

    def run(self) -> None:
        try:
            source = self._start()
            try:
                self._move(source)
            finally:
                close = getattr(source, "close", None)
                if close is not None:
                    close()
        except BaseException as wrong:  # noqa: BLE001  it is raised where the iterator is read
            self.wrong = wrong
        self.over = True
        tell(self._loop, self.ready.set)

    def _move(self, source: Iterator[Any]) -> None:
        for each in source:
            self.room.acquire()
            if self.stop:
                return
            self.held.append(each)
            tell(self._loop, self.ready.set)


def _finish(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: "asyncio.Future[Any]", wrong: BaseException) -> None:
    if not future.done():
        future.set_exception(wrong)
