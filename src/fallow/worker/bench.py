"""The slots of an agent, each with its thread, and the attempts that wait for them."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fallow.worker.assignment import Assignment
from fallow.worker.control import Control
from fallow.worker.faults import workers
from fallow.worker.slot import Finished, Outfit, Slot

AHEAD_SECONDS = 0.5  # of work kept waiting, so that short chunks do not wait for the network
AHEAD_MAX = 8
COLD_SECONDS = 60.0  # a warm container with nothing to do is ended


@dataclass(slots=True)
class Task:
    """over: its slot is as good as free, though it is held until its answer is kept."""

    assignment: Assignment
    control: Control = field(default_factory=Control)
    over: bool = False


class Bench:
    """Hands tasks to slots; a task goes to the slot that holds a warm container of its job, where one is free."""

    def __init__(self, directory: Path, count: int, outfit: Outfit, finished: Callable[[Task, Finished], None]) -> None:
        self._finished = finished
        self._changed = threading.Condition()
        self._waiting: deque[Task] = deque()
        self._running: dict[int, Task] = {}
        self._closed = False
        self._seconds = 10.0  # of a recent chunk, smoothed
        self._slots = [Slot(directory / str(number), outfit) for number in range(count)]
        self._threads = [
            threading.Thread(target=self._serve, args=(slot,), name=f"slot-{number}", daemon=True)
            for number, slot in enumerate(self._slots)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, assignment: Assignment) -> None:
        with self._changed:
            self._waiting.append(Task(assignment))
            self._changed.notify_all()

    def wanted(self) -> int:
        """How many more attempts to ask for."""
        with self._changed:
            ahead = min(AHEAD_MAX, int(AHEAD_SECONDS / max(self._seconds, 0.001))) * len(self._slots)
            return max(0, len(self._slots) + ahead - self._busy())

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        with self._changed:
            return self._busy() == 0

    def _busy(self) -> int:
        return sum(not task.over for task in self._running.values()) + len(self._waiting)

    def held(self) -> list[Task]:
        with self._changed:
            return [*self._running.values(), *self._waiting]

    def stop(self, attempt_id: int, reason: str) -> None:
        """One attempt is to end now."""
        with self._changed:
            for task in [*self._running.values(), *self._waiting]:
                if task.assignment.attempt_id == attempt_id:
                    task.control.stop(reason)

    def stop_all(self, reason: str, waiting_only: bool = False) -> None:
        with self._changed:
            for task in [*self._waiting, *(() if waiting_only else self._running.values())]:
                task.control.stop(reason)

    def close(self) -> None:
        """Ends the threads and every container. Tasks must have been stopped or finished before."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self, slot: Slot) -> None:
        while (task := self._next(slot)) is not None:
            try:
                slot.run(task.assignment, task.control, partial(self._done, task))
            except Exception as broken:  # noqa: BLE001 - the top of a loop: a bug must not take the slot with it
                slot.shelf.clear()
                fault = workers("worker_broken", f"The worker has a bug: {type(broken).__name__}: {broken}")
                self._done(task, Finished(task.assignment, fault, 0, b"", None, None, "", 0.0))
        slot.close()

    def _next(self, slot: Slot) -> Task | None:
        with self._changed:
            while not self._closed:
                task = self._choose(slot)
                if task is not None:
                    self._waiting.remove(task)
                    self._running[task.assignment.attempt_id] = task
                    return task
                if not self._changed.wait(COLD_SECONDS):
                    break
        if not self._closed:
            slot.shelf.clear()
            return self._next_after_cold(slot)
        return None

    def _next_after_cold(self, slot: Slot) -> Task | None:
        with self._changed:
            while not self._closed and not self._waiting:
                self._changed.wait()
        return self._next(slot)

    def _choose(self, slot: Slot) -> Task | None:
        """A task of the slot's warm job first; else the one that waits longest."""
        if not self._waiting:
            return None
        warm = next((task for task in self._waiting if slot.shelf.holds(task.assignment.job_id)), None)
        return warm or self._waiting[0]

    def _done(self, task: Task, finished: Finished) -> None:
        with self._changed:
            self._seconds = 0.7 * self._seconds + 0.3 * finished.seconds
            task.over = True
        self._finished(task, finished)
        with self._changed:
            self._running.pop(task.assignment.attempt_id, None)
