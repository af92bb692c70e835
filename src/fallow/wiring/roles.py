"""Roles as threads: each asks its part for a step, again and again, and rests when there is nothing to do."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from fallow.core.refusals import Refusal
from fallow.web.counters import Counters

_FIRST_REST_SECONDS: Final = 0.02  # after work there is often more; then twice as long each time
_FAULT_REST_SECONDS: Final = 1.0
_FAULT_REST_SECONDS_MAX: Final = 30.0
_log = structlog.get_logger("fallow.roles")


@dataclass(frozen=True, slots=True)
class Role:
    """step: True when there was something to do. rest_seconds: at most, between two steps that found nothing. then: the
    role that has something to do whenever this one had."""

    name: str
    step: Callable[[], bool]
    rest_seconds: float
    then: str = ""
    bell: threading.Event = field(default_factory=threading.Event)


class Roles:
    """Runs roles until it is told to stop. Everything a role knows is in rows, so it may be killed at any line."""

    def __init__(
        self, roles: Sequence[Role], counters: Counters, bells: Mapping[str, Callable[[], None]] | None = None
    ) -> None:
        """bells: others that a role may ring when it had something to do, by name."""
        self._roles = roles
        self._counters = counters
        self._bells = bells or {}
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for role in self._roles:
            thread = threading.Thread(target=self._loop, args=(role,), name=f"role-{role.name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def step_all(self) -> bool:
        """Each role's next step, in this thread: for those who move the clock. True when one had something to do."""
        worked = [role.step() for role in self._roles]
        return any(worked)

    def ring(self, name: str) -> None:
        """Wakes a role of this process early. Only saves time: without it the role would look by itself."""
        if name in self._bells:
            self._bells[name]()
        for role in self._roles:
            if role.name == name:
                role.bell.set()

    def stop(self, seconds: float = 10.0) -> None:
        """Ends each role after its step, and waits for that so long at most."""
        self._stop.set()
        for role in self._roles:
            role.bell.set()
        for thread in self._threads:
            thread.join(seconds)

    def _loop(self, role: Role) -> None:
        idle = faults = 0
        while not self._stop.is_set():
            try:
                worked = role.step()
            except Refusal as refusal:
                faults += 1
                _log.warning("role.refused", role=role.name, code=refusal.code, reason=str(refusal))
                self._counters.stepped(role.name, "refused")
                self._stop.wait(min(_FAULT_REST_SECONDS * 2 ** min(faults - 1, 10), _FAULT_REST_SECONDS_MAX))
                continue
            except Exception:  # noqa: BLE001  the top of the loop: what is broken is rolled back and told, the rest goes on
                faults += 1
                _log.exception("role.broken", role=role.name)
                self._counters.stepped(role.name, "broken")
                self._stop.wait(min(_FAULT_REST_SECONDS * 2 ** min(faults - 1, 10), _FAULT_REST_SECONDS_MAX))
                continue
            faults = 0
            self._counters.stepped(role.name, "worked" if worked else "idle")
            idle = 0 if worked else idle + 1
            if worked:
                self.ring(role.then)
            elif role.bell.wait(min(_FIRST_REST_SECONDS * 2 ** min(idle - 1, 16), role.rest_seconds)):
                role.bell.clear()
                idle = 0
