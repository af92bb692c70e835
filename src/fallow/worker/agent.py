"""The agent: says hello, leases, runs, reports and beats its heart, until it is told to stop.

One thread talks to the server, one per slot runs containers, two carry artifacts. What is finished is on disk before it
is reported, so that neither end can lose it.
"""

import contextlib
import queue
import signal
import threading
import time
import uuid
from types import FrameType

import msgspec

from fallow.clock import SystemClock
from fallow.core.refusals import Code, Refusal
from fallow.core.words import FailureClass
from fallow.protocols.rest import work as wire
from fallow.worker import machine
from fallow.worker.alone import alone
from fallow.worker.bench import Bench, Task
from fallow.worker.contracts.contract import Ceiling
from fallow.worker.door import Door, Unreachable
from fallow.worker.equipment import Equipment, equip
from fallow.worker.greeting import hello
from fallow.worker.identity import Identity, load_identity
from fallow.worker.options import AgentOptions
from fallow.worker.outbox import Outbox, Parcel, deliver
from fallow.worker.pacing import Strain, pauses
from fallow.worker.receipts import Signer
from fallow.worker.slot import Finished, Outfit
from fallow.worker.telling import Telling
from fallow.worker.transfer import TransferFailed
from fallow.worker.wire import from_lease

REPORTS_BYTES_MAX = 8 << 20  # of artifacts inside one call
CLOCK_SECONDS = 60.0
IDLE_SECONDS = 1.0  # a call of a worker with nothing to do is held so long at most; it is the time it would rest
COURIERS = 2
FAREWELL_SECONDS = 20.0
NOT_WANTED = "The attempt is not wanted any more."
OWNER_STOPPED = "The worker's owner stopped it."


def run_agent(options: AgentOptions, stop_event: threading.Event, abort_event: threading.Event | None = None) -> int:
    """Works until stop_event: then finishes what runs, reports and leaves; abort_event ends it at once. Returns 0.

    Raises Refusal for what waiting cannot mend: no engine, a wrong token, a data directory it may not write.
    """
    identity = load_identity(options.data_dir)
    with alone(options.data_dir):
        equipment = equip(options, identity.worker_id)
        agent = Agent(options, identity, equipment, stop_event, abort_event or threading.Event())
        return agent.run()


def stop_on_signals() -> tuple[threading.Event, threading.Event]:
    """(stop, abort): the first SIGTERM or SIGINT sets stop, the second sets abort. Only in the main thread."""
    stop, abort = threading.Event(), threading.Event()

    def heard(_number: int, _frame: FrameType | None) -> None:
        (abort if stop.is_set() else stop).set()

    signal.signal(signal.SIGTERM, heard)
    signal.signal(signal.SIGINT, heard)
    return stop, abort


