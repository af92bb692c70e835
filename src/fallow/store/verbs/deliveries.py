"""Deliveries of notices and their tries."""

from dataclasses import replace

from fallow.core.lifecycle import DELIVERY_OVER, DeliveryEvent, delivery_after
from fallow.core.notices import Channel, DeliveryState
from fallow.core.words import Micros
from fallow.store.port import DeliveryRow, ListedDelivery, TryRow
from fallow.store.rows import storable
from fallow.store.session import Row
from fallow.store.verbs.base import Verbs
from fallow.store.verbs.notices import NEWEST, NOTICE_WIDTH, notice_of

_WIDTH = 13
_TRIED = frozenset({DeliveryEvent.CONFIRM, DeliveryEvent.RETRY, DeliveryEvent.GIVE_UP})


class DeliveryVerbs(Verbs):
    def add_delivery(self, delivery: DeliveryRow) -> None:
        self.session.run(
            "add_delivery",
            {
                "delivery_id": delivery.delivery_id,
                "notice_key": delivery.notice_key,
                "account_id": delivery.account_id,
                "channel": delivery.channel.value,
                "target": delivery.target,
                "state": delivery_after(None, DeliveryEvent.MAKE).value,
                "next_at": delivery.next_at,
                "created_at": delivery.created_at,
            },
        )

    def is_delivery_due(self, channel: Channel, now: Micros) -> bool:
        return self.session.one("is_delivery_due", {"channel": channel.value, "now": now}) is not None

    def claim_deliveries(
        self, channel: Channel, letter: str, now: Micros, until: Micros, limit: int
    ) -> list[DeliveryRow]:
        self.session.one("lock_couriers", {})
        due = self.session.one("due_delivery", {"channel": channel.value, "now": now})
        if due is None:
            return []
        key, target, owner, account = due
        if owner or limit > 1:
            params = {"channel": channel.value, "target": target, "claim_owner": owner, "account_id": account}
            rows = self.session.all("deliveries_of_letter", {**params, "limit": limit})
        else:
            rows = self.session.all("delivery_alone", {"delivery_key": key})
        held = [self._hold(_delivery_of(row), owner or letter, until) for row in rows]
        return [each for each in held if each is not None]

    def _hold(self, delivery: DeliveryRow, letter: str, until: Micros) -> DeliveryRow | None:
        """None when its owner dropped it this moment."""
        after = delivery_after(delivery.state, DeliveryEvent.CLAIM)
        params = {
            "delivery_key": delivery.delivery_key,
            "state": after.value,
            "claim_owner": letter,
            "until": until,
            "before": delivery.state.value,
            "held_until": delivery.claim_until,
            "tries": delivery.tries,
        }
        if not self.session.run("hold_delivery", params):
            return None
        return replace(delivery, state=after, claim_owner=letter, claim_until=until, next_at=until)

    def move_delivery(
        self, delivery: DeliveryRow, event: DeliveryEvent, now: Micros, next_at: Micros | None = None
    ) -> bool:
        after = delivery_after(delivery.state, event)
        again = event is DeliveryEvent.SEND_AGAIN
        params = {
            "delivery_key": delivery.delivery_key,
            "state": after.value,
            "tries": 0 if again else delivery.tries + (event in _TRIED),
            "next_at": now if next_at is None else next_at,
            "claim_owner": "" if again else delivery.claim_owner,
            "over_at": now if after in DELIVERY_OVER else None,
            "before": delivery.state.value,
            "held_until": delivery.claim_until,
            "tries_before": delivery.tries,
        }
        return self.session.run("move_delivery", params) > 0

    def put_off_deliveries(self, channel: Channel, target: str, until: Micros) -> None:
        self.session.run("put_off_deliveries", {"channel": channel.value, "target": target, "until": until})

    def add_try(self, delivery_key: int, at: Micros, status: int, error: str, seconds: float) -> None:
        self.session.run(
            "add_try",
            {"delivery_key": delivery_key, "at": at, "status": status, "error": storable(error), "seconds": seconds},
        )

    def tries(self, delivery_key: int) -> list[TryRow]:
        return [TryRow(*row) for row in self.session.all("tries", {"delivery_key": delivery_key})]

    def delivery(self, delivery_id: str) -> DeliveryRow | None:
        row = self.session.one("delivery", {"delivery_id": delivery_id})
        return None if row is None else _delivery_of(row)

    def deliveries(
        self, account_id: str, *, before: int | None, limit: int, target: str = "", notice_key: int | None = None
    ) -> list[ListedDelivery]:
        params = {
            "account_id": account_id,
            "before": NEWEST if before is None else before,
            "limit": limit,
            "target": target,
            "notice_key": notice_key or 0,
        }
        return [_listed_of(row) for row in self.session.all("deliveries", params)]


def _delivery_of(row: Row) -> DeliveryRow:
    delivery_id, notice_key, account_id, channel, target, state, next_at, created_at, tries, over_at = row[:10]
    claim_owner, claim_until, delivery_key = row[10:]
    return DeliveryRow(
        delivery_id=delivery_id,
        notice_key=notice_key,
        account_id=account_id,
        channel=Channel(channel),
        target=target,
        state=DeliveryState(state),
        next_at=next_at,
        created_at=created_at,
        tries=tries,
        over_at=over_at,
        claim_owner=claim_owner,
        claim_until=claim_until,
        delivery_key=delivery_key,
    )


def _listed_of(row: Row) -> ListedDelivery:
    last = row[_WIDTH + NOTICE_WIDTH :]
    return ListedDelivery(
        _delivery_of(row[:_WIDTH]),
        notice_of(row[_WIDTH : _WIDTH + NOTICE_WIDTH]),
        None if last[0] is None else TryRow(*last),
    )
