"""What the agent tells of the logs of running attempts: only of those that somebody looks at, and only what is new."""

from collections.abc import Collection, Iterable

from fallow.protocols.rest import work as wire
from fallow.worker.bench import Task

BEAT_SECONDS = 2.0  # between calls while somebody looks


class Telling:
    """Used by the one thread that talks to the server."""

    def __init__(self) -> None:
        self._told: dict[int, int] = {}  # watched attempts, and how many bytes of their logs the server has

    def asked(self, watched: Collection[int]) -> None:
        """The server's answer names the attempts that somebody looks at now."""
        self._told = {attempt: self._told.get(attempt, 0) for attempt in watched}

    def beat_seconds(self, heartbeat_seconds: float) -> float:
        """How long to rest between two calls."""
        return min(heartbeat_seconds, BEAT_SECONDS) if self._told else heartbeat_seconds

    def news(self, tasks: Iterable[Task]) -> tuple[wire.LogPart, ...]:
        """What the watched attempts wrote since the server was last told; the newest, where it is too much."""
        if not self._told:
            return ()
        found = []
        each_max = wire.LOGS_BYTES_MAX // len(self._told)
        for task in tasks:
            attempt, log = task.assignment.attempt_id, task.control.log
            if attempt in self._told and log is not None:
                try:
                    start, data = log.since(self._told[attempt], each_max)
                except OSError:  # the slot meets the same disk, and ends the attempt with the reason
                    continue
                if data:
                    found.append(wire.LogPart(attempt, start, data))
        return tuple(found)

    def told(self, parts: Iterable[wire.LogPart]) -> None:
        """The server has these."""
        for part in parts:
            self._told[part.attempt_id] = part.start + len(part.data)
