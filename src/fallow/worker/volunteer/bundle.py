"""One task: its attempts one after the other, in one slot, then its answer."""

import threading
from pathlib import Path

from fallow.core.words import FailureClass
from fallow.worker.assignment import Assignment
from fallow.worker.control import Control
from fallow.worker.faults import Fault, aborted, ours
from fallow.worker.hold import Hold
from fallow.worker.receipts import Signer
from fallow.worker.slot import Finished, Slot
from fallow.worker.volunteer.answer import Head
from fallow.worker.volunteer.channel import Progress
from fallow.worker.volunteer.delivery import Delivery
from fallow.worker.volunteer.endings import Impossible, Later, Left, later_seconds, say
from fallow.worker.volunteer.engine_here import EngineHere
from fallow.worker.volunteer.home import Home
from fallow.worker.volunteer.init_data import InitData
from fallow.worker.volunteer.kept import Kept, Shelved, failed
from fallow.worker.volunteer.key import Key
from fallow.worker.volunteer.server import Server, Unreachable
from fallow.worker.volunteer.ticket import Ticket, Unreadable
from fallow.worker.volunteer.tries import Tries
from fallow.worker.volunteer.workplace import Workplace

OURS_TRIES_MAX = 8  # then the server hears of it: somebody else may do better
MACHINES = frozenset({"image_missing", "disk_full", "engine_error", "slot_broken"})
LOOK_SECONDS = 0.2
NOT_WANTED = "The attempt is not wanted any more."


