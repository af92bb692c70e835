"""What people are told of, how it reaches them, and how long a delivery that failed waits for its next try."""

from enum import StrEnum
from typing import Final

from fallow.core.words import JobState


class NoticeKind(StrEnum):
    """What a notice says. The names are those of the webhooks' events; batch.* are OpenAI's."""

    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_EXPIRED = "job.expired"
    JOB_NEEDS_ATTENTION = "job.needs_attention"
    BATCH_COMPLETED = "batch.completed"
    BATCH_FAILED = "batch.failed"
    BATCH_CANCELLED = "batch.cancelled"
    BATCH_EXPIRED = "batch.expired"
    WORKER_SILENT = "worker.silent"
    SERVER_DISK_LOW = "server.disk_low"
    ACCOUNT_CONFIRM_EMAIL = "account.confirm_email"  # asked for by the account itself, so nobody chooses it


class Channel(StrEnum):
    EMAIL = "email"
    WEBHOOK = "webhook"


class DeliveryState(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"  # claimed until a moment; a sender that dies lets it go
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"  # nobody wants it any more


EVENTS: Final = tuple(kind for kind in NoticeKind if kind is not NoticeKind.ACCOUNT_CONFIRM_EMAIL)
"""What a webhook may ask for."""

BATCH_EVENTS: Final = tuple(kind for kind in EVENTS if kind.startswith("batch."))
CHOICES: Final = tuple(kind for kind in EVENTS if kind not in BATCH_EVENTS)
"""What an account chooses mail about. A batch is a job: one choice for both."""

_UNASKED: Final = frozenset({NoticeKind.JOB_CANCELLED})  # whoever cancels a job knows

_STEPS: Final = (1, 3, 12, 60, 180, 360, 1080, 2160, 4320)  # times 10 s: 10 s, 30 s, 2 min, 10 min, ... 12 h
TRIES_MAX: Final = len(_STEPS) + 1
RETRY_SECONDS_MAX: Final = 24 * 3600.0
_JITTER: Final = 0.2


def end_of_job(state: JobState, *, is_batch: bool) -> NoticeKind:
    """What is told when a job has come to this end. ValueError for a state that is no end."""
    return NoticeKind(f"{'batch' if is_batch else 'job'}.{state.value}")


def choice_of(kind: NoticeKind) -> NoticeKind:
    """The choice that decides whether mail is sent about this kind."""
    return NoticeKind(kind.value.replace("batch.", "job."))


def mailed_unasked(kind: NoticeKind) -> bool:
    """Whether an account that has not chosen gets mail about this kind."""
    return choice_of(kind) not in _UNASKED


def next_try_seconds(tries: int, first_seconds: float, asked_seconds: float | None, chance: float) -> float | None:
    """How long to wait after `tries` (at least 1) tries that failed; None: give up.

    first_seconds: the wait after the first one. asked_seconds: the receiver's Retry-After, of which a day is heard.
    chance: in [0, 1), so that deliveries that failed together do not all come back together.
    """
    if tries >= TRIES_MAX:
        return None
    wait = first_seconds * _STEPS[max(tries, 1) - 1] * (1 - _JITTER + 2 * _JITTER * chance)
    return min(RETRY_SECONDS_MAX, max(wait, asked_seconds or 0.0))
