"""Intake: the job at the door. What can be known to be impossible is refused here, before a row is written."""

import secrets
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Protocol
from urllib.parse import urlsplit

from fallow.artifacts.port import Stored
from fallow.clock import Clock
from fallow.control.callers import Caller
from fallow.control.feeds import EXPIRES_SECONDS, feed_input
from fallow.control.grants import Rights
from fallow.control.lines import count_items
from fallow.control.places import OWN, Places
from fallow.control.plugins import Plugs
from fallow.control.replication import check_replication
from fallow.core.application import application_of
from fallow.core.job import Chunking, Image, Input, JobSpec
from fallow.core.refusals import Code, Refusal
from fallow.core.slicing import check_chunks, check_range
from fallow.core.submission import Submission
from fallow.core.words import Contract, InputFormat, JobId, Scope
from fallow.settings import Settings
from fallow.store.port import JobRow, Store

_BY_SUFFIX = {
    ".jsonl": InputFormat.JSONL,
    ".ndjson": InputFormat.JSONL,
    ".csv": InputFormat.CSV,
    ".parquet": InputFormat.PARQUET,
    ".txt": InputFormat.TEXT,
    ".text": InputFormat.TEXT,
}
_COUNTED_AT_DOOR_BYTES = 64 * 1024 * 1024  # a smaller input is counted at once, so that a range past its end is refused
_ENV_BYTES_MAX = 128 * 1024


class Images(Protocol):
    """Finds what an image reference means. Raises Refusal IMAGE_INVALID, IMAGE_UNKNOWN or IMAGE_PLATFORM."""

    def resolve(self, reference: str) -> Image: ...


