"""What Job and Feed do, for programs on an event loop. Written by fallow.sdk.asynchronous."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from fallow.core.words import JobState
from fallow.protocols.rest.jobs import AttemptView, ChunkView, FeedView, JobDetail, JobSummary, StoryLine
from fallow.sdk.feeds import Answers, Feed
from fallow.sdk.job import Job
from fallow.sdk.results import Result
from fallow.sdk.threads import called, iterated, on_loop
from fallow.sdk.waiting import OnProgress

if TYPE_CHECKING:
    import pyarrow as pa


class AsyncJob:
    """See Job: knows its id, and asks the server for everything else."""

    def __init__(self, job: Job) -> None:
        self._sync = job

    @property
    def job_id(self) -> str:
        return self._sync.job_id

    async def detail(self) -> JobDetail:
        return await called(self._sync.detail)

    async def state(self) -> JobState:
        return await called(lambda: self._sync.state)

    async def pause(self) -> JobSummary:
        return await called(self._sync.pause)

    async def resume(self) -> JobSummary:
        return await called(self._sync.resume)

    async def cancel(self) -> JobSummary:
        return await called(self._sync.cancel)

    async def rerun(self) -> JobSummary:
        return await called(self._sync.rerun)

    async def delete(self) -> None:
        return await called(self._sync.delete)

    async def wait(
        self, on_progress: OnProgress | None = None, timeout_seconds: float | None = None, progress: bool = False
    ) -> JobDetail:
        """progress: shown meanwhile, in a notebook as on a terminal."""
        return await called(self._sync.wait, on_loop(on_progress), timeout_seconds, progress)

    def results(self, after: int = -1, follow: bool = False) -> AsyncIterator[Result]:
        return iterated(lambda: self._sync.results(after, follow))

    async def to_arrow(self) -> "pa.Table":
        """The answers so far as columns: item, the answers' members, error."""
        return await called(self._sync.to_arrow)

    async def to_pandas(self) -> Any:
        """The same as a pandas.DataFrame."""
        return await called(self._sync.to_pandas)

    async def to_polars(self) -> Any:
        """The same as a polars.DataFrame."""
        return await called(self._sync.to_polars)

    async def download(self, directory: Path | str, overwrite: bool = False) -> list[Path]:
        return await called(self._sync.download, directory, overwrite)

    def chunks(self) -> AsyncIterator[ChunkView]:
        return iterated(self._sync.chunks)

    def attempts(self, chunk_id: int | None = None) -> AsyncIterator[AttemptView]:
        return iterated(lambda: self._sync.attempts(chunk_id))

    def log(self, attempt_id: int) -> AsyncIterator[bytes]:
        return iterated(lambda: self._sync.log(attempt_id))

    def story(self, chunk_id: int | None = None) -> AsyncIterator[StoryLine]:
        return iterated(lambda: self._sync.story(chunk_id))

    def events(self, after: int = 0) -> AsyncIterator[StoryLine]:
        return iterated(lambda: self._sync.events(after))


class AsyncFeed:
    """See Feed. May be used in an `async with`, at whose end it is closed."""

    def __init__(self, feed: Feed) -> None:
        self._sync = feed

    @property
    def job_id(self) -> str:
        return self._sync.job_id

    async def __aenter__(self) -> "AsyncFeed":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def job(self) -> AsyncJob:
        """The job's own methods."""
        return AsyncJob(self._sync.job)

    async def append(self, items: Iterable[Any]) -> range:
        """Appends JSON values; their numbers among the job's items. Raises Refusal BAD_REQUEST for what is no JSON."""
        return await called(self._sync.append, items)

    async def append_lines(self, lines: Iterable[bytes]) -> range:
        """The same with lines of JSON that end with a newline. They are one piece of work unless they are very many."""
        return await called(self._sync.append_lines, lines)

    async def answers(self, items: Iterable[int], wait_seconds: float = 0.0) -> Answers:
        """Answers from each of these items to the end of its piece, as far as they are there."""
        return await called(self._sync.answers, items, wait_seconds)

    async def close(self) -> FeedView:
        """No more will come: what came is finished, and then the job is."""
        return await called(self._sync.close)
