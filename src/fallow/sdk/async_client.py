"""AsyncClient: what Client does, for programs on an event loop. Written by fallow.sdk.asynchronous.

Each call runs in a thread of its own, so that waiting for one holds up nothing else; callbacks run on the event loop.
"""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, overload

from fallow.core.words import ChunkState, JobState
from fallow.protocols.rest.accounts import AccountView, GrantView, Me, PasswordLink, SessionView
from fallow.protocols.rest.boinc import BoincKey, HostView, NewWorkerKey, WorkerKeyView
from fallow.protocols.rest.estimates import EstimateView
from fallow.protocols.rest.jobs import (
    AttemptView,
    ChunkView,
    FeedView,
    JobDetail,
    JobRequest,
    JobSummary,
    KeyView,
    NewKey,
    StoryLine,
    Uploaded,
    WorkerView,
)
from fallow.protocols.rest.models import ModelView
from fallow.protocols.rest.notices import (
    DeliveryDetail,
    DeliveryView,
    NewWebhook,
    NoticeView,
    WebhookTestResult,
    WebhookView,
)
from fallow.sdk.async_jobs import AsyncFeed, AsyncJob
from fallow.sdk.client import Client
from fallow.sdk.downloads import OUTPUT_FILES
from fallow.sdk.feeds import Answers
from fallow.sdk.mapping import OnError
from fallow.sdk.results import Result
from fallow.sdk.threads import called, iterated, on_loop
from fallow.sdk.uploads import OnBytes
from fallow.sdk.waiting import OnProgress


