"""The words: ids, states and the closed sets that everything else is said in. One word, one meaning."""

from enum import StrEnum
from typing import NewType

JobId = NewType("JobId", str)  # what people say: "job-123"
JobKey = NewType("JobKey", int)  # what rows say: the job's number in the database
ChunkId = NewType("ChunkId", int)  # counts from 0 within a job
AttemptId = NewType("AttemptId", int)  # unique in a database
WorkerId = NewType("WorkerId", str)
Micros = NewType("Micros", int)  # a moment: microseconds since 1970-01-01T00:00:00Z


class Kind(StrEnum):
    """What a story row is about."""

    JOB = "job"
    CHUNK = "chunk"
    ATTEMPT = "attempt"


class JobState(StrEnum):
    PLANNING = "planning"  # the planner has not reached the end of the input; chunks already run
    RUNNING = "running"
    PAUSED = "paused"
    MERGING = "merging"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class ChunkState(StrEnum):
    PLANNED = "planned"
    OPEN = "open"
    VERIFYING = "verifying"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SPLIT = "split"  # replaced by smaller chunks over the same items: docs/decisions/0003


class AttemptState(StrEnum):
    QUEUED = "queued"
    LEASED = "leased"
    REPORTED = "reported"
    VALID = "valid"
    INVALID = "invalid"
    ERRORED = "errored"
    LOST = "lost"
    DROPPED = "dropped"
    ABORTED = "aborted"


class Label(StrEnum):
    EDGE = "edge"
    ON_PREM = "on_prem"
    CLOUD = "cloud"


class Contract(StrEnum):
    """How an image is run."""

    STREAM = "stream"
    HTTP = "http"  # it serves an OpenAI-compatible API on a port
    FILES = "files"
    DIRECT = "direct"


class Reuse(StrEnum):
    JOB = "job"  # one container for consecutive chunks of a job
    NEVER = "never"  # a fresh container for each chunk


class Engine(StrEnum):
    PODMAN = "podman"
    DOCKER = "docker"
    PROCESS = "process"


class InputFormat(StrEnum):
    JSONL = "jsonl"
    TEXT = "text"
    CSV = "csv"
    PARQUET = "parquet"
    OBJECTS = "objects"  # a directory or prefix; each object is an item
    BUNDLES = "bundles"  # JSON lines; each names the files that it comes with
    BATCH = "batch"  # an OpenAI batch file: request lines, checked before any of them runs


class FailureClass(StrEnum):
    """Whose fault a failure is, which decides what happens next. See docs/lifecycle.md."""

    SUBMITTER = "submitter"  # the image or the item: split down to the bad items
    WORKER = "worker"  # the machine: another worker; this one backs off
    LIMITS = "limits"  # a limit of the job: smaller pieces, then an error that names the limit
    ABORTED = "aborted"  # the owner stopped it: another worker, nothing counted
    OURS = "ours"  # the server or the object store: try again, nothing counted


class UploadState(StrEnum):
    """Of a file that comes in parts."""

    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Scope(StrEnum):
    SUBMIT = "submit"
    OPERATE = "operate"
    WORK = "work"
