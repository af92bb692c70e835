"""One chunk through one server: what goes out when, and what each reply means for its item.

Who is to blame when the server dies: those under way are suspects, and after the restart they are sent one at a time.
A suspect during which it dies again, alone, is the bad item; the others are answered. In the same way an item that ran
out of its time beside others gets its full time alone before it is given up.
"""

import queue
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import BinaryIO

from fallow.worker.contracts.contract import Work
from fallow.worker.contracts.endings import out_of_memory, stopped_fault
from fallow.worker.contracts.http_exchange import Exchange, Kind, Reply
from fallow.worker.contracts.http_items import Request, answer_line, error_answer, refusal, request_id, request_of
from fallow.worker.contracts.http_order import InOrder
from fallow.worker.contracts.http_pace import Pace
from fallow.worker.contracts.http_server import ModelServer, chunk_timeout, start_server
from fallow.worker.engines.engine import End, Usage
from fallow.worker.faults import Fault, bytes_said, seconds_said, submitters, workers

STEP_SECONDS = 0.05
WEIGH_SECONDS = 0.5  # between looks at what the server uses: when it has died, nobody knows any more
DYING_SECONDS = 3.0  # for an engine to notice that its container is gone
RESTARTS_MAX = 20  # in one chunk; then the chunk is cut, and its pieces go on elsewhere
DEATHS_MAX = 2  # once beside others, once alone: one death alone may have had any reason
WAIT_STATUSES = frozenset({408, 409, 425, 429, 503})  # not now; all but 409 and 425 say that it is too much
STRAINS = frozenset({408, 429, 503})
WAITS_MAX = 8
TRIES_MAX = 3
BACK_OFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)


@dataclass(slots=True)
class Place:
    """Where requests go. The server is replaced when it dies; what was learnt about it and the threads stay."""

    server: ModelServer
    pace: Pace
    threads: ThreadPoolExecutor
    _earlier: Usage = field(default_factory=Usage)

    def usage(self) -> Usage:
        """Of this server and those before it."""
        now = self.server.running.usage()
        most = max(self._earlier.memory_bytes_max, now.memory_bytes_max)
        return Usage(self._earlier.cpu_seconds + now.cpu_seconds, most)

    def end_server(self) -> None:
        self._earlier = self.usage()
        self.server.close()

    def close(self) -> None:
        self.server.close()
        self.threads.shutdown()


@dataclass(slots=True)
class Call:
    """One item on its way. position: in the chunk. alone: it must be under way with no other."""

    position: int
    request: Request
    alone: bool = False
    late: bool = False
    tries: int = 0
    waits: int = 0
    deaths: int = 0
    due: float = 0.0
    started: float = 0.0
    exchange: Exchange | None = None


