"""A job at hand: the client's methods with the job's id filled in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fallow.core.words import JobState
from fallow.protocols.rest.jobs import AttemptView, ChunkView, JobDetail, JobSummary, StoryLine
from fallow.sdk.results import Results
from fallow.sdk.showing import job_html
from fallow.sdk.waiting import OnProgress

if TYPE_CHECKING:
    import pyarrow as pa

    from fallow.sdk.client import Client


@dataclass(frozen=True, slots=True)
class Job:
    """Knows its id and its client; everything else is asked of the server each time."""

    client: "Client"
    job_id: str

    def detail(self) -> JobDetail:
        return self.client.job(self.job_id)

    @property
    def state(self) -> JobState:
        return JobState(self.client.job(self.job_id, chunks=0).state)

    def pause(self) -> JobSummary:
        return self.client.pause(self.job_id)

    def resume(self) -> JobSummary:
        return self.client.resume(self.job_id)

    def cancel(self) -> JobSummary:
        return self.client.cancel(self.job_id)

    def rerun(self) -> JobSummary:
        return self.client.rerun(self.job_id)

    def delete(self) -> None:
        self.client.delete(self.job_id)

    def wait(
        self, on_progress: OnProgress | None = None, timeout_seconds: float | None = None, progress: bool = False
    ) -> JobDetail:
        """progress: shown meanwhile, in a notebook as on a terminal."""
        return self.client.wait(self.job_id, on_progress, timeout_seconds, progress)

    def results(self, after: int = -1, follow: bool = False) -> Results:
        return self.client.results(self.job_id, after, follow)

    def to_arrow(self) -> "pa.Table":
        """The answers so far as columns: item, the answers' members, error."""
        return self.results().to_arrow()

    def to_pandas(self) -> Any:
        """The same as a pandas.DataFrame."""
        return self.results().to_pandas()

    def to_polars(self) -> Any:
        """The same as a polars.DataFrame."""
        return self.results().to_polars()

    def download(self, directory: Path | str, overwrite: bool = False) -> list[Path]:
        return self.client.download(self.job_id, directory, overwrite=overwrite)

    def chunks(self) -> Iterator[ChunkView]:
        return self.client.chunks(self.job_id)

    def attempts(self, chunk_id: int | None = None) -> Iterator[AttemptView]:
        return self.client.attempts(self.job_id, chunk_id)

    def log(self, attempt_id: int) -> Iterator[bytes]:
        return self.client.log(self.job_id, attempt_id)

    def story(self, chunk_id: int | None = None) -> Iterator[StoryLine]:
        return self.client.story(self.job_id, chunk_id)

    def events(self, after: int = 0) -> Iterator[StoryLine]:
        return self.client.events(self.job_id, after)

    def _repr_html_(self) -> str:
        return job_html(self.client.job(self.job_id, chunks=0))
