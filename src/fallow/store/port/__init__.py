"""The port to the rows. control speaks to this; sqlite.py and postgresql.py stand behind it.

A transaction is short, does no I/O but the database's, and is the only place where rows change. Each state move writes
its story row and the job's counters in the transaction that makes it. Lock order: jobs are locked after chunks and
attempts, each kind in ascending order of its key.
"""

from contextlib import AbstractContextManager
from typing import Protocol

from fallow.store.port.boinc import (
    AppVersionRow,
    BoincResultRow,
    BoincTx,
    BoincUserRow,
    CreditRow,
    Earned,
    HostRow,
    ReputationRow,
    TaskChunk,
    TeamMembers,
    TeamRow,
    VerdictRow,
    WorkerKeyRow,
)
from fallow.store.port.boinc_submit import (
    AbortRow,
    BoincBatchRow,
    BoincJobRow,
    BoincSubmitTx,
    JobFileRow,
    StandingRow,
)
from fallow.store.port.charts import CellCount, CellRun, ChartsTx, FailureGroup, FaultGroup, RecentWork, Span
from fallow.store.port.feeds import FeedPart, FeedRow, FeedsTx
from fallow.store.port.fleet import FleetTx, WorkerAttempt, WorkerBucket, WorkerRecord
from fallow.store.port.live_logs import LiveLogsTx
from fallow.store.port.notices import (
    Addressee,
    DeliveryRow,
    ListedDelivery,
    NewsRow,
    NoticeRow,
    NoticesTx,
    TryRow,
    WebhookRow,
)
from fallow.store.port.openai import BatchRow, FileRow, ModelRow, OpenaiTx, UploadPartRow, UploadRow
from fallow.store.port.people import AccountRow, GrantRow, PeopleTx, SessionRow, SigninFailureRow, SubmitRight
from fallow.store.port.standing import StandingTx
from fallow.store.port.work import (
    ALWAYS,
    AttemptRow,
    ChunkRef,
    ChunkRow,
    JobRow,
    KeyRow,
    Leased,
    Packed,
    PlanCursor,
    PlannedChunk,
    ResultRow,
    StoryRow,
    Terms,
    Touched,
    WorkerRow,
    WorkTx,
)


class Tx(
    WorkTx,
    PeopleTx,
    FeedsTx,
    OpenaiTx,
    NoticesTx,
    FleetTx,
    StandingTx,
    ChartsTx,
    LiveLogsTx,
    BoincTx,
    BoincSubmitTx,
    Protocol,
):
    """One transaction."""


class Store(Protocol):
    """A database. Safe to use from many threads."""

    dialect: str

    def migrate(self) -> None:
        """Bring the schema to this release's version; refuses a newer one."""
        ...

    def transaction(self) -> AbstractContextManager[Tx]:
        """For writing. Commits, durably, at the end of the block; rolls back when it raises."""
        ...

    def reading(self) -> AbstractContextManager[Tx]:
        """For reading: one consistent picture, beside writers."""
        ...

    def ping(self) -> None:
        """Raises Refusal STORAGE_UNREACHABLE."""
        ...

    def close(self) -> None: ...


__all__ = [
    "ALWAYS",
    "AbortRow",
    "AccountRow",
    "Addressee",
    "AppVersionRow",
    "AttemptRow",
    "BatchRow",
    "BoincBatchRow",
    "BoincJobRow",
    "BoincResultRow",
    "BoincUserRow",
    "CellCount",
    "CellRun",
    "ChunkRef",
    "ChunkRow",
    "CreditRow",
    "DeliveryRow",
    "Earned",
    "FailureGroup",
    "FaultGroup",
    "FeedPart",
    "FeedRow",
    "FileRow",
    "GrantRow",
    "HostRow",
    "JobFileRow",
    "JobRow",
    "KeyRow",
    "Leased",
    "ListedDelivery",
    "ModelRow",
    "NewsRow",
    "NoticeRow",
    "Packed",
    "PlanCursor",
    "PlannedChunk",
    "RecentWork",
    "ReputationRow",
    "ResultRow",
    "SessionRow",
    "SigninFailureRow",
    "Span",
    "StandingRow",
    "Store",
    "StoryRow",
    "SubmitRight",
    "TeamMembers",
    "TaskChunk",
    "TeamRow",
    "Terms",
    "Touched",
    "TryRow",
    "Tx",
    "UploadPartRow",
    "UploadRow",
    "VerdictRow",
    "WebhookRow",
    "WorkerAttempt",
    "WorkerBucket",
    "WorkerKeyRow",
    "WorkerRecord",
    "WorkerRow",
]
