"""fallow.Client: a server's verbs as methods, its messages as types.

client = fallow.Client("http://127.0.0.1:8420", token="flw_...")
job = client.submit(input_uri="s3://bucket/reviews.jsonl", container_image="my/model:1")
job.wait()
for result in job.results():
    print(result.item, result.output)
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, overload

from fallow.core.words import ChunkState, JobState
from fallow.protocols.rest.estimates import EstimateView
from fallow.protocols.rest.jobs import (
    AttemptList,
    AttemptView,
    ChunkList,
    ChunkView,
    FeedView,
    JobDetail,
    JobList,
    JobRequest,
    JobSummary,
    Story,
    StoryLine,
    Uploaded,
    WorkerList,
    WorkerView,
)
from fallow.sdk.boinc_calls import BoincCalls
from fallow.sdk.downloads import OUTPUT_FILES, download_output
from fallow.sdk.events import follow_events
from fallow.sdk.feeds import Answers, Feed
from fallow.sdk.fields import parsed, safe
from fallow.sdk.job import Job
from fallow.sdk.logs import log_pieces
from fallow.sdk.mapping import OnError, mapped
from fallow.sdk.notice_calls import NoticeCalls
from fallow.sdk.operations import calls
from fallow.sdk.people_calls import PeopleCalls
from fallow.sdk.progress import Shown
from fallow.sdk.results import JobPages, Result, Results, result_lines, result_of
from fallow.sdk.transport import Transport, decoded
from fallow.sdk.uploads import OnBytes, upload_file
from fallow.sdk.waiting import OnProgress, both, wait_for

DEFAULT_SERVER = "http://127.0.0.1:8420"
_JSONL = {"content-type": "application/jsonl"}


class Client(PeopleCalls, NoticeCalls, BoincCalls):
    """Speaks to one server. Every method raises fallow.Refusal when the server says no, with its code and remedy.

    server, token: else FALLOW_SERVER and FALLOW_TOKEN. May be used in a `with`; may be shared by threads.
    """

    def __init__(self, server: str | None = None, token: str | None = None) -> None:
        self._transport = Transport(
            server or os.environ.get("FALLOW_SERVER") or DEFAULT_SERVER, token or os.environ.get("FALLOW_TOKEN") or ""
        )

    @property
    def server(self) -> str:
        """The server's URL."""
        return self._transport.server

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def submit(self, **fields: Any) -> Job:
        """A new job. Fields: those of JobRequest, such as input_uri, container_image, chunk_items, verify."""
        return self.submit_request(parsed_request(fields))

    @calls("POST /api/jobs")
    def submit_request(self, request: JobRequest) -> Job:
        """A new job, from a whole message."""
        detail = self._transport.ask(JobDetail, "POST", "/api/jobs", request)
        return Job(self, detail.job_id)

    @overload
    def map(
        self,
        image: str | None,
        items: Iterable[Any],
        *,
        ordered: Literal[True] = True,
        on_error: OnError = "return",
        **fields: Any,
    ) -> Iterator[Any]: ...

    @overload
    def map(
        self,
        image: str | None,
        items: Iterable[Any],
        *,
        ordered: Literal[False],
        on_error: OnError = "return",
        **fields: Any,
    ) -> Iterator[tuple[int, Any]]: ...

    @overload
    def map(
        self,
        image: str | None,
        items: Iterable[Any],
        *,
        ordered: bool,
        on_error: OnError = "return",
        **fields: Any,
    ) -> Iterator[Any]: ...

    def map(
        self,
        image: str | None,
        items: Iterable[Any],
        *,
        ordered: bool = True,
        on_error: OnError = "return",
        **fields: Any,
    ) -> Iterator[Any]:
        """Each item's answer, in the order of the items; or (item's number, answer) as they come.

        items: anything that gives JSON values; it is read to its end at once and kept on disk. image: None runs
        `command` without a container. fields: as for submit(). An item that could not be done gives an ItemError, as a
        value or, with on_error="raise", raised. Raises JobEnded when the job ended before all were answered, and
        cancels the job when the reader goes away before the end.
        """
        return mapped(self, items, ordered, on_error, {"container_image": image, **fields})

    @calls("POST /api/estimates")
    def estimate(self, **fields: Any) -> EstimateView:
        """What would become of a job: its items, its chunks, how long it takes. Fields: as for submit()."""
        return self._transport.ask(EstimateView, "POST", "/api/estimates", parsed_request(fields))

    @calls("GET /api/jobs", named={"state": "states"}, own="after limit")
    def jobs(self, states: Iterable[JobState] = ()) -> JobPages:
        """All jobs that the key may see, newest first."""
        wanted = tuple(states)
        return JobPages(lambda: self._jobs(wanted))

    def _jobs(self, states: tuple[JobState, ...]) -> Iterator[JobSummary]:
        after: str | None = None
        while True:
            page = self._transport.ask(JobList, "GET", "/api/jobs", after=after, state=states)
            yield from page.jobs
            after = page.next
            if after is None:
                return

    @calls("GET /api/jobs/{job_id}")
    def job(self, job_id: str, chunks: int | None = None) -> JobDetail:
        """One job with its first chunks; with chunks=0 it is cheap enough to ask for again and again."""
        return self._transport.ask(JobDetail, "GET", _job(job_id), chunks=chunks)

    def handle(self, job_id: str) -> Job:
        """The job's own methods; the server is not asked."""
        return Job(self, job_id)

    @calls("POST /api/jobs/{job_id}/pause")
    def pause(self, job_id: str) -> JobSummary:
        """Send no more of it; what runs may finish."""
        return self._verb(job_id, "pause")

    @calls("POST /api/jobs/{job_id}/resume")
    def resume(self, job_id: str) -> JobSummary:
        """Go on with a paused job."""
        return self._verb(job_id, "resume")

    @calls("POST /api/jobs/{job_id}/cancel")
    def cancel(self, job_id: str) -> JobSummary:
        """Stop it. What is finished stays readable."""
        return self._verb(job_id, "cancel")

    @calls("POST /api/jobs/{job_id}/rerun")
    def rerun(self, job_id: str) -> JobSummary:
        """Run again what is missing or failed, and only that."""
        return self._verb(job_id, "rerun")

    @calls("DELETE /api/jobs/{job_id}")
    def delete(self, job_id: str) -> None:
        """Remove a job that is over, with everything fallow keeps of it."""
        self._transport.send("DELETE", _job(job_id))

    def wait(
        self,
        job_id: str,
        on_progress: OnProgress | None = None,
        timeout_seconds: float | None = None,
        progress: bool = False,
    ) -> JobDetail:
        """The job once it is over. progress: shown meanwhile. Raises TimeoutError when it is not over by then."""

        def look() -> JobDetail:
            return self.job(job_id, chunks=0)

        if progress:
            with Shown() as shown:
                wait_for(look, both(shown, on_progress), timeout_seconds)
        else:
            wait_for(look, on_progress, timeout_seconds)
        return self.job(job_id)

    def results(self, job_id: str, after: int = -1, follow: bool = False, most: int | None = None) -> Results:
        """Answers of finished chunks with item > after, in item order. follow: until the job is over."""
        return Results(lambda: self.result_lines(job_id, after, follow, most))

    @calls("GET /api/jobs/{job_id}/results", named={"limit": "most"}, own="wait_seconds")
    def result_lines(
        self, job_id: str, after: int = -1, follow: bool = False, most: int | None = None
    ) -> Iterator[bytes]:
        """The same as JSON lines {"item", "output"}, without newlines."""
        return result_lines(self._transport, job_id, after, follow, most)

    def feed(self, **fields: Any) -> Feed:
        """A new job whose items are appended while it runs. Fields: as for submit(), without an input."""
        return Feed(self, self.submit(**fields, feed=True).job_id)

    @calls("POST /api/jobs/{job_id}/items")
    def append_items(self, job_id: str, number: int, lines: bytes) -> FeedView:
        """Appends JSON lines to a feed. number: of this append, from 0; the same again is harmless."""
        path = f"{_job(job_id)}/items"
        answer = self._transport.send(
            "POST", path, content=lines, query={"number": number}, headers=_JSONL, repeatable=True
        )
        return decoded(FeedView, answer.content)

    @calls("POST /api/jobs/{job_id}/close")
    def close_feed(self, job_id: str) -> FeedView:
        """No more items will come."""
        answer = self._transport.send("POST", f"{_job(job_id)}/close", repeatable=True)
        return decoded(FeedView, answer.content)

    @calls("GET /api/jobs/{job_id}/answers")
    def answers(self, job_id: str, items: Iterable[int], wait_seconds: float = 0.0) -> Answers:
        """Answers from each of these items (at most 500) to the end of its chunk, where that is over.

        wait_seconds: how long to wait, at most 30, while there is none.
        """
        query = {"items": tuple(items), "wait_seconds": wait_seconds}
        page = self._transport.send("GET", f"{_job(job_id)}/answers", query=query)
        results = [result_of(line) for line in page.content.splitlines()]
        return Answers(results, page.headers.get("x-fallow-over") == "true")

    @calls("GET /api/jobs/{job_id}/output/{name}", named={"name": "names"})
    def download(
        self,
        job_id: str,
        directory: Path | str,
        names: Iterable[str] = OUTPUT_FILES,
        overwrite: bool = False,
        on_bytes: OnBytes | None = None,
    ) -> list[Path]:
        """output.jsonl, errors.jsonl and manifest.json of a finished job; each appears whole or not at all."""
        return download_output(self._transport, job_id, Path(directory), tuple(names), overwrite, on_bytes)

    @calls("GET /api/jobs/{job_id}/chunks", named={"state": "states"})
    def chunks(
        self, job_id: str, states: Iterable[ChunkState] = (), after: int = -1, limit: int = 1000
    ) -> Iterator[ChunkView]:
        """Chunks in the order of their numbers. limit: how many are fetched at once."""
        cursor: int | None = after
        while cursor is not None:
            page = self._transport.ask(
                ChunkList, "GET", f"{_job(job_id)}/chunks", after=cursor, limit=limit, state=tuple(states)
            )
            yield from page.chunks
            cursor = page.next

    @calls("GET /api/jobs/{job_id}/attempts", "GET /api/jobs/{job_id}/chunks/{chunk_id}/attempts", own="limit")
    def attempts(self, job_id: str, chunk_id: int | None = None, after: int = 0) -> Iterator[AttemptView]:
        """Attempts of a job or of one chunk, oldest first."""
        path = f"{_job(job_id)}/attempts" if chunk_id is None else f"{_job(job_id)}/chunks/{chunk_id}/attempts"
        cursor: int | None = after
        while cursor is not None:
            page = self._transport.ask(AttemptList, "GET", path, after=cursor, limit=1000)
            yield from page.attempts
            cursor = page.next

    @calls("GET /api/jobs/{job_id}/attempts/{attempt_id}/log")
    def log(self, job_id: str, attempt_id: int) -> Iterator[bytes]:
        """What the attempt's container wrote to stderr, in pieces."""
        with self._transport.stream(f"{_job(job_id)}/attempts/{attempt_id}/log") as answer:
            yield from answer.iter_bytes()

    @calls("GET /api/jobs/{job_id}/attempts/{attempt_id}/log/live", own="after wait_seconds")
    def follow_log(self, job_id: str, attempt_id: int, follow: bool = True) -> Iterator[bytes]:
        """The same while the attempt runs, as it comes; until it is over, or as far as it is known now."""
        return log_pieces(self._transport, f"{_job(job_id)}/attempts/{attempt_id}/log/live", follow)

    @calls("GET /api/jobs/{job_id}/story", named={"chunk": "chunk_id"}, own="limit")
    def story(self, job_id: str, chunk_id: int | None = None, after: int = 0) -> Iterator[StoryLine]:
        """Every move of the job itself; or of one chunk and its attempts."""
        cursor: int | None = after
        while cursor is not None:
            page = self._transport.ask(Story, "GET", f"{_job(job_id)}/story", chunk=chunk_id, after=cursor)
            yield from page.lines
            cursor = page.next

    @calls("GET /api/jobs/{job_id}/events")
    def events(self, job_id: str, after: int = 0) -> Iterator[StoryLine]:
        """Every move of the job, its chunks and attempts as it happens, until the job is over; goes on after a cut."""
        return follow_events(self._transport, f"{_job(job_id)}/events", after)

    def why_waiting(self, job_id: str) -> list[str]:
        """Why nothing of the job is being sent now; empty when something is, or nothing is left to send."""
        return self.job(job_id, chunks=0).why_waiting

    @calls("GET /api/workers")
    def workers(self) -> list[WorkerView]:
        """The machines that have joined."""
        return self._transport.ask(WorkerList, "GET", "/api/workers").workers

    @calls("HEAD /api/inputs/{name}", "PUT /api/inputs/{name}", own="name")
    def upload(self, path: Path | str, on_bytes: OnBytes | None = None) -> Uploaded:
        """Sends a local input to the server; `uri` is what to submit. Called again after a cut, it goes on."""
        return upload_file(self._transport, Path(path), on_bytes)

    def version(self) -> dict[str, Any]:
        """The server's {"version", "protocol"}."""
        body: dict[str, Any] = self._transport.send("GET", "/api/version").json()
        return body

    def _verb(self, job_id: str, verb: str) -> JobSummary:
        return self._transport.ask(JobSummary, "POST", f"{_job(job_id)}/{verb}")


__all__ = ["Client", "Result", "parsed_request"]


def parsed_request(fields: dict[str, Any]) -> JobRequest:
    """The message of a submission. Raises Refusal BAD_REQUEST naming what is wrong."""
    request: JobRequest = parsed(JobRequest, {name: value for name, value in fields.items() if value is not None})
    return request


def _job(job_id: str) -> str:
    return f"/api/jobs/{safe(job_id)}"
