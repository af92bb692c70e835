"""fallow.Executor: a pool of the standard library's kind whose processes are the fleet's.

with fallow.Executor("oci:python-image") as pool:
    results = list(pool.map(likelihood, points))

All calls of a pool are items of one feed job, so that containers stay warm between them. One thread sends what was
submitted, in pieces; some others read the answers, each of the pieces that it has taken over.
"""

import concurrent.futures
import contextlib
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from functools import partial
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

from fallow.core.refusals import Code, Refusal
from fallow.core.slicing import even_ranges
from fallow.core.words import JobState
from fallow.sdk.calls import Call, Function, Piece, blocks_of, checked, given, lines_of, pickled, send_by_value, settle
from fallow.sdk.client import Client
from fallow.sdk.failures import JobEnded
from fallow.sdk.feeds import PART_BYTES, Answers, Feed

P = ParamSpec("P")
T = TypeVar("T")
RUNNER = ("python3", "-m", "fallow.sdk.runner")
_READERS_MAX = 8
_ITEMS_MAX = 500  # that one call may ask for
_WAIT_SECONDS = 10.0
_WAIT_SECONDS_ALONE = 0.5  # when nobody else is free to ask for what is sent meanwhile
_PIECE_SECONDS = 0.05  # pieces that are shorter cost more than they spread
_PIECES_PER_SLOT = 4
_ALONE_PER_SLOT = 16
_FLEET_SECONDS = 10.0  # how long the number of slots is taken for granted
_AWAY_SECONDS = 120.0  # how long a server may be out of reach before the pool is broken


