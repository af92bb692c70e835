"""What BOINC's submit calls speak of, as values: batches, jobs with files and a command line, and how they stand.

A BOINC batch is a job here, a BOINC job (workunit) one of its items, a BOINC instance (result) an attempt.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class BatchState(IntEnum):
    """Source: BOINC lib/common_defs.h, BATCH_STATE_*."""

    INIT = 0
    IN_PROGRESS = 1
    COMPLETE = 2
    ABORTED = 3
    RETIRED = 4


class JobStatus(StrEnum):
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    ERROR = "error"


class JobError(StrEnum):
    """Why a job has no answer; each is one bit of BOINC's error mask."""

    COULDNT_SEND = "couldnt_send_result"
    ERRORS = "too_many_error_results"
    SUCCESSES = "too_many_success_results"
    TOTAL = "too_many_total_results"
    CANCELLED = "cancelled"
    NO_CANONICAL = "no_canonical_result"


MASKS: Mapping[JobError, int] = {error: 1 << bit for bit, error in enumerate(JobError)}


@dataclass(frozen=True, slots=True)
class InputFile:
    """mode: local, semilocal, local_staged, inline, sandbox or remote. source: a name, or an inline file's content.
    url, size_bytes, md5: of a remote one."""

    mode: str
    source: str = ""
    url: str = ""
    size_bytes: int | None = None
    md5: str = ""


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """An input file of a template. physical_name: of a file that the template brings itself, "" for one that each job
    gives; urls, md5, size_bytes: where that one is, when it is not among the staged files."""

    open_name: str
    physical_name: str = ""
    urls: tuple[str, ...] = ()
    md5: str = ""
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class InputTemplate:
    """options: what it says of its jobs (rsc_*, delay_bound, min_quorum, max_*_results, priority), as numbers."""

    files: tuple[TemplateFile, ...]
    command_line: str = ""
    options: Mapping[str, float] = field(default_factory=dict)

    @property
    def given(self) -> int:
        """How many files each job brings."""
        return sum(not each.physical_name for each in self.files)


@dataclass(frozen=True, slots=True)
class OutputTemplate:
    """names: by which the image writes its outputs, in the order of their numbers."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """input_template, output_template: XML of its own, "" for the batch's."""

    name: str = ""
    command_line: str = ""
    flops: float = 0.0
    priority: int | None = None
    input_template: str = ""
    output_template: str = ""
    files: tuple[InputFile, ...] = ()
    targeted: bool = False


@dataclass(frozen=True, slots=True)
class SubmittedBatch:
    """batch_id 0: a new one. input_template, output_template: names, "" for the application's own. expire_at: seconds
    since 1970, 0: never."""

    app_name: str
    batch_id: int = 0
    batch_name: str = ""
    priority: int | None = None
    input_template: str = ""
    output_template: str = ""
    expire_at: float = 0.0
    options: Mapping[str, float] = field(default_factory=dict)
    jobs: tuple[SubmittedJob, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """Times are seconds since 1970, 0 for never. cpu_seconds: None when nobody asked."""

    batch_id: int
    name: str
    app_name: str
    state: BatchState
    created_at: int
    expire_at: int
    completed_at: int
    jobs: int
    fraction_done: float
    errors: int
    credit: float
    cpu_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class JobFacts:
    """canonical_id: of the attempt that counts, 0 for none. exit_status: of the newest that failed."""

    job_id: int
    name: str
    canonical_id: int
    status: JobStatus
    errors: tuple[JobError, ...] = ()
    exit_status: int | None = None
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Instance:
    """sizes: of its output files, in bytes."""

    instance_id: int
    name: str
    state: str
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CompletedJob:
    """instance_id: the canonical one, or else the newest that failed; None: there is none. stderr: cut."""

    error_mask: int
    instance_id: int | None
    is_canonical: bool
    exit_status: int = 0
    elapsed_seconds: float = 0.0
    cpu_seconds: float = 0.0
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of the whole server, as BOINC counts them."""

    ready_to_send: int
    in_progress: int
    need_validate: int
    need_assimilate: int