class Agent:
    """See run_agent."""

    def __init__(
        self,
        options: AgentOptions,
        identity: Identity,
        equipment: Equipment,
        stop: threading.Event,
        abort: threading.Event,
    ) -> None:
        self._options = options
        self._identity = identity
        self._equipment = equipment
        self._stop = stop
        self._abort = abort
        self._session = uuid.uuid4().hex
        self._door = Door(options.server, options.token)
        self._outbox = Outbox(options.data_dir / "outbox")
        self._carry: queue.Queue[Parcel | None] = queue.Queue()
        self._carried: dict[int, int] = {}  # attempts on their way, and how many items they hold
        self._ready: dict[int, Parcel] = {}
        self._dropped: set[int] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._over = threading.Event()
        self._strain = Strain()
        self._telling = Telling()
        self._welcome = wire.Welcome(identity.worker_id, 0, 10.0, 64 << 10)
        self._bench: Bench | None = None
        self._said = ""

    def run(self) -> int:
        """The whole life."""
        if not self._greet():
            return 0
        bench = self._bench = self._make_bench()
        couriers = [threading.Thread(target=self._courier, name=f"courier-{n}", daemon=True) for n in range(COURIERS)]
        for courier in couriers:
            courier.start()
        for parcel in self._outbox.load():
            self._send_off(parcel, 0)
        try:
            self._work(bench)
            self._leave(bench)
        finally:
            bench.stop_all(OWNER_STOPPED)
            bench.close()
            self._over.set()
            for _ in couriers:
                self._carry.put(None)
            for courier in couriers:
                courier.join()
            self._door.close()
        return 0

    def _make_bench(self) -> Bench:
        options, equipment, slots = self._options, self._equipment, self._options.slot_count
        ceiling = Ceiling(
            memory_bytes=options.memory_bytes // slots if options.memory_bytes else _most_of_the_memory(),
            cpus=options.cpus / slots if options.cpus else None,
        )
        outfit = Outfit(
            signer=Signer(self._identity.worker_id, self._identity.sign),
            images=equipment.images(self._door),
            containers=equipment.containers,
            process=equipment.process,
            ceiling=ceiling,
            note=options.note,
        )
        return Bench(options.data_dir / "slots", slots, outfit, self._finished)

    # ---- the conversation with the server

    def _greet(self) -> bool:
        """Hello until it is welcome; False when told to stop first. Raises Refusal."""
        for pause in pauses():
            if self._stop.is_set() or self._abort.is_set():
                return False
            try:
                self._welcome = self._door.hello(hello(self._options, self._identity, self._equipment, self._session))
            except Unreachable as away:
                self._say(f"{away} The worker keeps trying.")
                self._stop.wait(pause)
                continue
            self._greeted()
            return True
        return False

    def _greeted(self) -> None:
        skew = (SystemClock().now() - self._welcome.server_time) / 1e6
        if self._welcome.server_time and abs(skew) > CLOCK_SECONDS:
            self._say(f"This machine's clock is {skew:+.0f} s off the server's. Set it: timedatectl set-ntp true")
        engines = ", ".join(self._equipment.names) or "none"
        self._say(f"joined {self._options.server} as {self._welcome.worker_id}, engines: {engines}")
        if self._welcome.message:
            self._say(self._welcome.message)

    def _work(self, bench: Bench) -> None:
        """Ask, hand out, ask again; until told to stop."""
        waits = pauses()
        next_want = last_call = 0.0
        in_vain = False  # whether the last call of an idle bench brought nothing
        while not self._stop.is_set() and not self._abort.is_set():
            now, idle = time.monotonic(), bench.idle
            # A bench that has just run out of work asks at once, whatever it was told while it had some.
            rests = now < next_want and (in_vain or not idle)
            want = 0 if rests or self._strain.holds else bench.wanted()
            beat_due = now - last_call >= self._beat_seconds()
            if not want and not beat_due and not self._ready_any():
                self._wait(self._pause(now, next_want, last_call))
                continue
            patience = IDLE_SECONDS if want and in_vain and idle and not self._on_the_way() else 0.0
            answer = self._ask(bench, want, leaving=False, patience=patience)
            last_call = time.monotonic()
            if answer is None:
                self._wait(next(waits), only_stop=True)
                continue
            waits = pauses()
            if want:
                in_vain = idle and not answer.leases
                # The first call in vain is followed by one that waits at the server.
                soon = answer.leases or (in_vain and not patience)
                next_want = 0.0 if soon else last_call + answer.wait_seconds

    def _pause(self, now: float, next_want: float, last_call: float) -> float:
        """Until the next call is due, unless something is finished before."""
        beat = last_call + self._beat_seconds() - now
        return min(beat, next_want - now) if next_want > now else min(beat, 0.2)

    def _beat_seconds(self) -> float:
        return self._telling.beat_seconds(self._welcome.heartbeat_seconds)

    def _on_the_way(self) -> bool:
        """Whether something is to be reported, now or soon: a call that waits would hold it up."""
        with self._lock:
            return bool(self._ready or self._carried)

    def _ask(self, bench: Bench, want: int, leaving: bool, patience: float = 0.0) -> wire.Answer | None:
        """One call and what follows from it; None when the server could not be reached or refused."""
        parcels = self._some_ready()
        reports, holdings, logs = self._reports(parcels), self._holdings(bench), self._telling.news(bench.held())
        worker_id, session = self._welcome.worker_id, self._session
        try:
            answer = self._door.ask(wire.Ask(worker_id, session, want, reports, holdings, leaving, patience, logs))
        except Unreachable as away:
            self._say(f"{away} Running chunks go on; finished ones are kept.")
            return None
        except Refusal as refused:
            self._refused(refused, parcels)
            return None
        self._said = ""
        self._telling.told(logs)
        self._telling.asked(answer.watched)
        self._take_acks(parcels, answer)
        for attempt in answer.stop:
            bench.stop(attempt, NOT_WANTED)
            self._drop(attempt)
        for lease in answer.leases:
            self._accept(bench, lease)
        if answer.message:
            self._say(answer.message)
        return answer

    def _reports(self, parcels: list[Parcel]) -> tuple[wire.Report, ...]:
        """What the parcels say. One whose bytes somebody removed is given up: the attempt is given out again."""
        reports: list[wire.Report] = []
        for parcel in parcels[:]:
            try:
                reports.append(parcel.report())
            except OSError as wrong:
                self._say(f"attempt {parcel.attempt_id}: its answers cannot be read any more: {wrong.strerror}")
                parcels.remove(parcel)
                self._unready(parcel)
                self._outbox.forget(parcel)
        return tuple(reports)

    def _accept(self, bench: Bench, lease: wire.Lease) -> None:
        try:
            bench.add(from_lease(lease))
        except ValueError as unknown:
            sentence = f"The worker is too old for this job: {unknown}."
            failure = wire.Failure(FailureClass.WORKER, "lease_unknown", sentence)
            with self._lock:
                self._ready[lease.attempt_id] = self._outbox.failed(lease.attempt_id, failure)

    def _refused(self, refused: Refusal, parcels: list[Parcel]) -> None:
        """A refusal of the whole call."""
        if refused.code is Code.WORKER_UNKNOWN:
            self._say("The server does not know this worker any more; it says hello again.")
            with contextlib.suppress(Unreachable):
                self._welcome = self._door.hello(hello(self._options, self._identity, self._equipment, self._session))
            return
        if refused.code is Code.TOO_LARGE and parcels:
            # Artifacts inside the call were too much for the server: from now on they are uploaded.
            self._welcome = msgspec.structs.replace(self._welcome, inline_bytes_max=0)
            for parcel in parcels:
                self._unready(parcel)
                self._send_off(parcel, 0)
        self._say(f"The server refused the call: {refused}")

    def _take_acks(self, parcels: list[Parcel], answer: wire.Answer) -> None:
        acked = {ack.attempt_id: ack for ack in answer.acks}
        for parcel in parcels:
            ack = acked.get(parcel.attempt_id)
            if ack is None:
                continue
            if ack.verdict == "refused":
                self._say(f"attempt {ack.attempt_id}: the server refused the report: {ack.message or ack.code}")
            self._unready(parcel)
            self._outbox.forget(parcel)

    def _holdings(self, bench: Bench) -> tuple[wire.Holding, ...]:
        with self._lock:
            carried = dict(self._carried)
        held = {task.assignment.attempt_id: task.control.items_done for task in bench.held()}
        with self._lock:
            return tuple(wire.Holding(a, n) for a, n in {**held, **carried}.items() if a not in self._ready)

    # ---- finished attempts

    def _finished(self, task: Task, finished: Finished) -> None:
        """Called by a slot's thread, while the attempt's files are there."""
        attempt = finished.assignment.attempt_id
        if attempt in self._dropped:
            self._dropped.discard(attempt)
            return
        fault = finished.fault
        self._strain.felt(fault.failure_class if fault else None)
        if fault is not None:
            self._say(f"attempt {attempt} of {finished.assignment.job_id}: {fault.code}: {fault.message}")
        try:
            parcel = self._outbox.keep(finished)
        except OSError as wrong:
            # The attempt is lost here; the server gives it to another worker when its lease is over.
            self._say(f"attempt {attempt} could not be kept: {wrong.strerror}")
            return
        self._send_off(parcel, finished.items_done)

    def _send_off(self, parcel: Parcel, items_done: int) -> None:
        """To the courier if something must be uploaded, else straight to the next call."""
        large = parcel.waiting_bytes > self._welcome.inline_bytes_max
        with self._lock:
            if large or parcel.log_waits:
                self._carried[parcel.attempt_id] = items_done
            else:
                self._ready[parcel.attempt_id] = parcel
        if large or parcel.log_waits:
            self._carry.put(parcel)
        else:
            self._wake.set()

    def _courier(self) -> None:
        """Uploads until the agent is over; an unreachable store is tried for ever."""
        while (parcel := self._carry.get()) is not None:
            for pause in pauses():
                try:
                    parcel = self._outbox.update(deliver(parcel, self._welcome.inline_bytes_max, self._over.wait))
                except TransferFailed as failed:
                    self._say(f"attempt {parcel.attempt_id}: its answers cannot be uploaded yet: {failed}.")
                    if self._over.wait(pause):
                        return
                    continue
                except OSError as wrong:
                    self._say(f"attempt {parcel.attempt_id}: its parcel cannot be read: {wrong.strerror}")
                    break
                with self._lock:
                    self._ready[parcel.attempt_id] = parcel
                break
            with self._lock:
                self._carried.pop(parcel.attempt_id, None)
            self._wake.set()

    def _some_ready(self) -> list[Parcel]:
        """As many reports as fit in one call, at least one if there is any."""
        chosen: list[Parcel] = []
        size = 0
        with self._lock:
            for parcel in self._ready.values():
                size += parcel.waiting_bytes
                if chosen and size > REPORTS_BYTES_MAX:
                    break
                chosen.append(parcel)
        return chosen

    def _ready_any(self) -> bool:
        with self._lock:
            return bool(self._ready)

    def _unready(self, parcel: Parcel) -> None:
        with self._lock:
            self._ready.pop(parcel.attempt_id, None)

    def _drop(self, attempt: int) -> None:
        """Nobody wants it: a finished one is forgotten, a running one will be."""
        with self._lock:
            parcel = self._ready.pop(attempt, None)
            if parcel is None and attempt not in self._carried:
                self._dropped.add(attempt)
        if parcel is not None:
            self._outbox.forget(parcel)

    # ---- the end

    def _leave(self, bench: Bench) -> None:
        """Finish what runs, tell the server, go. An abort, or the end of the grace, stops what runs."""
        held = bench.held()
        if held:
            self._say(f"leaving: {len(held)} chunks are still held; the ones that run are finished first")
        bench.stop_all(OWNER_STOPPED, waiting_only=True)
        until = time.monotonic() + self._options.drain_seconds
        waits = pauses()
        next_call = 0.0
        while bench.held() and not self._abort.is_set() and time.monotonic() < until:
            if self._ready_any() or time.monotonic() >= next_call:
                answer = self._ask(bench, 0, leaving=True)
                pause = next(waits) if answer is None else self._beat_seconds()
                next_call = time.monotonic() + pause
                if answer is None:
                    self._wait(pause)
            self._wait(0.2)
        bench.stop_all(OWNER_STOPPED)
        self._farewell(bench)

    def _farewell(self, bench: Bench) -> None:
        """The last reports; what cannot be delivered now stays on disk for the next start."""
        until = time.monotonic() + FAREWELL_SECONDS
        while time.monotonic() < until:
            busy = bool(bench.held()) or bool(self._carried)
            if not busy or self._ready_any():
                answer = self._ask(bench, 0, leaving=True)
                if not busy and not self._ready_any():
                    return
                if answer is None and self._abort.is_set():
                    return
            self._wait(0.1)

    def _wait(self, seconds: float, only_stop: bool = False) -> None:
        """Until something is finished, a stop is asked for, or the time is over."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._abort.is_set():
            if only_stop:
                if self._stop.wait(min(left, 0.2)):
                    return
            elif self._wake.wait(min(left, 0.2)):
                self._wake.clear()
                return
            elif self._stop.is_set():
                return

    def _say(self, line: str) -> None:
        """Once, until something else is said."""
        if line != self._said:
            self._said = line
            self._options.note(line)


def _most_of_the_memory() -> int:
    """Without a word from the owner a container may have most of the machine's memory, never all of it."""
    return machine.memory_bytes() // 10 * 9
