"""The courier: notices reach the people they are for.

A delivery is claimed, sent, and then marked, in three steps, since no call to the outside may hold a transaction.
Whoever dies between the second and the third leaves a claim that runs out; the same letter is then sent once more under
the same name (Message-ID, webhook-id), by which a receiver knows that it has it. That is the one way in which anything
is sent twice.
"""

import random
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from fallow.clock import Clock
from fallow.control.links import Links
from fallow.control.mail import letter
from fallow.control.notices import mail_address
from fallow.control.sending import PostMail, PostWebhook, Sent, Verdict
from fallow.control.webhooks import signed_headers
from fallow.core.lifecycle import DeliveryEvent
from fallow.core.notices import Channel, next_try_seconds
from fallow.core.words import Micros
from fallow.settings import Settings
from fallow.store.port import Addressee, DeliveryRow, NoticeRow, Store, Tx, WebhookRow

_LETTER_MAX: Final = 50  # notices in one; more go out in the next
_ERROR_MAX: Final = 500
_log = structlog.get_logger("fallow.courier")
_Made = tuple[DeliveryRow, NoticeRow]


class Courier:
    """One step sends one letter, or calls one webhook. mail: None where this server sends none."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: Settings,
        links: Links,
        mail: PostMail | None,
        webhook: PostWebhook,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._links = links
        self._mail = mail
        self._webhook = webhook
        self._chance = chance

    def send_mail(self) -> bool:
        """True when a letter was due."""
        if self._mail is None:
            return False
        claimed = self._claim(Channel.EMAIL, _LETTER_MAX)
        if not claimed:
            return False
        wanted, to = self._still_wanted(claimed)
        if not wanted or to is None:
            return True
        name = claimed[0].claim_owner
        message = letter(name, to, [notice for _, notice in wanted], self._links, self._settings.smtp_from, self._now())
        if message is None:
            self._close(wanted, Sent(Verdict.NEVER, 0, "it is not an e-mail address"), 0.0)
            return True
        post = self._mail
        sent, seconds = _timed(lambda: post(message))
        self._close(wanted, sent, seconds)
        return True

    def call_webhook(self) -> bool:
        """True when a call was due."""
        claimed = self._claim(Channel.WEBHOOK, 1)
        if not claimed:
            return False
        (delivery,) = claimed
        with self._store.reading() as tx:
            webhook, notice = tx.webhook(delivery.target), tx.notice_by_key(delivery.notice_key)
            owner = tx.addressee(delivery.account_id)
        if webhook is None or webhook.disabled_at is not None or notice is None or not (owner and owner.enabled):
            self._drop([delivery])
            return True
        body = notice.payload.encode()
        headers = signed_headers(webhook, notice.notice_id, body, self._now())
        sent, seconds = _timed(lambda: self._webhook(webhook.url, body, headers))
        self._close([(delivery, notice)], sent, seconds, webhook)
        return True

    def _now(self) -> Micros:
        return self._clock.now()

    def _claim(self, channel: Channel, limit: int) -> list[DeliveryRow]:
        now = self._now()
        with self._store.reading() as tx:
            if not tx.is_delivery_due(channel, now):
                return []
        # Longer than a try may take: who is still at it must not be overtaken.
        seconds = max(self._settings.claim_seconds, 2 * self._settings.send_seconds)
        until = Micros(now + int(seconds * 1e6))
        with self._store.transaction() as tx:
            return tx.claim_deliveries(channel, "ltr_" + secrets.token_hex(12), now, until, limit)

    def _still_wanted(self, claimed: Sequence[DeliveryRow]) -> tuple[list[_Made], Addressee | None]:
        """Those that are to be sent, and to whom: an address may be another by now, or mail not wanted any more."""
        account_id, target = claimed[0].account_id, claimed[0].target
        with self._store.reading() as tx:
            to = tx.addressee(account_id)
            made = [(each, tx.notice_by_key(each.notice_key)) for each in claimed]
            wanted = [
                (each, notice)
                for each, notice in made
                if notice is not None and mail_address(tx, account_id, notice.kind) == target
            ]
        kept = {each.delivery_id for each, _ in wanted}
        self._drop([each for each in claimed if each.delivery_id not in kept])
        return wanted, to

    def _drop(self, deliveries: Sequence[DeliveryRow]) -> None:
        if not deliveries:
            return
        now = self._now()
        with self._store.transaction() as tx:
            for each in deliveries:
                tx.move_delivery(each, DeliveryEvent.DROP, now)

    def _close(self, made: Sequence[_Made], sent: Sent, seconds: float, webhook: WebhookRow | None = None) -> None:
        """Writes down what came of a try, and when the next one is."""
        now, chance = self._now(), self._chance()
        with self._store.transaction() as tx:
            for delivery, _ in made:
                if self._moved(tx, delivery, sent, now, chance):
                    tx.add_try(delivery.delivery_key, now, sent.status, sent.error[:_ERROR_MAX], seconds)
            if webhook is not None and sent.verdict is Verdict.GONE:
                self._disable(tx, webhook, now)
        first = made[0][0]
        _log.info(
            "delivery.tried",
            channel=first.channel.value,
            delivery=first.delivery_id,
            notices=len(made),
            verdict=sent.verdict.value,
            status=sent.status,
            error=sent.error[:_ERROR_MAX],
        )

    def _moved(self, tx: Tx, delivery: DeliveryRow, sent: Sent, now: Micros, chance: float) -> bool:
        """False when its claim ran out and somebody else has it: theirs is the word that counts."""
        if sent.verdict is Verdict.ARRIVED:
            return tx.move_delivery(delivery, DeliveryEvent.CONFIRM, now)
        first = self._settings.delivery_retry_seconds
        wait = next_try_seconds(delivery.tries + 1, first, sent.wait_seconds, chance)
        if sent.verdict is not Verdict.AGAIN or wait is None:
            return tx.move_delivery(delivery, DeliveryEvent.GIVE_UP, now)
        next_at = Micros(now + int(wait * 1e6))
        if delivery.channel is Channel.WEBHOOK and not sent.status:
            tx.put_off_deliveries(delivery.channel, delivery.target, next_at)
        return tx.move_delivery(delivery, DeliveryEvent.RETRY, now, next_at)

    def _disable(self, tx: Tx, webhook: WebhookRow, now: Micros) -> None:
        """410: the receiver is there no more, and says so."""
        found = tx.webhook(webhook.webhook_id)
        if found is not None and found.url == webhook.url:
            tx.disable_webhook(webhook.webhook_id, now)


def _timed(send: Callable[[], Sent]) -> tuple[Sent, float]:
    started = time.monotonic()
    return send(), time.monotonic() - started
