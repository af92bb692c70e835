"""Notices, webhooks and deliveries: what the door takes and gives, as JSON."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

EventName = Literal[
    "job.completed",
    "job.failed",
    "job.cancelled",
    "job.expired",
    "job.needs_attention",
    "batch.completed",
    "batch.failed",
    "batch.cancelled",
    "batch.expired",
    "worker.silent",
    "server.disk_low",
]
ChoiceName = Literal[
    "job.completed",
    "job.failed",
    "job.cancelled",
    "job.expired",
    "job.needs_attention",
    "worker.silent",
    "server.disk_low",
]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Url = Annotated[str, Field(min_length=1, max_length=2000)]
Events = Annotated[list[EventName], Field(max_length=50)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NoticeView(_Message):
    """subject_id: of the job, the worker or the server it is about."""

    notice_id: str
    kind: str
    subject_id: str
    title: str
    body: str
    created_at: str
    read_at: str | None


class NoticeList(_Message):
    """unread: of all, not of this page."""

    notices: list[NoticeView]
    next: str | None
    unread: int


class Choices(_Message):
    """Whether mail about each kind goes to the account's confirmed address."""

    mail: dict[ChoiceName, bool]


class ConfirmationSent(_Message):
    """sent: false when there is nothing to confirm, this server sends no mail, or one went out minutes ago."""

    sent: bool


class WebhookRequest(_Message):
    """event_types: none means all."""

    name: Name
    url: Url
    event_types: Events = []


class WebhookPatch(_Message):
    """What is left out stays."""

    name: Name | None = None
    url: Url | None = None
    event_types: Events | None = None
    enabled: bool | None = None


class RotateRequest(_Message):
    """keep_old: the old secret signs too for 24 hours."""

    keep_old: bool = True


class WebhookTest(_Message):
    event_type: EventName = "job.completed"


class WebhookView(_Message):
    webhook_id: str
    name: str
    url: str
    event_types: list[str]
    created_at: str
    enabled: bool
    secret_hint: str


class NewWebhook(WebhookView):
    """secret: shown this once, never again."""

    secret: str


class WebhookList(_Message):
    webhooks: list[WebhookView]
    next: str | None


class WebhookTestResult(_Message):
    """status: the receiver's HTTP status; 0 when it did not answer."""

    delivered: bool
    status: int
    error: str


class TryView(_Message):
    """status: HTTP's or SMTP's; 0 when there was no answer."""

    number: int
    at: str
    status: int
    error: str
    seconds: float


class DeliveryView(_Message):
    """target: a webhook's id or an address. tries: of this round. next_at: of its next try, while it waits."""

    delivery_id: str
    notice_id: str
    kind: str
    channel: str
    target: str
    state: str
    tries: int
    created_at: str
    next_at: str | None
    over_at: str | None
    last_try: TryView | None


class DeliveryList(_Message):
    deliveries: list[DeliveryView]
    next: str | None


class DeliveryDetail(DeliveryView):
    """history: every try of every round, newest first."""

    history: list[TryView]
