"""Rows of notices: news of jobs, notices, webhooks, deliveries and their tries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fallow.core.lifecycle import DeliveryEvent
from fallow.core.notices import Channel, DeliveryState, NoticeKind
from fallow.core.words import JobKey, Micros


@dataclass(frozen=True, slots=True)
class NewsRow:
    """Written by the transaction that ended the job; gone when its notice is there."""

    news_id: int
    at: Micros
    job_key: JobKey
    kind: NoticeKind


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """dedupe: what it is about, so that the same thing is told once. payload: JSON, what a webhook gets."""

    notice_id: str
    account_id: str
    kind: NoticeKind
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
    events: tuple[NoticeKind, ...]
    created_at: Micros
    old_secret: str | None = None
    old_secret_until: Micros | None = None
    disabled_at: Micros | None = None
    deleted_at: Micros | None = None
    webhook_key: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One notice on its way to one place. target: a webhook's id, or an address.

    tries: of this round; sending it again starts a new one. next_at: when it is due; while it is being sent, when its
    claim runs out. claim_owner: the name of the letter it went out in or will go out in, "" before the first try: what
    went out together, or may have, is tried again together under the same name."""

    delivery_id: str
    notice_key: int
    account_id: str
    channel: Channel
    target: str
    state: DeliveryState
    next_at: Micros
    created_at: Micros
    tries: int = 0
    over_at: Micros | None = None
    claim_owner: str = ""
    claim_until: Micros = Micros(0)
    delivery_key: int = 0


@dataclass(frozen=True, slots=True)
class TryRow:
    """status: HTTP's or SMTP's; 0 when there was no answer. error: "" when it arrived."""

    number: int
    at: Micros
    status: int
    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ListedDelivery:
    """A delivery with what people want to see beside it. last: its newest try."""

    delivery: DeliveryRow
    notice: NoticeRow
    last: TryRow | None


@dataclass(frozen=True, slots=True)
class Addressee:
    """Where mail for an account goes. confirmed: its owner has shown to read mail there."""

    account_id: str
    name: str
    email: str | None
    confirmed: bool
    enabled: bool


class NoticesTx(Protocol):
    """The verbs of notices."""

    # what happened
    def news(self, limit: int) -> list[NewsRow]:
        """Oldest first, without those of batches whose files are still being made; locked. Those that another
        transaction is at are left out."""
        ...

    def is_news(self) -> bool:
        """Cheap: a look, without a lock."""
        ...

    def is_batch(self, job_key: JobKey) -> bool:
        """Whether the job came by the OpenAI door."""
        ...

    def drop_news(self, news_id: int) -> None: ...

    # notices
    def add_notice(self, notice: NoticeRow) -> int | None:
        """Its key; None when the same thing (`dedupe`) was told before."""
        ...

    def notice(self, notice_id: str) -> NoticeRow | None: ...
    def notice_by_key(self, notice_key: int) -> NoticeRow | None: ...
    def was_told(self, dedupe: str) -> bool: ...
    def notices(
        self, account_id: str, *, before: int | None, limit: int, kinds: Sequence[NoticeKind] = (), unread: bool = False
    ) -> list[NoticeRow]:
        """Newest first; `before`: only those with a smaller key."""
        ...

    def unread_notices(self, account_id: str) -> int: ...
    def read_notice(self, account_id: str, notice_id: str, now: Micros) -> bool: ...
    def read_notices(self, account_id: str, now: Micros) -> int: ...
    def is_notice_before(self, before: Micros) -> bool: ...
    def forget_notices(self, before: Micros, limit: int) -> int:
        """Removes up to `limit` notices made before a moment, with their deliveries and tries. How many."""
        ...

    # whom to tell
    def notice_choices(self, account_id: str) -> dict[NoticeKind, bool]:
        """What was chosen; kinds without a choice are left out."""
        ...

    def set_notice_choice(self, account_id: str, kind: NoticeKind, wanted: bool) -> None: ...
    def watching_accounts(self) -> list[str]:
        """The accounts of operators."""
        ...

    def addressee(self, account_id: str) -> Addressee | None: ...
    def confirm_email(self, account_id: str, email: str, now: Micros) -> bool:
        """False when that is not the account's address any more."""
        ...

    # webhooks
    def add_webhook(self, webhook: WebhookRow) -> bool:
        """False when there is one of that id, or was."""
        ...

    def webhook(self, webhook_id: str) -> WebhookRow | None:
        """Not a deleted one."""
        ...

    def webhooks(self, account_id: str, *, before: int | None = None, limit: int = 1000) -> list[WebhookRow]:
        """Newest first, without deleted ones; `before`: only those with a smaller key."""
        ...

    def save_webhook(self, webhook: WebhookRow) -> None:
        """All but its id, account and birth."""
        ...

    def disable_webhook(self, webhook_id: str, now: Micros) -> None:
        """Nothing more is sent there until its owner enables it."""
        ...

    # deliveries
    def add_delivery(self, delivery: DeliveryRow) -> None:
        """Born waiting. Nothing when the notice is on its way there already."""
        ...

    def is_delivery_due(self, channel: Channel, now: Micros) -> bool:
        """Cheap: a look, without a lock."""
        ...

    def claim_deliveries(
        self, channel: Channel, letter: str, now: Micros, until: Micros, limit: int
    ) -> list[DeliveryRow]:
        """What goes out in one letter, claimed until a moment; oldest first, all to one target. Empty: nothing is due.

        That is the delivery that is due longest, with those that went out with it before; or, on a channel that takes
        several at once (limit above 1) and when it never went out, with all others to that target that never did, due
        or not, under the name `letter`. A target that somebody is sending to at this moment is left alone."""
        ...

    def move_delivery(
        self, delivery: DeliveryRow, event: DeliveryEvent, now: Micros, next_at: Micros | None = None
    ) -> bool:
        """Moves it on, if it is still as in this row: False when somebody else has it by now. next_at: of RETRY and
        SEND_AGAIN. Raises lifecycle.IllegalMove."""
        ...

    def put_off_deliveries(self, channel: Channel, target: str, until: Micros) -> None:
        """A target that cannot be reached: nothing that waits for it is due before that moment."""
        ...

    def add_try(self, delivery_key: int, at: Micros, status: int, error: str, seconds: float) -> None: ...
    def tries(self, delivery_key: int) -> list[TryRow]:
        """Newest first."""
        ...

    def delivery(self, delivery_id: str) -> DeliveryRow | None: ...
    def deliveries(
        self, account_id: str, *, before: int | None, limit: int, target: str = "", notice_key: int | None = None
    ) -> list[ListedDelivery]:
        """Newest first; `before`: only those with a smaller key. target and notice_key: only of that one."""
        ...