class AsyncClient:
    """See Client, whose methods these are. May be used in an `async with`."""

    def __init__(self, server: str | None = None, token: str | None = None) -> None:
        self._sync = Client(server, token)

    @property
    def server(self) -> str:
        """The server's URL."""
        return self._sync.server

    async def close(self) -> None:
        """Closes the connections."""
        await called(self._sync.close)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def submit(self, **fields: Any) -> AsyncJob:
        """A new job. Fields: those of JobRequest, such as input_uri, container_image, chunk_items, verify."""
        return AsyncJob(await called(self._sync.submit, **fields))

    async def submit_request(self, request: JobRequest) -> AsyncJob:
        """A new job, from a whole message."""
        return AsyncJob(await called(self._sync.submit_request, request))

    @overload
    def map(
        self,
        image: str | None,
        items: Iterable[Any],
        *,
        ordered: Literal[True] = True,
        on_error: OnError = "return",
        **fields: Any,
    ) -> AsyncIterator[Any]: ...

    @overload
    def map(
        self,
        image: str | None,
        items: Iterable[Any],
        *,
        ordered: Literal[False],
        on_error: OnError = "return",
        **fields: Any,
    ) -> AsyncIterator[tuple[int, Any]]: ...

    @overload
    def map(
        self, image: str | None, items: Iterable[Any], *, ordered: bool, on_error: OnError = "return", **fields: Any
    ) -> AsyncIterator[Any]: ...

    def map(
        self,
        image: str | None,
        items: Iterable[Any],
        *,
        ordered: bool = True,
        on_error: OnError = "return",
        **fields: Any,
    ) -> AsyncIterator[Any]:
        """Each item's answer, in the order of the items; or (item's number, answer) as they come.

        items: anything that gives JSON values; it is read to its end at once and kept on disk. image: None runs
        `command` without a container. fields: as for submit(). An item that could not be done gives an ItemError, as a
        value or, with on_error="raise", raised. Raises JobEnded when the job ended before all were answered, and
        cancels the job when the reader goes away before the end.
        """
        return iterated(lambda: self._sync.map(image, items, ordered=ordered, on_error=on_error, **fields))

    async def estimate(self, **fields: Any) -> EstimateView:
        """What would become of a job: its items, its chunks, how long it takes. Fields: as for submit()."""
        return await called(self._sync.estimate, **fields)

    def jobs(self, states: Iterable[JobState] = ()) -> AsyncIterator[JobSummary]:
        """All jobs that the key may see, newest first."""
        return iterated(lambda: self._sync.jobs(states))

    async def job(self, job_id: str, chunks: int | None = None) -> JobDetail:
        """One job with its first chunks; with chunks=0 it is cheap enough to ask for again and again."""
        return await called(self._sync.job, job_id, chunks)

    def handle(self, job_id: str) -> AsyncJob:
        """The job's own methods; the server is not asked."""
        return AsyncJob(self._sync.handle(job_id))

    async def pause(self, job_id: str) -> JobSummary:
        """Send no more of it; what runs may finish."""
        return await called(self._sync.pause, job_id)

    async def resume(self, job_id: str) -> JobSummary:
        """Go on with a paused job."""
        return await called(self._sync.resume, job_id)

    async def cancel(self, job_id: str) -> JobSummary:
        """Stop it. What is finished stays readable."""
        return await called(self._sync.cancel, job_id)

    async def rerun(self, job_id: str) -> JobSummary:
        """Run again what is missing or failed, and only that."""
        return await called(self._sync.rerun, job_id)

    async def delete(self, job_id: str) -> None:
        """Remove a job that is over, with everything fallow keeps of it."""
        return await called(self._sync.delete, job_id)

    async def wait(
        self,
        job_id: str,
        on_progress: OnProgress | None = None,
        timeout_seconds: float | None = None,
        progress: bool = False,
    ) -> JobDetail:
        """The job once it is over. progress: shown meanwhile. Raises TimeoutError when it is not over by then."""
        return await called(self._sync.wait, job_id, on_loop(on_progress), timeout_seconds, progress)

    def results(
        self, job_id: str, after: int = -1, follow: bool = False, most: int | None = None
    ) -> AsyncIterator[Result]:
        """Answers of finished chunks with item > after, in item order. follow: until the job is over."""
        return iterated(lambda: self._sync.results(job_id, after, follow, most))

    def result_lines(
        self, job_id: str, after: int = -1, follow: bool = False, most: int | None = None
    ) -> AsyncIterator[bytes]:
        """The same as JSON lines {"item", "output"}, without newlines."""
        return iterated(lambda: self._sync.result_lines(job_id, after, follow, most))

    async def feed(self, **fields: Any) -> AsyncFeed:
        """A new job whose items are appended while it runs. Fields: as for submit(), without an input."""
        return AsyncFeed(await called(self._sync.feed, **fields))

    async def append_items(self, job_id: str, number: int, lines: bytes) -> FeedView:
        """Appends JSON lines to a feed. number: of this append, from 0; the same again is harmless."""
        return await called(self._sync.append_items, job_id, number, lines)

    async def close_feed(self, job_id: str) -> FeedView:
        """No more items will come."""
        return await called(self._sync.close_feed, job_id)

    async def answers(self, job_id: str, items: Iterable[int], wait_seconds: float = 0.0) -> Answers:
        """Answers from each of these items (at most 500) to the end of its chunk, where that is over.

        wait_seconds: how long to wait, at most 30, while there is none.
        """
        return await called(self._sync.answers, job_id, items, wait_seconds)

    async def download(
        self,
        job_id: str,
        directory: Path | str,
        names: Iterable[str] = OUTPUT_FILES,
        overwrite: bool = False,
        on_bytes: OnBytes | None = None,
    ) -> list[Path]:
        """output.jsonl, errors.jsonl and manifest.json of a finished job; each appears whole or not at all."""
        return await called(self._sync.download, job_id, directory, names, overwrite, on_loop(on_bytes))

    def chunks(
        self, job_id: str, states: Iterable[ChunkState] = (), after: int = -1, limit: int = 1000
    ) -> AsyncIterator[ChunkView]:
        """Chunks in the order of their numbers. limit: how many are fetched at once."""
        return iterated(lambda: self._sync.chunks(job_id, states, after, limit))

    def attempts(self, job_id: str, chunk_id: int | None = None, after: int = 0) -> AsyncIterator[AttemptView]:
        """Attempts of a job or of one chunk, oldest first."""
        return iterated(lambda: self._sync.attempts(job_id, chunk_id, after))

    def log(self, job_id: str, attempt_id: int) -> AsyncIterator[bytes]:
        """What the attempt's container wrote to stderr, in pieces."""
        return iterated(lambda: self._sync.log(job_id, attempt_id))

    def follow_log(self, job_id: str, attempt_id: int, follow: bool = True) -> AsyncIterator[bytes]:
        """The same while the attempt runs, as it comes; until it is over, or as far as it is known now."""
        return iterated(lambda: self._sync.follow_log(job_id, attempt_id, follow))

    def story(self, job_id: str, chunk_id: int | None = None, after: int = 0) -> AsyncIterator[StoryLine]:
        """Every move of the job itself; or of one chunk and its attempts."""
        return iterated(lambda: self._sync.story(job_id, chunk_id, after))

    def events(self, job_id: str, after: int = 0) -> AsyncIterator[StoryLine]:
        """Every move of the job, its chunks and attempts as it happens, until the job is over; goes on after a cut."""
        return iterated(lambda: self._sync.events(job_id, after))

    async def why_waiting(self, job_id: str) -> list[str]:
        """Why nothing of the job is being sent now; empty when something is, or nothing is left to send."""
        return await called(self._sync.why_waiting, job_id)

    async def workers(self) -> list[WorkerView]:
        """The machines that have joined."""
        return await called(self._sync.workers)

    async def upload(self, path: Path | str, on_bytes: OnBytes | None = None) -> Uploaded:
        """Sends a local input to the server; `uri` is what to submit. Called again after a cut, it goes on."""
        return await called(self._sync.upload, path, on_loop(on_bytes))

    async def version(self) -> dict[str, Any]:
        """The server's {"version", "protocol"}."""
        return await called(self._sync.version)

    async def keys(self) -> list[KeyView]:
        """API keys: all of them for operators, their own for others."""
        return await called(self._sync.keys)

    async def add_key(
        self, name: str, scopes: Iterable[str], account_id: str | None = None, expires_seconds: int | None = None
    ) -> NewKey:
        """A new key; its `key` is shown this once."""
        return await called(self._sync.add_key, name, scopes, account_id, expires_seconds)

    async def revoke_key(self, key_id: str) -> None:
        """The key opens nothing any more."""
        return await called(self._sync.revoke_key, key_id)

    async def me(self) -> Me:
        """Whose key this is, and what it may do."""
        return await called(self._sync.me)

    def accounts(self) -> AsyncIterator[AccountView]:
        """All accounts for operators, their own for others."""
        return iterated(self._sync.accounts)

    async def account(self, account_id: str) -> AccountView:
        """One account."""
        return await called(self._sync.account, account_id)

    async def add_account(self, name: str, **fields: Any) -> AccountView:
        """A new account, for operators. Fields: those of AccountRequest, such as email, scopes, share, submit_right."""
        return await called(self._sync.add_account, name, **fields)

    async def change_account(self, account_id: str, **fields: Any) -> AccountView:
        """Changes what is given: those of AccountPatch, such as share, submit_right, disabled."""
        return await called(self._sync.change_account, account_id, **fields)

    async def disable_account(self, account_id: str) -> None:
        """Its keys and sessions open nothing any more; its jobs stay."""
        return await called(self._sync.disable_account, account_id)

    async def password_link(self, account_id: str) -> PasswordLink:
        """A link that lets the account's owner choose a password, once."""
        return await called(self._sync.password_link, account_id)

    async def grants(self, account_id: str) -> list[GrantView]:
        """The applications that an account was granted."""
        return await called(self._sync.grants, account_id)

    async def add_grant(self, account_id: str, application: str) -> list[GrantView]:
        """Grants one more application. All that are granted now."""
        return await called(self._sync.add_grant, account_id, application)

    async def remove_grant(self, account_id: str, application: str) -> None:
        """Takes one application back."""
        return await called(self._sync.remove_grant, account_id, application)

    async def change_password(self, old: str, new: str) -> None:
        """One's own; all browsers are signed out."""
        return await called(self._sync.change_password, old, new)

    async def sessions(self) -> list[SessionView]:
        """One's own browsers that are signed in."""
        return await called(self._sync.sessions)

    async def end_session(self, session: str) -> None:
        """Signs one of one's own browsers out."""
        return await called(self._sync.end_session, session)

    async def end_sessions(self) -> None:
        """Signs all of one's own browsers out."""
        return await called(self._sync.end_sessions)

    async def models(self) -> list[ModelView]:
        """The models that serve, by name."""
        return await called(self._sync.models)

    async def model(self, name: str) -> ModelView:
        """One model."""
        return await called(self._sync.model, name)

    async def add_model(
        self, name: str, endpoints: Iterable[str], job: dict[str, Any], replace: bool = False
    ) -> ModelView:
        """Bind a name to what runs. job: members of a JobRequest without its input, such as container_image."""
        return await called(self._sync.add_model, name, endpoints, job, replace)

    async def remove_model(self, name: str) -> None:
        """It takes no more jobs; those that it has go on."""
        return await called(self._sync.remove_model, name)

    def notices(self, kinds: Iterable[str] = (), unread: bool = False) -> AsyncIterator[NoticeView]:
        """What one was told, newest first. kinds: such as "job.failed"; none: all."""
        return iterated(lambda: self._sync.notices(kinds, unread))

    async def read_notice(self, notice_id: str) -> None:
        """One is read."""
        return await called(self._sync.read_notice, notice_id)

    async def read_notices(self) -> None:
        """All are read."""
        return await called(self._sync.read_notices)

    async def notice_choices(self) -> dict[str, bool]:
        """For each kind, whether one gets mail about it."""
        return await called(self._sync.notice_choices)

    async def choose_notices(self, mail: dict[str, bool]) -> dict[str, bool]:
        """Chooses what to get mail about; kinds that are left out stay as they are."""
        return await called(self._sync.choose_notices, mail)

    async def confirm_email(self) -> bool:
        """Asks for the letter whose link confirms one's address. Whether it is on its way."""
        return await called(self._sync.confirm_email)

    def webhooks(self) -> AsyncIterator[WebhookView]:
        """One's own, newest first."""
        return iterated(self._sync.webhooks)

    async def webhook(self, webhook_id: str) -> WebhookView:
        """One webhook."""
        return await called(self._sync.webhook, webhook_id)

    async def add_webhook(self, name: str, url: str, event_types: Iterable[str] = ()) -> NewWebhook:
        """A new one; its `secret` is shown this once. event_types: none means all."""
        return await called(self._sync.add_webhook, name, url, event_types)

    async def change_webhook(self, webhook_id: str, **fields: Any) -> WebhookView:
        """Changes what is given: name, url, event_types, enabled."""
        return await called(self._sync.change_webhook, webhook_id, **fields)

    async def remove_webhook(self, webhook_id: str) -> None:
        """Nothing is sent there any more."""
        return await called(self._sync.remove_webhook, webhook_id)

    async def rotate_webhook(self, webhook_id: str, keep_old: bool = True) -> NewWebhook:
        """A new secret, shown this once. keep_old: the old one signs too for 24 hours."""
        return await called(self._sync.rotate_webhook, webhook_id, keep_old)

    async def test_webhook(self, webhook_id: str, event_type: str = "job.completed") -> WebhookTestResult:
        """Calls it now with a sample, and says what it answered."""
        return await called(self._sync.test_webhook, webhook_id, event_type)

    def deliveries(self, webhook_id: str | None = None, notice_id: str | None = None) -> AsyncIterator[DeliveryView]:
        """What was sent to one, by mail or webhook, newest first."""
        return iterated(lambda: self._sync.deliveries(webhook_id, notice_id))

    async def delivery(self, delivery_id: str) -> DeliveryDetail:
        """One with all its tries."""
        return await called(self._sync.delivery, delivery_id)

    async def send_again(self, delivery_id: str) -> DeliveryDetail:
        """Sends it again, under the same id, with a new round of tries."""
        return await called(self._sync.send_again, delivery_id)

    async def boinc_key(self, account_id: str | None = None) -> BoincKey:
        """The key with which BOINC clients attach, and the command that does it."""
        return await called(self._sync.boinc_key, account_id)

    async def renew_boinc_key(self, account_id: str | None = None) -> BoincKey:
        """A new key; the old one opens nothing any more."""
        return await called(self._sync.renew_boinc_key, account_id)

    async def worker_keys(self, account_id: str | None = None) -> list[WorkerKeyView]:
        """Keys of single machines."""
        return await called(self._sync.worker_keys, account_id)

    async def add_worker_key(self, name: str, account_id: str | None = None) -> NewWorkerKey:
        """A key for one machine, the first that uses it; its `key` is shown this once."""
        return await called(self._sync.add_worker_key, name, account_id)

    async def revoke_worker_key(self, key_id: str, account_id: str | None = None) -> None:
        """The machine that has it gets no work any more."""
        return await called(self._sync.revoke_worker_key, key_id, account_id)

    async def boinc_hosts(self, account_id: str | None = None, limit: int = 100) -> list[HostView]:
        """Machines with a BOINC client, newest first: all for operators, one's own for others."""
        return await called(self._sync.boinc_hosts, account_id, limit)
