"""The whole program: the client's channel in this thread, the work in another."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path
from types import FrameType

from fallow.worker.engines.oci_engine import Flavour, OciEngine
from fallow.worker.engines.probe import PROGRAMS
from fallow.worker.faults import ours, workers
from fallow.worker.volunteer.bundle import Bundle
from fallow.worker.volunteer.channel import Channel
from fallow.worker.volunteer.endings import Impossible, Later, Left, come_back, finish, give_up, say
from fallow.worker.volunteer.home import Home, Slots, find_home, resolved
from fallow.worker.volunteer.init_data import InitData, read_init_data
from fallow.worker.volunteer.key import load_key
from fallow.worker.volunteer.ticket import Unreadable, read_ticket

TICKET_FILE, ANSWER_FILE = "ticket.json", "answer.json"
LOOK_SECONDS = 0.1
UNSETTLED_SECONDS = 20.0  # the client also pauses for moments, to use less of a processor: those are let pass
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> int:
    """In the slot's directory. The exit code, for a BOINC client."""
    slot = Path.cwd()
    said = read_init_data(slot)
    _use_proxy(said)
    try:
        Program(find_home(slot, said), said).run()
        return 0
    except Later as later:
        return come_back(slot, later)
    except Left:
        return 0
    except Impossible as impossible:
        return give_up(impossible)
    except OSError as wrong:
        sentence = f"The client's directories cannot be used: {wrong.strerror or wrong}."
        return give_up(Impossible(workers("slot_broken", sentence), (sentence,)))
    except Exception as broken:  # noqa: BLE001 - the top: the volunteer sees a sentence, the server the kind
        sentence = f"The program has a bug: {type(broken).__name__}: {broken}"
        return give_up(Impossible(workers("worker_broken", sentence), (sentence,)))


class Program:
    """One start in one slot."""

    def __init__(self, home: Home, said: InitData) -> None:
        self._home = home
        self._said = said
        self._told_to_go = threading.Event()
        self._abandoned = False
        self._settled = time.monotonic()
        self._trouble: BaseException | None = None

    def run(self) -> None:
        """Until answer.json is there and the client is told. Raises Later, Left, Impossible, OSError."""
        for each in SIGNALS:
            signal.signal(each, self._signalled)
        self._home.work.mkdir(parents=True, exist_ok=True)
        slots = Slots(self._home)
        _remove_left(slots.enter(self._told_to_go.wait))
        try:
            self._serve()
        finally:
            slots.leave()
            if self._abandoned:
                shutil.rmtree(self._home.work, ignore_errors=True)

    def _serve(self) -> None:
        try:
            ticket = read_ticket(resolved(self._home.slot / TICKET_FILE))
        except (Unreadable, OSError) as wrong:
            why = wrong.strerror if isinstance(wrong, OSError) else wrong
            sentence = f"The task's ticket cannot be read: {why}"
            raise Impossible(ours("ticket_invalid", sentence), (sentence,)) from None
        bundle = Bundle(self._home, self._said, ticket, load_key(self._home))
        work = threading.Thread(target=self._work, args=(bundle,), name="work", daemon=True)
        work.start()
        channel = Channel(self._home.slot)
        while work.is_alive():
            self._listen(channel, bundle)
            if self._told_to_go.is_set():
                bundle.stop()
            if channel.is_due:
                channel.tell(bundle.progress)
            work.join(LOOK_SECONDS)
        channel.tell(bundle.progress)
        channel.close()
        if self._trouble is not None:
            raise self._trouble
        finish(self._home.slot)
        # Only now: a restart before the client was told must find what is finished.
        shutil.rmtree(self._home.work, ignore_errors=True)

    def _listen(self, channel: Channel, bundle: Bundle) -> None:
        """Does what the client asks for."""
        for request in channel.requests():
            if request in {"quit", "abort"}:
                self._abandoned = request == "abort"
                self._told_to_go.set()
            elif request == "suspend":
                bundle.pause()
                self._settled = time.monotonic()
            else:
                bundle.resume()
        if bundle.settled:
            self._settled = time.monotonic()
        elif time.monotonic() - self._settled > UNSETTLED_SECONDS and not self._told_to_go.is_set():
            say("The container cannot be paused here, so it was ended; the BOINC client will start the task again.")
            self._told_to_go.set()
        if channel.client_is_gone() and not self._told_to_go.is_set():
            say("The BOINC client is silent; it will start the task again.")
            self._told_to_go.set()

    def _work(self, bundle: Bundle) -> None:
        try:
            bundle.run(resolved(self._home.slot / ANSWER_FILE))
        except BaseException as trouble:  # noqa: BLE001 - raised again in the thread that waits
            self._trouble = trouble

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        self._told_to_go.set()


def _remove_left(labels: list[str]) -> None:
    """Containers of programs that were killed."""
    for program in PROGRAMS if labels else ():
        if shutil.which(program):
            removed = sum(OciEngine(Flavour(program), label).reap() for label in labels)
            if removed:
                say(f"Removed {removed} container(s) that an earlier program left.")


def _use_proxy(said: InitData) -> None:
    """What the volunteer told the client, for this program's own calls. An environment that names one wins."""
    if said.proxy:
        for name in ("http_proxy", "https_proxy"):
            os.environ.setdefault(name, said.proxy)
        os.environ.setdefault("no_proxy", ",".join(filter(None, ("localhost,127.0.0.1", said.no_proxy))))
