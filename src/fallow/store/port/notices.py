"""Rows of notices: news of jobs, notices, webhooks, deliveries and their tries."""

from dataclasses import dataclass
from typing import Protocol

from fallow.core.words import JobKey, Micros


@dataclass(frozen=True, slots=True)
class NewsRow:
    """Written by the transaction that ended the job; gone when its notice is there."""

    news_id: int
    at: Micros
    job_key: JobKey
    kind: str


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """dedupe: what it is about, so that the same thing is told once. payload: JSON, what a webhook gets."""

    notice_id: str
    account_id: str
    kind: str
    subject_id: str
    title: str
    body: str
    payload: str
    dedupe: str
    created_at: Micros
    read_at: Micros | None = None
    notice_key: int = 0


@dataclass(frozen=True, slots=True)
class WebhookRow:
    """secret: "whsec_..." as shown to its owner. events: the kinds it wants."""

    webhook_id: str
    account_id: str
    name: str
    url: str
    secret: str
    events: tuple[str, ...]
    created_at: Micros
    old_secret: str | None = None
    old_secret_until: Micros | None = None
    disabled_at: Micros | None = None
    deleted_at: Micros | None = None
    webhook_key: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One notice on its way to one place. target: a webhook's id, or an address."""

    delivery_id: str
    notice_key: int
    account_id: str
    channel: str
    target: str
    state: str
    next_at: Micros
    created_at: Micros
    tries: int = 0
    over_at: Micros | None = None
    delivery_key: int = 0


@dataclass(frozen=True, slots=True)
class TryRow:
    """status: HTTP's or SMTP's; 0 when there was no answer."""

    number: int
    at: Micros
    status: int
    error: str
    seconds: float


class NoticesTx(Protocol):
    """The verbs of notices."""
