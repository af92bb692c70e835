"""Puts together what tells people: the notifier, the couriers and their senders, and what the door shows of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fallow.artifacts.guard import Fetcher
from fallow.clock import Clock
from fallow.control.deliveries import Courier
from fallow.control.links import Links
from fallow.control.notices import Notices
from fallow.control.notifier import Notifier
from fallow.control.webhooks import Webhooks
from fallow.settings import Settings
from fallow.store.port import Store
from fallow.wiring.roles import Role
from fallow.wiring.senders import mail_sender, webhook_sender

_LOOK_SECONDS: Final = 5.0
_MAIL, _CALLER = "mail", "courier"


@dataclass(frozen=True, slots=True)
class Noticing:
    """roles: by the name of the role in the settings."""

    links: Links
    webhooks: Webhooks
    roles: list[tuple[str, Role]]
    notices: Callable[[Callable[[str], None]], Notices]


def noticing(settings: Settings, store: Store, clock: Clock, host: str, key: bytes) -> Noticing:
    """host: of this process, whose disk is watched. key: behind the links in letters.

    Raises Refusal SETTING_INVALID for a mail relay that cannot be one.
    """
    fetcher = Fetcher(allow_private=settings.allow_private_addresses)
    call = webhook_sender(fetcher, clock, settings.send_seconds)
    links = Links(clock, settings.base_url, key)
    courier = Courier(store, clock, settings, links, mail_sender(settings), call)
    notifier = Notifier(store, clock, settings, host)
    rest = max(settings.role_seconds, 0.5)
    couriers = [Role(f"{_CALLER}-{n}", courier.call_webhook, rest) for n in range(settings.courier_threads)]
    roles = [
        ("notifier", Role("notifier", notifier.step, rest, then=couriers[0].name)),
        ("notifier", Role("lookout", notifier.look, _LOOK_SECONDS)),
        *(("courier", each) for each in couriers),
    ]
    if settings.smtp_url:
        roles.append(("courier", Role(_MAIL, courier.send_mail, rest)))

    def notices(ring: Callable[[str], None]) -> Notices:
        def wake() -> None:
            for name in (couriers[0].name, _MAIL):
                ring(name)

        return Notices(store, clock, settings, wake)

    webhooks = Webhooks(store, clock, call, allow_plain=settings.allow_private_addresses)
    return Noticing(links, webhooks, roles, notices)
