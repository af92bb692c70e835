"""An engine whose containers are paused and go on together."""

import threading
from typing import Protocol

from fallow.worker.engines.engine import ContainerSpec, Engine, Running
from fallow.worker.hold import Hold

LOOK_SECONDS = 0.2  # between tries while somebody wants something else than there is


class Freezable(Running, Protocol):
    def freeze(self) -> bool:
        """Whether nothing of it runs until thaw()."""
        ...

    def thaw(self) -> bool:
        """Whether it goes on."""
        ...

    def first_process(self) -> int:
        """As this machine counts; 0 when there is none (yet)."""
        ...


class FreezingEngine(Protocol):
    name: str
    isolates: bool

    def start(self, spec: ContainerSpec) -> Freezable: ...

    def reap(self) -> int: ...


class Pausable(Engine):
    """Keeps the containers that run as the hold says, in a thread of its own: an engine's call may take long."""

    def __init__(self, engine: FreezingEngine, hold: Hold) -> None:
        self.name = engine.name
        self.isolates = engine.isolates
        self._engine = engine
        self._hold = hold
        self._lock = threading.Lock()
        self._paused: dict[Freezable, bool] = {}
        self._processes: dict[Freezable, int] = {}
        self._past_cpu = 0.0
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._settle, name="hold", daemon=True)
        self._thread.start()

    def start(self, spec: ContainerSpec) -> Running:
        """Raises EngineBroken. What is started while all are paused is paused in a moment."""
        running = self._engine.start(spec)
        with self._lock:
            self._forget_ended()
            self._paused[running] = False
        self._wake.set()
        return running

    def reap(self) -> int:
        return self._engine.reap()

    def changed(self) -> None:
        """The hold began or ended."""
        self._wake.set()

    @property
    def settled(self) -> bool:
        """Whether every container is as the hold says."""
        with self._lock:
            return all(running.poll() or is_so is self._hold.held for running, is_so in self._paused.items())

    @property
    def cpu_seconds(self) -> float:
        """Of all containers since the start of this program, as far as the machine tells."""
        with self._lock:
            return self._past_cpu + sum(each.usage().cpu_seconds for each in self._paused)

    @property
    def process(self) -> int:
        """The first process of a container that runs; 0 when none is known."""
        with self._lock:
            return next((pid for running, pid in self._processes.items() if pid and not running.poll()), 0)

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        self._thread.join()

    def _settle(self) -> None:
        while not self._closed:
            # While all are paused, new ones may come; else there is nothing to do before somebody says so.
            self._wake.wait(LOOK_SECONDS if self._hold.held or not self.settled or self._unknown() else None)
            self._wake.clear()
            for running in self._unknown():
                process = running.first_process()
                with self._lock:
                    self._processes[running] = process
            with self._lock:
                wrong = [each for each, is_so in self._paused.items() if is_so is not self._hold.held]
            for running in wrong:
                self._settle_one(running)

    def _unknown(self) -> list[Freezable]:
        """Containers that run and whose processes are not known."""
        with self._lock:
            return [each for each in self._paused if not self._processes.get(each) and not each.poll()]

    def _settle_one(self, running: Freezable) -> None:
        held = self._hold.held
        done = running.poll() or (running.freeze() if held else running.thaw())
        if done:
            with self._lock:
                if running in self._paused:
                    self._paused[running] = held

    def _forget_ended(self) -> None:
        for running in [each for each in self._paused if each.poll()]:
            self._past_cpu += running.usage().cpu_seconds
            del self._paused[running]
            self._processes.pop(running, None)
