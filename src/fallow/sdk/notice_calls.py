"""The part of Client that is about notices: what one was told, the webhooks it goes to, how it was sent."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.notices import (
    Choices,
    ConfirmationSent,
    DeliveryDetail,
    DeliveryList,
    DeliveryView,
    NewWebhook,
    NoticeList,
    NoticeView,
    RotateRequest,
    WebhookList,
    WebhookPatch,
    WebhookRequest,
    WebhookTest,
    WebhookTestResult,
    WebhookView,
)
from fallow.sdk.operations import calls
from fallow.sdk.transport import Transport, decoded

M = TypeVar("M", bound=BaseModel)


class NoticeCalls:
    """One's own notices, webhooks and deliveries."""

    _transport: Transport

    @calls("GET /api/notices", named={"kind": "kinds"}, own="after limit")
    def notices(self, kinds: Iterable[str] = (), unread: bool = False) -> Iterator[NoticeView]:
        """What one was told, newest first. kinds: such as "job.failed"; none: all."""
        after: str | None = None
        wanted = list(kinds)
        while True:
            query = {"kind": wanted, "unread": str(unread).lower(), "after": after}
            page = decoded(NoticeList, self._transport.send("GET", "/api/notices", query=query).content)
            yield from page.notices
            after = page.next
            if after is None:
                return

    @calls("POST /api/notices/{notice_id}/read")
    def read_notice(self, notice_id: str) -> None:
        """One is read."""
        self._transport.send("POST", f"/api/notices/{_safe(notice_id)}/read")

    @calls("POST /api/notices/read")
    def read_notices(self) -> None:
        """All are read."""
        self._transport.send("POST", "/api/notices/read")

    @calls("GET /api/notice-choices")
    def notice_choices(self) -> dict[str, bool]:
        """For each kind, whether one gets mail about it."""
        return _plain(self._transport.ask(Choices, "GET", "/api/notice-choices"))

    @calls("PATCH /api/notice-choices")
    def choose_notices(self, mail: dict[str, bool]) -> dict[str, bool]:
        """Chooses what to get mail about; kinds that are left out stay as they are."""
        request = _parsed(Choices, {"mail": mail})
        return _plain(self._transport.ask(Choices, "PATCH", "/api/notice-choices", request))

    @calls("POST /api/me/confirm-email")
    def confirm_email(self) -> bool:
        """Asks for the letter whose link confirms one's address. Whether it is on its way."""
        return self._transport.ask(ConfirmationSent, "POST", "/api/me/confirm-email").sent

    @calls("GET /api/webhooks", own="after limit")
    def webhooks(self) -> Iterator[WebhookView]:
        """One's own, newest first."""
        after: str | None = None
        while True:
            page = self._transport.ask(WebhookList, "GET", "/api/webhooks", after=after)
            yield from page.webhooks
            after = page.next
            if after is None:
                return

    @calls("GET /api/webhooks/{webhook_id}")
    def webhook(self, webhook_id: str) -> WebhookView:
        """One webhook."""
        return self._transport.ask(WebhookView, "GET", _webhook(webhook_id))

    @calls("POST /api/webhooks")
    def add_webhook(self, name: str, url: str, event_types: Iterable[str] = ()) -> NewWebhook:
        """A new one; its `secret` is shown this once. event_types: none means all."""
        request = _parsed(WebhookRequest, {"name": name, "url": url, "event_types": list(event_types)})
        return self._transport.ask(NewWebhook, "POST", "/api/webhooks", request)

    @calls("PATCH /api/webhooks/{webhook_id}")
    def change_webhook(self, webhook_id: str, **fields: Any) -> WebhookView:
        """Changes what is given: name, url, event_types, enabled."""
        return self._transport.ask(WebhookView, "PATCH", _webhook(webhook_id), _parsed(WebhookPatch, fields))

    @calls("DELETE /api/webhooks/{webhook_id}")
    def remove_webhook(self, webhook_id: str) -> None:
        """Nothing is sent there any more."""
        self._transport.send("DELETE", _webhook(webhook_id))

    @calls("POST /api/webhooks/{webhook_id}/rotate-secret")
    def rotate_webhook(self, webhook_id: str, keep_old: bool = True) -> NewWebhook:
        """A new secret, shown this once. keep_old: the old one signs too for 24 hours."""
        request = _parsed(RotateRequest, {"keep_old": keep_old})
        return self._transport.ask(NewWebhook, "POST", f"{_webhook(webhook_id)}/rotate-secret", request)

    @calls("POST /api/webhooks/{webhook_id}/test")
    def test_webhook(self, webhook_id: str, event_type: str = "job.completed") -> WebhookTestResult:
        """Calls it now with a sample, and says what it answered."""
        request = _parsed(WebhookTest, {"event_type": event_type})
        return self._transport.ask(WebhookTestResult, "POST", f"{_webhook(webhook_id)}/test", request)

    @calls("GET /api/deliveries", own="after limit")
    def deliveries(self, webhook_id: str | None = None, notice_id: str | None = None) -> Iterator[DeliveryView]:
        """What was sent to one, by mail or webhook, newest first."""
        after: str | None = None
        while True:
            page = self._transport.ask(
                DeliveryList, "GET", "/api/deliveries", webhook_id=webhook_id, notice_id=notice_id, after=after
            )
            yield from page.deliveries
            after = page.next
            if after is None:
                return

    @calls("GET /api/deliveries/{delivery_id}")
    def delivery(self, delivery_id: str) -> DeliveryDetail:
        """One with all its tries."""
        return self._transport.ask(DeliveryDetail, "GET", f"/api/deliveries/{_safe(delivery_id)}")

    @calls("POST /api/deliveries/{delivery_id}/send-again")
    def send_again(self, delivery_id: str) -> DeliveryDetail:
        """Sends it again, under the same id, with a new round of tries."""
        return self._transport.ask(DeliveryDetail, "POST", f"/api/deliveries/{_safe(delivery_id)}/send-again")


def _plain(choices: Choices) -> dict[str, bool]:
    return {str(name): wanted for name, wanted in choices.mail.items()}


def _webhook(webhook_id: str) -> str:
    return f"/api/webhooks/{_safe(webhook_id)}"


def _safe(name: str) -> str:
    return quote(name, safe="")


def _parsed(kind: type[M], fields: dict[str, Any]) -> M:
    """Raises Refusal BAD_REQUEST naming the first field that is wrong."""
    try:
        return kind.model_validate(fields)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise Refusal(Code.BAD_REQUEST, f"{name}: {first['msg']}.", "See docs/notices.md.", {"field": name}) from None
