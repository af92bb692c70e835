"""What control tells whoever makes traces. What the story says, a witness hears; these are the rest."""

from collections.abc import Sequence
from typing import Protocol

from fallow.core.trace import Timed
from fallow.core.words import AttemptId, ChunkId, JobId, Micros, WorkerId


class Tracing(Protocol):
    """Quick, and never raises."""

    def parent(self, job_id: JobId, chunk_id: ChunkId, attempt_id: AttemptId) -> str:
        """The traceparent for a lease; "" for a chunk that is not traced."""
        ...

    def worked(
        self, job_id: JobId, chunk_id: ChunkId, attempt_id: AttemptId, worker_id: WorkerId, steps: Sequence[Timed]
    ) -> None:
        """The worker's own steps, as it reported them."""
        ...

    def assimilated(self, job_id: JobId, chunk_id: ChunkId, start: Micros, end: Micros) -> None:
        """The chunk's answer is in the job's output."""
        ...