class Executor(concurrent.futures.Executor):
    """Runs calls on the fleet. Functions and arguments must be possible to pickle (by cloudpickle, so lambdas are).
    Results are plain values and numpy arrays; with trust_workers=True anything, and a worker can then run code here.
    """

    def __init__(
        self,
        image: str | None = None,
        client: Client | None = None,
        *,
        command: Sequence[str] | None = None,
        trust_workers: bool = False,
        by_value: Iterable[ModuleType] = (),
        **fields: Any,
    ) -> None:
        """image: one whose command is the runner (sdk/runner.py); None runs `command` without a container, by default
        the runner of the worker's own Python. client: else one is made, and closed with the pool. fields: of
        JobRequest, such as limits, requirements, worker_label. by_value: modules that the image has not got: what comes
        from them travels with the calls, from now on in the whole program. No job is submitted before the first call.
        """
        for module in by_value:
            send_by_value(module)
        if command is None:
            command = () if image else RUNNER
        settled = {"name": "executor", "harness": True, "retry": {"error_threshold": 1.0}, **fields}
        self._fields = {**settled, "container_image": image, "command": list(command)}
        self._own_client = client is None
        self._client = client or Client()
        self._trust = trust_workers
        # Workers that must agree must not say how long it took.
        timed = fields.get("verify", "hash") == "hash"
        self._flags = {name: True for name, said in (("trust", trust_workers), ("timed", timed)) if said}
        self._changed = threading.Condition()
        self._waiting: deque[Call] = deque()
        self._sent: deque[Piece] = deque()  # that no reader has taken over yet
        self._open: set[Call] = set()  # neither answered nor cancelled
        self._in_flight = 0  # pieces that were sent and are not done
        self._free_readers = 0
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._broken: BaseException | None = None
        self._feed: Feed | None = None
        self._known: set[str] = set()
        self._seconds = 0.0  # of a recent call, smoothed
        self._fleet = (0.0, 1)
        self._forgotten: weakref.finalize[Any, Executor] | None = None

    @property
    def size(self) -> int:
        """How many calls the fleet runs at once, now: what libraries size their batches by."""
        asked_at, slots = self._fleet
        if time.monotonic() - asked_at > _FLEET_SECONDS or not asked_at:
            rows = [row for row in self._client.workers() if row.alive and not row.leaving]
            slots = max(1, sum(int(row.capability.get("slots", 1)) for row in rows))
            self._fleet = (time.monotonic() if rows else 0.0, slots)
        return slots

    @property
    def job_id(self) -> str | None:
        """The job that the calls are items of, once there is one."""
        return self._feed.job_id if self._feed else None

    # ---- what a caller does

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """See concurrent.futures. Raises Refusal BAD_REQUEST for what cannot be pickled."""
        (future,) = self._submitted(pickled(fn), [given(args, kwargs)], alone=True)
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        **_more: Any,
    ) -> Iterator[T]:
        """See concurrent.futures. The function is pickled once; chunksize is chosen from how long calls take."""
        until = None if timeout is None else time.monotonic() + timeout
        futures = self._submitted(pickled(fn), [given(args, {}) for args in zip(*iterables, strict=False)])
        return _results(futures, until)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See concurrent.futures. The job ends when its last call is answered."""
        with self._changed:
            self._closing = True
            if cancel_futures:
                for call in self._waiting:
                    call.future.cancel()
            self._changed.notify_all()
            threads = list(self._threads)
        if wait:
            for thread in threads:
                thread.join()
            if self._own_client:
                self._client.close()

    def _submitted(self, function: Function, arguments: Sequence[bytes], alone: bool = False) -> "list[Future[Any]]":
        calls = [Call(function, checked(function, each), Future(), alone) for each in arguments]
        with self._changed:
            if self._broken is not None:
                raise BrokenExecutor(f"the pool is broken: {self._broken}") from self._broken
            if self._closing:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._waiting.extend(calls)
            self._open.update(calls)
            if not self._threads:
                self._start(self._send)
            self._changed.notify_all()
        return [call.future for call in calls]

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._guarded, args=(work,), name="fallow-executor", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guarded(self, work: Callable[[], None]) -> None:
        """The top of a thread: what breaks it breaks the pool, and every caller hears of it."""
        try:
            work()
        except BaseException as wrong:  # noqa: BLE001  said by every future
            self._break(wrong)

    # ---- sending

    def _send(self) -> None:
        while calls := self._next_calls():
            for piece in self._pieces(calls):
                piece.first = self._append(piece)
                with self._changed:
                    self._sent.append(piece)
                    self._in_flight += 1
                    if not self._free_readers and len(self._threads) <= _READERS_MAX:
                        self._start(self._read)
                    self._changed.notify_all()
        self._end()

    def _next_calls(self) -> list[Call]:
        """All that wait, those that were cancelled left out; empty when the pool is shut down and all is answered."""
        while True:
            with self._changed:
                while not self._waiting and not (self._closing and not self._open) and self._broken is None:
                    self._changed.wait()
                calls = list(self._waiting)
                self._waiting.clear()
                if not calls:
                    return []
                wanted = [call for call in calls if call.with_function or call.future.set_running_or_notify_cancel()]
                self._open.difference_update(calls)
                self._open.update(wanted)
            if wanted:
                return wanted

    def _pieces(self, calls: list[Call]) -> list[Piece]:
        """As many as keep every slot busy, and more of them where calls are long, so that the last ones are short.

        Calls that were submitted one by one share no piece, as long as they are not very many: a short one would be
        answered with the longest beside it."""
        slots = self._slots()
        if any(call.alone for call in calls):
            count = min(len(calls), _ALONE_PER_SLOT * slots)
        else:
            worth = int(len(calls) * self._seconds / _PIECE_SECONDS)
            count = min(len(calls), max(slots, min(worth, _PIECES_PER_SLOT * slots)))
        return [Piece(calls[each.start : each.end + 1]) for each in even_ranges(len(calls), count)]

    def _slots(self) -> int:
        try:
            return self.size
        except Refusal:  # a key that may submit and not look: one piece at a time still works
            return self._fleet[1]

    def _append(self, piece: Piece) -> int:
        """The number of the piece's first item."""
        feed = self._feed or self._opened()
        try:
            return self._appended(feed, piece)
        except Refusal as refusal:
            if refusal.code is not Code.STATE_CONFLICT:
                raise
        ended = self._client.job(feed.job_id, chunks=0)
        if ended.state != JobState.EXPIRED or self._in_flight:
            raise JobEnded(feed.job_id, ended.state, ended.reason)
        return self._appended(self._opened(), piece)  # nobody called for so long that the job was given up

    def _appended(self, feed: Feed, piece: Piece) -> int:
        # Blocks are made once: what is sent again must be the same bytes.
        blocks = blocks_of(lines_of(piece.calls, self._known, self._flags), PART_BYTES)
        numbers = [self._reaching(partial(feed.append_lines, block)) for block in blocks]
        return numbers[0].start

    def _opened(self) -> Feed:
        feed = self._reaching(lambda: self._client.feed(**self._fields))
        self._feed, self._known = feed, set()
        if self._forgotten is not None:
            self._forgotten.detach()
        self._forgotten = weakref.finalize(self, _close, feed)  # also at the end of a program without shutdown()
        return feed

    def _end(self) -> None:
        """No more will come."""
        if self._forgotten is not None:
            self._forgotten()

    # ---- reading

    def _read(self) -> None:
        mine: list[Piece] = []
        while self._take_over(mine):
            alone = not self._free_readers
            answers = self._answers(mine, _WAIT_SECONDS_ALONE if alone else _WAIT_SECONDS)
            for result in answers.results:
                self._settle(mine, result.item, result.output)
            left = [piece for piece in mine if not piece.is_done]
            with self._changed:
                self._in_flight -= len(mine) - len(left)
            mine = left
            if answers.over and not answers.results and mine:
                self._job_is_over(mine)

    def _take_over(self, mine: list[Piece]) -> bool:
        """Adds pieces that were sent to `mine`; waits for some where there are none. False at the end."""
        with self._changed:
            while not mine and not self._sent:
                if self._broken is not None or (self._closing and not self._open):
                    return False
                self._free_readers += 1
                self._changed.wait()
                self._free_readers -= 1
            while self._sent and len(mine) < _ITEMS_MAX:
                mine.append(self._sent.popleft())
            return self._broken is None

    def _answers(self, mine: list[Piece], seconds: float) -> Answers:
        feed = self._feed
        assert feed is not None, "what was sent was sent to it"
        return self._reaching(lambda: feed.answers([piece.wanted for piece in mine], seconds))

    def _settle(self, mine: list[Piece], item: int, output: Any) -> None:
        call = next((found for piece in mine if (found := piece.take(item))), None)
        if call is None:
            return
        again = not settle(call, item, output, self._trust)
        with self._changed:
            if again:
                call.with_function = True
                self._waiting.append(call)
            else:
                self._open.discard(call)
                seconds = output.get("seconds") if isinstance(output, dict) else None
                if isinstance(seconds, int | float):
                    self._seconds = 0.8 * self._seconds + 0.2 * seconds if self._seconds else float(seconds)
            if again or not self._open:
                self._changed.notify_all()

    def _job_is_over(self, mine: list[Piece]) -> None:
        """Raises JobEnded, after a last look for answers that came in its last moment."""
        for result in self._answers(mine, 0).results:
            self._settle(mine, result.item, result.output)
        if any(not piece.is_done for piece in mine) and self._feed is not None:
            ended = self._client.job(self._feed.job_id, chunks=0)
            raise JobEnded(ended.job_id, ended.state, ended.reason)

    # ---- trouble

    def _reaching(self, call: Callable[[], T]) -> T:
        """What the call returns; a server that is away is waited for, for a while."""
        until = time.monotonic() + _AWAY_SECONDS
        while True:
            try:
                return call()
            except Refusal as refusal:
                if refusal.code is not Code.SERVER_UNREACHABLE or time.monotonic() > until:
                    raise
            time.sleep(1.0)

    def _break(self, wrong: BaseException) -> None:
        """Every call that has no answer fails, and no more are taken."""
        with self._changed:
            self._broken = self._broken or wrong
            calls, self._open = self._open, set()
            self._waiting.clear()
            self._sent.clear()
            self._changed.notify_all()
        for call in calls:
            with contextlib.suppress(concurrent.futures.InvalidStateError):
                call.future.set_exception(wrong)
        self._end()


def _results(futures: "list[Future[T]]", until: float | None) -> Iterator[T]:
    """In order; what is not read any more is cancelled, as far as it has not been sent."""
    futures.reverse()
    try:
        while futures:
            left = None if until is None else until - time.monotonic()
            yield futures.pop().result(left)
    finally:
        for future in futures:
            future.cancel()


def _close(feed: Feed) -> None:
    with contextlib.suppress(Refusal):  # it expires by itself
        feed.close()