class Intake:
    """Checks submissions and writes them down."""

    def __init__(self, store: Store, places: Places, images: Images, plugs: Plugs, settings: Settings) -> None:
        self._store = store
        self._places = places
        self._images = images
        self._plugs = plugs
        self._settings = settings
        self._clock: Clock = places.clock
        self._rights = Rights(store)

    def submit(self, caller: Caller, submission: Submission) -> JobRow:
        """The job, in state planning. Raises a Refusal that says what is wrong with the submission."""
        spec = self.check(caller, submission)
        now = self._clock.now()
        with self._store.transaction() as tx:
            job = tx.add_job(spec, caller.account_id, now, caller.by)
            if spec.feed:
                tx.add_feed(job.job_key, now)
        return job

    def check(self, caller: Caller, submission: Submission) -> JobSpec:
        """What the job would be; nothing is written down. Raises a Refusal that says what is wrong with it."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        application = application_of(submission.image, submission.model)
        self._rights.check(caller, application, is_model=bool(submission.model))
        job_id = JobId(submission.job_id or f"job-{secrets.token_hex(5)}")
        self._check_job_id(job_id)
        self._check_numbers(submission)
        self._plugs.check(submission.plugins)
        return JobSpec(
            job_id=job_id,
            input=self._checked_input(submission),
            image=self._checked_image(submission),
            command=submission.command,
            env=_checked_env(submission),
            contract=submission.contract,
            reuse=submission.reuse,
            harness=submission.harness,
            outbound=submission.contract is Contract.DIRECT if submission.outbound is None else submission.outbound,
            output_uri=self._checked_output(submission),
            overwrite=submission.overwrite,
            chunking=_checked_chunking(submission),
            verify=submission.verify,
            limits=submission.limits,
            retry=submission.retry,
            requirements=submission.requirements,
            plugins=submission.plugins,
            priority=submission.priority,
            expires_seconds=submission.expires_seconds or (EXPIRES_SECONDS if submission.feed else None),
            retention_seconds=submission.retention_seconds,
            name=submission.name,
            http=submission.http,
            model=submission.model,
            feed=submission.feed,
        )

    def check_template(self, submission: Submission) -> Image | None:
        """A submission without its input, as a model keeps it: its image. Raises a Refusal."""
        self._check_numbers(submission)
        self._plugs.check(submission.plugins)
        _checked_env(submission)
        return self._checked_image(submission)

    def upload(self, caller: Caller, chunks: Iterable[bytes]) -> Stored:
        """Keeps an input's bytes; "fallow:" and the key is its URI."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        return self._places.artifacts.put_blob(_bounded(chunks, self._settings.upload_bytes_max))

    def _check_job_id(self, job_id: str) -> None:
        """The door's parser checks the spelling as well; here for callers that come another way."""
        safe = job_id.replace("-", "").replace("_", "").replace(".", "")
        if not safe.isascii() or not safe.isalnum() or ".." in job_id or not job_id[0].isalnum() or len(job_id) > 128:
            raise Refusal(
                Code.JOB_ID_INVALID,
                f"{job_id[:80]!r} cannot name a job.",
                "Use up to 128 letters, digits, dots, dashes and underscores, beginning with a letter or digit.",
            )
        with self._store.reading() as tx:
            if tx.job(job_id) is not None:
                raise Refusal(
                    Code.JOB_ID_TAKEN, f"There is a job {job_id!r} already.", "Leave job_id out, or choose another."
                )

    def _check_numbers(self, submission: Submission) -> None:
        check_range(submission.range)
        check_chunks(submission.chunking.chunks)
        chunking = submission.chunking
        if sum(each is not None for each in (chunking.items, chunking.size_bytes, chunking.chunks)) > 1:
            raise Refusal(
                Code.CHUNKS_INVALID,
                "Chunks are sized in more than one way.",
                "Give items, bytes or a number of chunks.",
            )
        for size, what in ((chunking.items, "items"), (chunking.size_bytes, "bytes")):
            if size is not None and size < 1:
                raise Refusal(Code.CHUNKS_INVALID, f"A chunk cannot have {size} {what}.", "Give at least 1.")
        if submission.verify.quorum > submission.retry.max_attempts:
            raise Refusal(
                Code.BAD_REQUEST,
                f"A quorum of {submission.verify.quorum} cannot be met in {submission.retry.max_attempts} attempts.",
                "Raise max_attempts or lower the quorum.",
            )
        check_replication(submission.verify)
        if submission.requirements.volunteers and not (submission.image or submission.resolved):
            raise Refusal(
                Code.BAD_REQUEST,
                "Volunteers' machines run images only.",
                "Name a container image, or leave out requirements.volunteers.",
                {"field": "requirements.volunteers"},
            )

    def _checked_input(self, submission: Submission) -> Input:
        if submission.feed:
            return feed_input(submission)
        uri = submission.input_uri
        if submission.input_format is not InputFormat.BATCH:  # whose file the batch's own verb has looked up
            _check_own(uri)
        kind = submission.input_format or _guessed_format(uri)
        source = self._places.open_source(uri)
        if kind is InputFormat.OBJECTS:
            if next(iter(source.list()), None) is None and not uri.endswith("/"):
                raise Refusal(Code.INPUT_MISSING, f"There are no objects under {uri}.", "End it with /, or check it.")
            return Input(uri, kind, range=submission.range)
        head = source.head()
        source.read(0, min(head.size_bytes, 1))
        if (
            submission.range is not None
            and kind is not InputFormat.PARQUET
            and head.size_bytes <= _COUNTED_AT_DOOR_BYTES
        ):
            known = count_items(source.stream(), kind)
            if submission.range.end >= known:
                raise Refusal(
                    Code.RANGE_PAST_END,
                    f"The range ends at item {submission.range.end}, and the input's last item is {known - 1}.",
                    "Items count from 0; the end is included.",
                )
        return Input(uri, kind, head.size_bytes, head.etag, submission.range)

    def _checked_image(self, submission: Submission) -> Image | None:
        if submission.resolved:
            return submission.resolved
        if submission.image:
            return self._images.resolve(submission.image)
        if not self._settings.allow_process_jobs:
            raise Refusal(
                Code.IMAGE_INVALID,
                "The job names no image, and this server takes no bare commands.",
                "Name a container image, or start the server with --allow-process.",
            )
        if not submission.command:
            raise Refusal(Code.BAD_REQUEST, "The job names neither an image nor a command.", "Name one of them.")
        return None

    def _checked_output(self, submission: Submission) -> str | None:
        if not submission.output_uri:
            return None
        if submission.output_uri.startswith(OWN):
            raise Refusal(
                Code.OUTPUT_NOT_ALLOWED,
                "Outputs cannot be put into fallow's own keys.",
                "Leave output_uri out for that.",
            )
        target = self._places.open_target(submission.output_uri)
        if not submission.overwrite and target.exists():
            raise Refusal(
                Code.OUTPUT_EXISTS,
                f"There are outputs at {submission.output_uri} already.",
                "Choose another place, or say overwrite.",
            )
        target.check_writable()
        return submission.output_uri


