"""Notices as their readers see them: listed, read, chosen; and the one way in which a notice is born."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from fallow.clock import Clock
from fallow.control.callers import Caller
from fallow.control.texts import one_line
from fallow.control.webhooks import account_of, event_body
from fallow.core.lifecycle import DELIVERY_OVER, DeliveryEvent
from fallow.core.notices import CHOICES, Channel, DeliveryState, NoticeKind, choice_of, mailed_unasked
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros
from fallow.settings import Settings
from fallow.store.port import Addressee, DeliveryRow, ListedDelivery, NoticeRow, Store, TryRow, Tx

_TITLE_MAX: Final = 200
_BODY_MAX: Final = 4000
_LIMIT_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """Something to tell one account. dedupe: what it is about; told once. data: of the webhook's event, with "id"."""

    account_id: str
    kind: NoticeKind
    subject_id: str
    title: str
    body: str
    dedupe: str
    data: dict[str, object] = field(default_factory=dict)


def tell(tx: Tx, told: Told, now: Micros, settings: Settings) -> bool:
    """A notice and its deliveries, in the caller's transaction. False when it was told before."""
    notice_id = "evt_" + secrets.token_hex(12)
    key = tx.add_notice(
        NoticeRow(
            notice_id=notice_id,
            account_id=told.account_id,
            kind=told.kind,
            subject_id=told.subject_id,
            title=one_line(told.title, _TITLE_MAX),
            body=told.body[:_BODY_MAX],
            payload=event_body(notice_id, told.kind, now, {"id": told.subject_id, **told.data}),
            dedupe=told.dedupe,
            created_at=now,
        )
    )
    if key is None:
        return False
    for channel, target, at in _targets(tx, told, now, settings):
        delivery_id = "dlv_" + secrets.token_hex(12)
        tx.add_delivery(DeliveryRow(delivery_id, key, told.account_id, channel, target, DeliveryState.WAITING, at, now))
    return True


def _targets(tx: Tx, told: Told, now: Micros, settings: Settings) -> list[tuple[Channel, str, Micros]]:
    """Where it goes, and from when on. An account that was shut out is sent nothing."""
    owner = tx.addressee(told.account_id)
    if owner is None or not owner.enabled:
        return []
    asked = told.kind is NoticeKind.ACCOUNT_CONFIRM_EMAIL
    found = [
        (Channel.WEBHOOK, each.webhook_id, now)
        for each in tx.webhooks(told.account_id)
        if each.disabled_at is None and told.kind in each.events
    ]
    address = mail_address(tx, told.account_id, told.kind) if settings.smtp_url else None
    if address:
        wait = 0.0 if asked else settings.mail_batch_seconds
        found.append((Channel.EMAIL, address, Micros(now + int(wait * 1e6))))
    return found


def mail_address(tx: Tx, account_id: str, kind: NoticeKind) -> str | None:
    """Where mail of this kind goes to this account; None: nowhere. Only to confirmed addresses, but for the question
    whether it is one."""
    found = tx.addressee(account_id)
    if found is None or not found.enabled or not found.email:
        return None
    if kind is NoticeKind.ACCOUNT_CONFIRM_EMAIL:
        return None if found.confirmed else found.email
    wanted = tx.notice_choices(account_id).get(choice_of(kind), mailed_unasked(kind))
    return found.email if found.confirmed and wanted else None


