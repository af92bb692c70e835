"""Whoever looks on: counters, the log of moves, traces. The store tells them of every move, control of the rest."""

import os
import socket
from typing import TYPE_CHECKING

from fallow.clock import Clock
from fallow.control.standing import Standing
from fallow.core.chapter import Witness, Witnesses
from fallow.core.refusals import Code, Refusal
from fallow.settings import Settings
from fallow.store.port import Store
from fallow.web.counters import Counters
from fallow.web.metrics.lifecycles import Lifecycles
from fallow.wiring.logs import MoveLog

if TYPE_CHECKING:
    from fallow.wiring.traces import Traces


class Observing:
    """Of one process. tracing: None when no endpoint is named, and then nothing of OpenTelemetry is imported."""

    def __init__(self, settings: Settings) -> None:
        """Raises Refusal SETTING_INVALID when traces are wanted and their library is not installed."""
        self._settings = settings
        self._lifecycles = Lifecycles()
        self.tracing = _traces(settings) if settings.traces else None
        witnesses: list[Witness] = [self._lifecycles, MoveLog()]
        if self.tracing is not None:
            witnesses.append(self.tracing)
        self.witness = Witnesses(witnesses)

    def counters(self, store: Store, clock: Clock) -> Counters:
        """What /metrics shows."""
        return Counters(Standing(store, clock, self._settings).gauges, self._lifecycles)

    def close(self) -> None:
        """Sends the traces that wait."""
        if self.tracing is not None:
            self.tracing.close()


def _traces(settings: Settings) -> "Traces":
    try:
        from fallow.wiring.traces import Traces
    except ModuleNotFoundError:
        raise Refusal(
            Code.SETTING_INVALID, "Traces need a library that is not installed.", "pip install 'fallow[traces]'"
        ) from None
    return Traces(settings.traces, settings.traces_ratio, f"{socket.gethostname()}-{os.getpid()}")