def _checked_chunking(submission: Submission) -> Chunking:
    """Items with files of their own go one by one, to an image that reads files. Raises Refusal."""
    if submission.input_format is not InputFormat.BUNDLES:
        return submission.chunking
    if submission.contract is not Contract.FILES or submission.plugins.planner:
        raise Refusal(Code.BAD_REQUEST, "Bundles are for images that read files.", "Use the contract files.")
    if submission.chunking not in (Chunking(), Chunking(items=1)):
        raise Refusal(Code.CHUNKS_INVALID, "A chunk of bundles has one item.", "Leave the size of chunks out.")
    return Chunking(items=1)


def _check_own(uri: str) -> None:
    """Of fallow's own objects a submitter may name what was uploaded, and not what belongs to jobs. Raises Refusal."""
    if uri.startswith(OWN) and not uri.startswith(f"{OWN}blobs/"):
        raise Refusal(Code.INPUT_NOT_ALLOWED, f"{uri[:100]} is not an uploaded input.", "Upload the file first.")


def _guessed_format(uri: str) -> InputFormat:
    if uri.startswith(OWN):
        raise Refusal(Code.INPUT_FORMAT, "The format of an uploaded input must be said.", "Give input_format.")
    path = urlsplit(uri).path
    if path.endswith("/"):
        return InputFormat.OBJECTS
    found = format_of_name(path)
    if found is None:
        raise Refusal(
            Code.INPUT_FORMAT,
            f"The name {PurePosixPath(path).name!r} does not tell the input's format.",
            f"Say input_format: {', '.join(sorted(set(InputFormat) - {InputFormat.BATCH}))}.",
        )
    return found


def format_of_name(name: str) -> InputFormat | None:
    """The format that a file's name tells; None when it tells none."""
    return _BY_SUFFIX.get(PurePosixPath(name).suffix.lower())


def _checked_env(submission: Submission) -> dict[str, str]:
    env = dict(submission.env)
    for name in env:
        if not name.replace("_", "").isalnum() or not name.isascii() or name[0].isdigit() or name.startswith("AI_"):
            raise Refusal(
                Code.BAD_REQUEST,
                f"{name[:80]!r} cannot name an environment variable of a job.",
                "Use letters, digits and underscores; AI_ is fallow's own.",
            )
    if sum(len(name) + len(value) for name, value in env.items()) > _ENV_BYTES_MAX:
        raise Refusal(Code.TOO_LARGE, "The job's environment is larger than 128 KiB.", "Put the data into the input.")
    if any("\0" in text for text in (*env.values(), *submission.command)):
        raise Refusal(Code.BAD_REQUEST, "A NUL character stands in the command or the environment.", "Remove it.")
    return env


def _bounded(chunks: Iterable[bytes], size_bytes_max: int) -> Iterable[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > size_bytes_max:
            raise Refusal(
                Code.TOO_LARGE,
                f"The input is larger than the {size_bytes_max} bytes this server takes.",
                "Put it into an object store and give its URI.",
            )
        yield chunk
