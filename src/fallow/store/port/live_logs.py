"""Logs of running attempts: which of them somebody looks at, and what their workers told."""

from typing import Protocol

from fallow.core.live_log import LogPart
from fallow.core.words import AttemptId, Micros


class LiveLogsTx(Protocol):
    """The verbs of live logs."""

    def watch_log(self, attempt_id: AttemptId, until: Micros) -> None:
        """Somebody looks at the attempt's log until then."""
        ...

    def watched_logs(self, now: Micros, limit: int) -> list[AttemptId]:
        """Attempts that somebody looks at; those looked at last when there are more than `limit`."""
        ...

    def live_log(self, attempt_id: AttemptId) -> LogPart | None:
        """What is known of an attempt's log before it is over."""
        ...

    def save_live_log(self, part: LogPart, now: Micros) -> None:
        """What is known now, in place of what was. Nothing when there is no such attempt."""
        ...

    def has_idle_logs(self, now: Micros) -> bool:
        """Whether sweep_logs would find something."""
        ...

    def sweep_logs(self, now: Micros, limit: int) -> int:
        """Forgets who looked, and logs of attempts that are over; how many rows. Logs of lost attempts stay with their
        job: nothing else is known of them."""
        ...