class Notices:
    """What an account sees of its own notices. wake: of the couriers in this process."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, wake: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._wake = wake

    def listed(
        self,
        caller: Caller,
        after: str | None = None,
        limit: int = 100,
        kinds: Sequence[NoticeKind] = (),
        *,
        unread: bool = False,
    ) -> tuple[list[NoticeRow], str | None]:
        """Newest first, and what is `after` for the next page. Raises Refusal NOT_FOUND."""
        account_id, limit = account_of(caller), max(1, min(limit, _LIMIT_MAX))
        with self._store.reading() as tx:
            before = self._own(tx.notice(after), caller, after).notice_key if after else None
            rows = tx.notices(account_id, before=before, limit=limit + 1, kinds=kinds, unread=unread)
        return rows[:limit], rows[limit - 1].notice_id if len(rows) > limit else None

    def unread(self, caller: Caller) -> int:
        account_id = account_of(caller)
        with self._store.reading() as tx:
            return tx.unread_notices(account_id)

    def one(self, caller: Caller, notice_id: str) -> NoticeRow:
        """Raises Refusal NOT_FOUND, also for other people's."""
        with self._store.reading() as tx:
            return self._own(tx.notice(notice_id), caller, notice_id)

    def read(self, caller: Caller, notice_id: str | None) -> None:
        """None: all of them. Raises Refusal NOT_FOUND."""
        account_id, now = account_of(caller), self._clock.now()
        with self._store.transaction() as tx:
            if notice_id is None:
                tx.read_notices(account_id, now)
            elif not tx.read_notice(account_id, notice_id, now):
                raise _no_notice(notice_id)

    def addressee(self, caller: Caller) -> Addressee:
        """Where mail for the caller's account would go."""
        account_id = account_of(caller)
        with self._store.reading() as tx:
            found = tx.addressee(account_id)
        if found is None:
            raise Refusal(Code.NOT_FOUND, "There is no such account.", "Sign in again.")
        return found

    def choices(self, caller: Caller) -> dict[NoticeKind, bool]:
        """For each kind, whether mail about it is sent to the account's confirmed address."""
        account_id = account_of(caller)
        with self._store.reading() as tx:
            chosen = tx.notice_choices(account_id)
        return {kind: chosen.get(kind, mailed_unasked(kind)) for kind in CHOICES}

    def choose(self, account_id: str, wanted: dict[NoticeKind, bool]) -> None:
        """Raises Refusal BAD_REQUEST for a kind that is nobody's to choose, NOT_FOUND for an account that is not."""
        wrong = [kind for kind in wanted if kind not in CHOICES]
        if wrong:
            raise Refusal(Code.BAD_REQUEST, f"{wrong[0]} is not to be chosen.", f"There are {', '.join(CHOICES)}.")
        with self._store.transaction() as tx:
            if tx.addressee(account_id) is None:
                raise Refusal(Code.NOT_FOUND, "There is no such account.", "Sign in again.")
            for kind, value in wanted.items():
                tx.set_notice_choice(account_id, kind, value)

    def deliveries(
        self, caller: Caller, after: str | None, limit: int, webhook_id: str = "", notice_id: str = ""
    ) -> tuple[list[ListedDelivery], str | None]:
        """Newest first, and what is `after` for the next page. Raises Refusal NOT_FOUND."""
        account_id, limit = account_of(caller), max(1, min(limit, _LIMIT_MAX))
        with self._store.reading() as tx:
            before = self._delivery(tx.delivery(after), caller, after).delivery_key if after else None
            key = self._own(tx.notice(notice_id), caller, notice_id).notice_key if notice_id else None
            rows = tx.deliveries(account_id, before=before, limit=limit + 1, target=webhook_id, notice_key=key)
        return rows[:limit], rows[limit - 1].delivery.delivery_id if len(rows) > limit else None

    def delivery(self, caller: Caller, delivery_id: str) -> tuple[ListedDelivery, list[TryRow]]:
        """One with all its tries, newest first. Raises Refusal NOT_FOUND."""
        with self._store.reading() as tx:
            row = self._delivery(tx.delivery(delivery_id), caller, delivery_id)
            notice = tx.notice_by_key(row.notice_key)
            tries = tx.tries(row.delivery_key)
        assert notice is not None  # a delivery refers to its notice
        return ListedDelivery(row, notice, tries[0] if tries else None), tries

    def send_again(self, caller: Caller, delivery_id: str) -> DeliveryRow:
        """A new round of tries for the same event. Raises Refusal NOT_FOUND, or STATE_CONFLICT for one on its way."""
        now = self._clock.now()
        with self._store.transaction() as tx:
            row = self._delivery(tx.delivery(delivery_id), caller, delivery_id)
            moved = row.state in DELIVERY_OVER and tx.move_delivery(row, DeliveryEvent.SEND_AGAIN, now, now)
            if not moved:
                raise Refusal(
                    Code.STATE_CONFLICT,
                    f"The delivery is {row.state}: it is on its way.",
                    "Wait until it is delivered or has failed.",
                )
            found = tx.delivery(delivery_id)
        assert found is not None
        self._wake()
        return found

    def request_confirmation(self, account_id: str) -> bool:
        """Sends a letter that asks whether the account's address is theirs: once in ten minutes at most. False when
        there is nothing to ask, no mail is sent by this server, or the letter is on its way."""
        now = self._clock.now()
        with self._store.transaction() as tx:
            found = tx.addressee(account_id)
            if not self._settings.smtp_url or found is None or found.confirmed or not found.email or not found.enabled:
                return False
            told = Told(
                account_id,
                NoticeKind.ACCOUNT_CONFIRM_EMAIL,
                account_id,
                "Confirm your e-mail address",
                f"A letter went to {found.email}. Mail is sent there once its link was followed.",
                f"{NoticeKind.ACCOUNT_CONFIRM_EMAIL}:{account_id}:{found.email}:{now // 600_000_000}",
            )
            made = tell(tx, told, now, self._settings)
        self._wake()
        return made

    def confirm(self, account_id: str, email: str) -> bool:
        """The link in that letter was followed. False when the account has another address by now."""
        with self._store.transaction() as tx:
            return tx.confirm_email(account_id, email, self._clock.now())

    def _own(self, row: NoticeRow | None, caller: Caller, notice_id: str | None) -> NoticeRow:
        if row is None or row.account_id != account_of(caller):
            raise _no_notice(notice_id or "")
        return row

    def _delivery(self, row: DeliveryRow | None, caller: Caller, delivery_id: str | None) -> DeliveryRow:
        if row is None or row.account_id != account_of(caller):
            raise Refusal(Code.NOT_FOUND, f"There is no delivery {(delivery_id or '')[:80]!r}.", "See /notices.")
        return row


def _no_notice(notice_id: str) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"There is no notice {notice_id[:80]!r}.", "See fallow notices.")
