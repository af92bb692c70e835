"""Feeds: what was fed to a job, and whether its planner must look."""

from fallow.core.words import JobKey, Micros
from fallow.store.port import FeedPart, FeedRow
from fallow.store.session import Row
from fallow.store.verbs.base import Verbs


class FeedVerbs(Verbs):
    def add_feed(self, job_key: JobKey, now: Micros) -> None:
        self.session.run("insert_feed", {"job_key": job_key, "now": now})

    def feed(self, job_key: JobKey) -> FeedRow | None:
        return _feed(self.session.one("feed", {"job_key": job_key}))

    def locked_feed(self, job_key: JobKey) -> FeedRow | None:
        return _feed(self.session.one("lock_feed", {"job_key": job_key}))

    def add_feed_part(self, job_key: JobKey, number: int, artifact_key: str, size_bytes: int, now: Micros) -> bool:
        params = {"job_key": job_key, "number": number, "size_bytes": size_bytes}
        if not self.session.run("grow_feed", {**params, "now": now}):
            return False
        self.session.run("insert_feed_part", {**params, "artifact_key": artifact_key})
        self._set_idle(job_key, False)
        return True

    def feed_part(self, job_key: JobKey, number: int) -> FeedPart | None:
        row = self.session.one("feed_part", {"job_key": job_key, "number": number})
        return FeedPart(*row) if row else None

    def feed_parts(self, job_key: JobKey, position: int, limit: int) -> list[FeedPart]:
        params = {"job_key": job_key, "position": position, "limit": limit}
        return [FeedPart(*row) for row in self.session.all("feed_parts", params)]

    def close_feed(self, job_key: JobKey, now: Micros) -> bool:
        if not self.session.run("close_feed", {"job_key": job_key, "now": now}):
            return False
        self._set_idle(job_key, False)
        return True

    def rest_feed(self, job_key: JobKey) -> None:
        self._set_idle(job_key, True)

    def _set_idle(self, job_key: JobKey, idle: bool) -> None:
        self.session.run("set_feed_idle", {"job_key": job_key, "idle": int(idle)})


def _feed(row: Row | None) -> FeedRow | None:
    return FeedRow(*row) if row else None
