"""Logs of running attempts."""

from fallow.core.live_log import LogPart
from fallow.core.words import AttemptId, Micros
from fallow.store.verbs.base import Verbs


class LiveLogVerbs(Verbs):
    def watch_log(self, attempt_id: AttemptId, until: Micros) -> None:
        self.session.run("watch_log", {"attempt_id": attempt_id, "until": until})

    def watched_logs(self, now: Micros, limit: int) -> list[AttemptId]:
        return [AttemptId(row[0]) for row in self.session.all("watched_logs", {"now": now, "limit": limit})]

    def live_log(self, attempt_id: AttemptId) -> LogPart | None:
        row = self.session.one("live_log", {"attempt_id": attempt_id})
        return None if row is None else LogPart(AttemptId(row[0]), row[1], bytes(row[2]))

    def save_live_log(self, part: LogPart, now: Micros) -> None:
        params = {"attempt_id": part.attempt_id, "now": now, "start": part.start, "data": part.data}
        self.session.run("save_live_log", params)

    def has_idle_logs(self, now: Micros) -> bool:
        return bool(self._unwatched(now, 1) or self._ended(1))

    def sweep_logs(self, now: Micros, limit: int) -> int:
        unwatched, ended = self._unwatched(now, limit), self._ended(limit)
        for attempt_id in unwatched:
            self.session.run("delete_log_watch", {"attempt_id": attempt_id})
        for attempt_id in ended:
            self.session.run("delete_live_log", {"attempt_id": attempt_id})
        return len(unwatched) + len(ended)

    def _unwatched(self, now: Micros, limit: int) -> list[int]:
        return [row[0] for row in self.session.all("unwatched_logs", {"now": now, "limit": limit})]

    def _ended(self, limit: int) -> list[int]:
        return [row[0] for row in self.session.all("ended_logs", {"limit": limit})]