class Bundle:
    """Runs in one thread; another one watches and stops it."""

    def __init__(self, home: Home, said: InitData, ticket: Ticket, key: Key) -> None:
        self._home = home
        self._said = said
        self._ticket = ticket
        self._key = key
        self._stopped = threading.Event()
        self._control = Control()
        self._server = Server(ticket, self._stopped.wait)
        self._shelved = Shelved(home.work / "done")
        self._kept: dict[int, Kept] = self._shelved.load()
        self._items_all = sum(each.items for each in self._kept.values())
        self._tries = Tries(home.work / "tries")
        self._engine = EngineHere(home.kept, said.docker, home.label)
        self._hold = Hold()
        self._place: Workplace | None = None
        self._cpu_before = 0.0  # what this start's containers had used at the last finished attempt
        self._rest = aborted(NOT_WANTED)  # why attempts have no outcome of their own

    def stop(self) -> None:
        """The work ends soon, with Left; what is finished stays."""
        self._stopped.set()
        self._control.stop("The client stopped the task.")

    def pause(self) -> None:
        """Everything that runs stands still, soon."""
        self._hold.begin()
        if self._place is not None:
            self._place.engine.changed()

    def resume(self) -> None:
        """Everything goes on, soon."""
        self._hold.end()
        if self._place is not None:
            self._place.engine.changed()

    @property
    def settled(self) -> bool:
        """Whether everything stands still, or goes on, as was said last."""
        return self._place is None or self._place.engine.settled

    @property
    def progress(self) -> Progress:
        """How far the task is."""
        kept = list(self._kept.values())
        cpu = sum(each.cpu_seconds for each in kept)
        running = max(0.0, self._place.engine.cpu_seconds - self._cpu_before) if self._place is not None else 0.0
        done = sum(each.items for each in kept) + self._control.items_done
        fraction = min(1.0, done / self._items_all) if self._items_all else 0.0
        return Progress(cpu + running, cpu, fraction, self._place.engine.process if self._place is not None else 0)

    def run(self, answer: Path) -> None:
        """Until the answer is in this file. Raises Later, Left, Impossible."""
        try:
            leases = self._server.leases()
            waiting = [each for each in leases if each.attempt_id not in self._kept]
            self._items_all += sum(each.item_count for each in waiting)
            if waiting:
                self._work([each.attempt_id for each in waiting])
            self._answer(answer, {*self._ticket.attempt_ids, *(each.attempt_id for each in leases)})
        except Unreachable as away:
            raise Later(later_seconds(self._tries.another()), str(away)) from None
        except Unreadable as strange:
            raise Impossible(ours("server_strange", str(strange)), (str(strange),)) from None

    def _work(self, attempt_ids: list[int]) -> None:
        """Runs these, in this order."""
        flavour = self._engine.find()
        say(f"Running {len(attempt_ids)} attempt(s) with {flavour.program} {flavour.version}.")
        signer = Signer(self._ticket.worker_id, self._key.sign)
        place = Workplace(flavour, self._home, self._said, self._server, signer, self._hold)
        self._place = place
        try:
            self._each(place.slot, attempt_ids)
        finally:
            place.close()

    def _each(self, slot: Slot, attempt_ids: list[int]) -> None:
        """Raises Later when something of ours kept an attempt from being run; the others have been run by then."""
        postponed = False
        for attempt_id in attempt_ids:
            fault = self._one(slot, attempt_id, fresh=False)
            if fault is not None and fault.code == "url_expired":
                fault = self._one(slot, attempt_id, fresh=True)
            if fault is not None and fault.code in MACHINES:
                self._machine_failed(fault)
                return
            postponed = postponed or fault is not None
        if postponed:
            raise Later(later_seconds(self._tries.another()), "the task's input cannot be fetched now")

    def _one(self, slot: Slot, attempt_id: int, fresh: bool) -> Fault | None:
        """Runs an attempt and keeps its outcome; the fault for which it has none yet. Raises Left."""
        assignment = self._wanted(attempt_id, fresh)
        if assignment is None:
            return None
        self._control = Control(self._hold)
        while not self._stopped.is_set() and not self._hold.wait_free(LOOK_SECONDS):
            continue
        if self._stopped.is_set():
            raise Left
        ended: list[Finished] = []

        def finished(what: Finished) -> None:
            ended.append(what)
            if not self._must_run_again(what.fault):
                self._keep(what)

        slot.run(assignment, self._control, finished)
        fault = ended[-1].fault
        if fault is not None and fault.failure_class is FailureClass.ABORTED:
            raise Left
        return fault if self._must_run_again(fault) else None

    def _wanted(self, attempt_id: int, fresh: bool) -> Assignment | None:
        return next((each for each in self._server.leases(fresh) if each.attempt_id == attempt_id), None)

    def _must_run_again(self, fault: Fault | None) -> bool:
        """Here later, or elsewhere."""
        if fault is None:
            return False
        if fault.failure_class is FailureClass.OURS:
            return self._tries.count < OURS_TRIES_MAX
        return fault.failure_class is FailureClass.ABORTED or fault.code in MACHINES

    def _keep(self, finished: Finished) -> None:
        kept = self._shelved.keep(finished)
        self._control.items_done = 0
        self._cpu_before = self._place.engine.cpu_seconds if self._place is not None else 0.0
        self._kept = {**self._kept, kept.attempt_id: kept}
        self._tries.forget()

    def _machine_failed(self, fault: Fault) -> None:
        """Nothing else will do better here: what is finished is answered, the rest goes elsewhere. Raises Impossible
        when nothing is finished."""
        if fault.code == "engine_error":
            self._engine.forget()
        if not self._kept:
            raise Impossible(fault, (fault.message,))
        say(fault.message)
        self._rest = fault

    def _answer(self, path: Path, attempt_ids: set[int]) -> None:
        without = {each: failed(each, self._rest) for each in sorted(attempt_ids) if each not in self._kept}
        seconds = sum(each.seconds for each in self._kept.values())
        flavour = self._engine.known()
        engine = f"{flavour.program} {flavour.version}" if flavour else ""
        head = Head(self._ticket.worker_id, self._key.public, engine, seconds)
        delivery = Delivery(self._ticket, self._server, self._shelved, self._stopped.wait)
        path.write_bytes(delivery.answer(head, {**self._kept, **without}))
