"""Reading the story."""

from fallow.core.words import ChunkId, JobKey
from fallow.store.port import StoryRow
from fallow.store.rows import story_of
from fallow.store.verbs.base import Verbs

STORY_ROWS_MAX = 10_000  # of one call: what a page or a stream can take in


class StoryVerbs(Verbs):
    def story(
        self, job_key: JobKey, *, chunk_id: ChunkId | None = None, after: int = 0, limit: int = 1000
    ) -> list[StoryRow]:
        self.ledger.flush()
        params = {"job_key": job_key, "chunk_id": chunk_id, "after": after, "limit": min(limit, STORY_ROWS_MAX)}
        name = "story_of_job" if chunk_id is None else "story_of_chunk"
        return [story_of(row) for row in self.session.all(name, params)]

    def job_events(self, after: int, limit: int, job_key: JobKey | None = None) -> list[StoryRow]:
        self.ledger.flush()
        limit = min(limit, STORY_ROWS_MAX)
        if job_key is None:
            return [story_of(row) for row in self.session.all("events_of_all", {"after": after, "limit": limit})]
        birth = self.session.one("first_story", {"job_key": job_key})
        if birth is None or birth[0] is None:
            return []
        params = {"job_key": job_key, "after": max(after, birth[0] - 1), "limit": limit}
        return [story_of(row) for row in self.session.all("events_of_job", params)]