class Feed:
    """The only thread that decides; others carry requests."""

    def __init__(self, work: Work, place: Place, source: BinaryIO, began: float) -> None:
        self._work = work
        self._place = place
        self._began = began
        self._fresh = _calls(work, source)
        self._read_all = False
        self._order = InOrder(work)
        self._under_way: dict[int, Call] = {}
        self._again: list[Call] = []  # to be sent once more, each when it is due
        self._suspects: deque[Call] = deque()
        self._done: queue.SimpleQueue[tuple[Call, Reply]] = queue.SimpleQueue()
        self._paused_until = 0.0
        self._restarts = 0
        self._weighed = began
        self._doubtful = False  # an item was cut: the server may still be at it

    def run(self) -> Fault | None:
        """Until every item has its line, or a fault of the whole chunk."""
        fault: Fault | None = None
        try:
            while fault is None and not self._order.complete:
                fault = self._turn() or self._order.fault
        finally:
            self._cut_all()
        return fault

    def _turn(self) -> Fault | None:
        now = self._work.control.hold.now()
        if self._work.control.stopped:
            return stopped_fault(self._work)
        if not self._work.control.hold.wait_free(STEP_SECONDS):
            return None  # paused: a server that cannot answer now is not a dead one
        if now - self._began > self._work.assignment.limits.chunk_timeout_seconds:
            return chunk_timeout(self._work)
        if self._doubtful and not self._under_way:
            self._doubtful = False
            if not self._place.server.well():
                return self._restart([])
        if now - self._weighed > WEIGH_SECONDS:
            self._weighed = now
            self._place.usage()
        self._cut_late(now)
        self._send(now)
        if not self._under_way and self._place.server.running.poll():
            return self._died([])
        try:
            call, reply = self._done.get(timeout=STEP_SECONDS)
        except queue.Empty:
            return self._died([]) if self._place.server.running.poll() else None
        return self._take(call, reply)

    # ---- out

    def _send(self, now: float) -> None:
        """Whatever may go now."""
        while (call := self._next(now)) is not None:
            exchange = Exchange(
                self._place.server.connections, call.request, self._work.assignment.limits.item_output_bytes
            )
            call.exchange, call.started, call.late = exchange, now, False
            self._under_way[call.position] = call
            self._place.threads.submit(self._carry, call, exchange)

    def _carry(self, call: Call, exchange: Exchange) -> None:
        """In a thread of its own."""
        self._done.put((call, exchange.run()))

    def _next(self, now: float) -> Call | None:
        if now < self._paused_until or self._doubtful or any(call.alone for call in self._under_way.values()):
            return None
        if self._suspects:
            return None if self._under_way else self._first_suspect(now)
        if len(self._under_way) >= self._place.pace.limit:
            return None
        due = next((call for call in self._again if call.due <= now), None)
        if due is not None:
            self._again.remove(due)
            return due
        return self._next_fresh()

    def _first_suspect(self, now: float) -> Call | None:
        if self._suspects[0].due > now:
            return None
        call = self._suspects.popleft()
        call.alone = True
        return call

    def _next_fresh(self) -> Call | None:
        """The next item; those that cannot be asked are answered here."""
        while not self._read_all and self._order.has_room:
            found = next(self._fresh, None)
            if found is None:
                self._read_all = True
            elif isinstance(found, Call):
                return found
            else:
                self._order.put(*found, is_error=True)
        return None

    # ---- in

    def _take(self, call: Call, reply: Reply) -> Fault | None:
        try:
            return self._dealt_with(call, reply)
        finally:
            if call.exchange is not None:
                call.exchange.release()

    def _dealt_with(self, call: Call, reply: Reply) -> Fault | None:
        in_use = len(self._under_way)
        self._under_way.pop(call.position, None)
        if reply.kind is Kind.ANSWERED:
            self._judge(call, reply, in_use)
        elif reply.kind is Kind.MALFORMED:
            self._give_up(call, "malformed_answer", "The image's server sent something that is not HTTP.")
        elif reply.kind is Kind.TOO_LARGE:
            said = bytes_said(self._work.assignment.limits.item_output_bytes)
            self._give_up(call, "output_too_large", f"The answer is longer than the limit of {said} for one item.")
        elif call.late:
            self._too_late(call)
        else:
            return self._lost(call, reply.kind)
        return None

    def _judge(self, call: Call, reply: Reply, in_use: int) -> None:
        """An HTTP answer."""
        if 200 <= reply.status < 300:
            self._place.pace.answered(self._work.control.hold.now(), in_use)
            try:
                self._order.put(call.position, answer_line(call.request, reply.status, reply.body), is_error=False)
            except ValueError:
                self._give_up(call, "not_json", "The image's server answered with something that is not JSON.")
        elif reply.status in WAIT_STATUSES and call.waits < WAITS_MAX:
            self._wait_for_it(call, reply)
        elif reply.status >= 500 and reply.status not in WAIT_STATUSES and call.tries + 1 < TRIES_MAX:
            self._once_more(call)
        else:
            self._order.put(call.position, error_answer(call.request, reply.status, reply.body), is_error=True)

    def _wait_for_it(self, call: Call, reply: Reply) -> None:
        """Not now: fewer at once, and later."""
        now = self._work.control.hold.now()
        if reply.status in STRAINS:
            self._place.pace.strained()
        if reply.retry_after is not None:
            self._paused_until = max(self._paused_until, now + reply.retry_after)
        call.due = now + max(BACK_OFF_SECONDS[call.waits], reply.retry_after or 0.0)
        call.waits += 1
        self._put_back(call)

    def _once_more(self, call: Call) -> None:
        call.due = self._work.control.hold.now() + BACK_OFF_SECONDS[call.tries]
        call.tries += 1
        self._put_back(call)

    def _put_back(self, call: Call) -> None:
        if call.alone:
            self._suspects.appendleft(call)
        else:
            self._again.append(call)

    def _give_up(self, call: Call, code: str, message: str) -> None:
        self._order.put(call.position, refusal(code, message, call.request.custom_id), is_error=True)

    # ---- time

    def _cut_late(self, now: float) -> None:
        seconds = self._work.assignment.limits.item_timeout_seconds
        if seconds is None:
            return
        for call in self._under_way.values():
            if now - call.started > seconds and not call.late and call.exchange is not None:
                call.late = True
                call.exchange.cut()

    def _too_late(self, call: Call) -> None:
        self._doubtful = True
        if call.alone:
            said = seconds_said(self._work.assignment.limits.item_timeout_seconds or 0.0)
            self._give_up(call, "item_timeout", f"The item took longer than the item timeout of {said}.")
            return
        self._place.pace.strained()
        self._suspect([call])

    # ---- death

    def _lost(self, call: Call, kind: Kind) -> Fault | None:
        """The connection ended too early, or there was none."""
        if self._is_dying():
            return self._died([call] if kind is Kind.LOST else [], [] if kind is Kind.LOST else [call])
        if call.tries + 1 < TRIES_MAX:
            self._once_more(call)
        else:
            self._give_up(call, "no_answer", "The image's server closed the connection before its answer was whole.")
        return None

    def _is_dying(self) -> bool:
        """Whether the server is gone, or gone in a moment; one that still answers has only dropped a connection."""
        until = self._work.control.hold.now() + DYING_SECONDS
        while not self._place.server.running.poll():
            if self._place.server.well():
                return False
            if self._work.control.hold.now() > until or self._work.control.wait(STEP_SECONDS):
                break
        return True

    def _died(self, victims: list[Call], innocent: list[Call] | None = None) -> Fault | None:
        """The server is gone. victims: were under way; more are found among those whose threads still wait."""
        waiting = list(innocent or [])
        for call, reply in self._cut_all():
            if reply.kind is Kind.ANSWERED:
                self._judge(call, reply, 0)
            else:
                (waiting if reply.kind is Kind.NOT_SENT else victims).append(call)
        outcome = self._place.server.outcome()
        if outcome is not None and outcome.end is End.ENGINE_ERROR:
            return workers("engine_error", outcome.message or "The container engine failed.")
        for call in waiting:
            self._put_back(call)
        self._place.pace.strained()
        memory = outcome is not None and outcome.end is End.OUT_OF_MEMORY
        if fault := self._blame(victims, memory):
            return fault
        return self._restart(victims)

    def _blame(self, victims: list[Call], memory: bool) -> Fault | None:
        """Each victim has seen one more death; one that has seen enough, the last alone, is the bad item."""
        for call in victims:
            call.deaths += 1
        if len(victims) != 1 or not victims[0].alone or victims[0].deaths < DEATHS_MAX:
            self._suspect(victims)
            return None
        call = victims[0]
        if memory:
            fault = out_of_memory(self._work, self._item(call))
            if fault.bad_item is None:
                return fault  # the worker's own memory was too small
            self._give_up(call, fault.code, fault.message)
        else:
            self._give_up(call, "model_server_died", "The image's server died while it did this item alone.")
        return None

    def _suspect(self, calls: list[Call]) -> None:
        self._suspects = deque(sorted([*self._suspects, *calls], key=lambda call: call.position))

    def _restart(self, victims: list[Call]) -> Fault | None:
        """A fresh server in the place of the old one, a bounded number of times."""
        self._restarts += 1
        if self._restarts > RESTARTS_MAX:
            blamed = self._item(victims[0]) if len(victims) == 1 else None
            return submitters("model_server_died", "The image's server had to be started anew too often.", blamed)
        self._work.note("the image's server had ended; a fresh one goes on")
        self._place.end_server()
        server = start_server(self._work, self._began)
        if isinstance(server, Fault):
            return server
        self._place.server = server
        return None

    def _cut_all(self) -> list[tuple[Call, Reply]]:
        """Nothing is under way any more. What had ended by itself, or ends now, with its reply."""
        for call in self._under_way.values():
            if call.exchange is not None:
                call.exchange.cut()
        ended = []
        while self._under_way:
            call, reply = self._done.get()
            if call.exchange is not None:
                call.exchange.release()  # others may wait for it, and they are waited for
            if self._under_way.pop(call.position, None) is not None:
                ended.append((call, reply))
        return ended

    def _item(self, call: Call) -> int:
        return self._work.assignment.item_start + call.position


def _calls(work: Work, source: BinaryIO) -> "Iterator[Call | tuple[int, bytes]]":
    """Each item that was staged, in order: to be asked, or its position with its answer when it cannot be."""
    assignment = work.assignment
    for position in range(work.staged.count):
        if position in work.staged.refused:
            continue
        line = source.readline().rstrip(b"\n")
        identity = request_id(assignment.job_id, assignment.item_start + position)
        request = request_of(line, assignment.http.path, identity)
        yield Call(position, request) if isinstance(request, Request) else (position, request)
