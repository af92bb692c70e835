"""Notices, webhooks and deliveries: each account's own."""

import re
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from fallow.control.sending import Verdict
from fallow.control.webhooks import account_of, secret_hint
from fallow.core.notices import DeliveryState, NoticeKind
from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.jobs import moment
from fallow.protocols.rest.notices import (
    Choices,
    ConfirmationSent,
    DeliveryDetail,
    DeliveryList,
    DeliveryView,
    EventName,
    NewWebhook,
    NoticeList,
    NoticeView,
    RotateRequest,
    TryView,
    WebhookList,
    WebhookPatch,
    WebhookRequest,
    WebhookTest,
    WebhookTestResult,
    WebhookView,
)
from fallow.store.port import DeliveryRow, ListedDelivery, NoticeRow, TryRow, WebhookRow
from fallow.web.deps import TheDoor, Who

router = APIRouter(prefix="/api", tags=["notices"])
_ID: Final = re.compile(r"[a-z]{2,4}_[0-9a-f]{24}\Z")
After = Annotated[
    str | None, Query(max_length=40, pattern="^[A-Za-z0-9_]+$", description="The `next` of the page before.")
]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]


def checked_id(text: str, what: str) -> str:
    """An id in a path, if it can be one. Raises Refusal NOT_FOUND."""
    if not _ID.match(text):
        raise Refusal(Code.NOT_FOUND, f"There is no {what} {text[:60]!r}.", "See /docs for how to list them.")
    return text


@router.get("/notices")
def notices(
    door: TheDoor,
    who: Who,
    after: After = None,
    limit: Limit = 100,
    unread: bool = False,
    kind: Annotated[list[EventName], Query()] = [],  # noqa: B006  FastAPI copies the default
) -> NoticeList:
    """Your notices, newest first."""
    kinds = [NoticeKind(each) for each in kind]
    rows, following = door.notices.listed(who, after, limit, kinds, unread=unread)
    return NoticeList(notices=[notice_view(each) for each in rows], next=following, unread=door.notices.unread(who))


@router.post("/notices/read", status_code=204)
def read_all(door: TheDoor, who: Who) -> Response:
    """All are read."""
    door.notices.read(who, None)
    return Response(status_code=204)


@router.post("/notices/{notice_id}/read", status_code=204)
def read(door: TheDoor, who: Who, notice_id: str) -> Response:
    """One is read."""
    door.notices.read(who, checked_id(notice_id, "notice"))
    return Response(status_code=204)


@router.get("/notice-choices")
def choices(door: TheDoor, who: Who) -> Choices:
    """What you get mail about."""
    return Choices.model_validate({"mail": {kind.value: wanted for kind, wanted in door.notices.choices(who).items()}})


@router.patch("/notice-choices")
def choose(door: TheDoor, who: Who, request: Choices) -> Choices:
    """Choose what to get mail about; kinds that are left out stay as they are."""
    door.notices.choices(who)  # whether this key may
    door.notices.choose(who.account_id, {NoticeKind(name): wanted for name, wanted in request.mail.items()})
    return choices(door, who)


@router.post("/me/confirm-email")
def confirm_email(door: TheDoor, who: Who) -> ConfirmationSent:
    """Ask for a letter to your e-mail address; mail goes there once its link was followed."""
    return ConfirmationSent(sent=door.notices.request_confirmation(account_of(who)))


@router.get("/webhooks")
def webhooks(door: TheDoor, who: Who, after: After = None, limit: Limit = 100) -> WebhookList:
    """Your webhooks, newest first."""
    rows, more = door.webhooks.listed(who, after, limit)
    return WebhookList(webhooks=[webhook_view(each) for each in rows], next=rows[-1].webhook_id if more else None)


@router.post("/webhooks", status_code=201)
def add(door: TheDoor, who: Who, request: WebhookRequest) -> NewWebhook:
    """A new webhook. `secret` is shown this once; check every call with it."""
    return _with_secret(door.webhooks.add(who, request.name, request.url, request.event_types))


@router.get("/webhooks/{webhook_id}")
def webhook(door: TheDoor, who: Who, webhook_id: str) -> WebhookView:
    """One webhook."""
    return webhook_view(door.webhooks.one(who, checked_id(webhook_id, "webhook")))


@router.patch("/webhooks/{webhook_id}")
def change(door: TheDoor, who: Who, webhook_id: str, request: WebhookPatch) -> WebhookView:
    """Change what is given. A webhook that answered 410 is disabled until it is enabled here."""
    row = door.webhooks.change(
        who, checked_id(webhook_id, "webhook"), request.name, request.url, request.event_types, request.enabled
    )
    return webhook_view(row)


@router.delete("/webhooks/{webhook_id}", status_code=204)
def remove(door: TheDoor, who: Who, webhook_id: str) -> Response:
    """Nothing is sent there any more."""
    door.webhooks.remove(who, checked_id(webhook_id, "webhook"))
    return Response(status_code=204)


@router.post("/webhooks/{webhook_id}/rotate-secret")
def rotate(door: TheDoor, who: Who, webhook_id: str, request: RotateRequest) -> NewWebhook:
    """A new secret, shown this once. Unless `keep_old` is false the old one signs too for 24 hours."""
    row = door.webhooks.rotate(who, checked_id(webhook_id, "webhook"), keep_old=request.keep_old)
    return _with_secret(row)


@router.post("/webhooks/{webhook_id}/test")
def test(door: TheDoor, who: Who, webhook_id: str, request: WebhookTest) -> WebhookTestResult:
    """Call it now with a sample, and say what it answered."""
    sent = door.webhooks.test(who, checked_id(webhook_id, "webhook"), request.event_type)
    return WebhookTestResult(delivered=sent.verdict is Verdict.ARRIVED, status=sent.status, error=sent.error)


@router.get("/deliveries")
def deliveries(
    door: TheDoor,
    who: Who,
    after: After = None,
    limit: Limit = 100,
    webhook_id: After = None,
    notice_id: After = None,
) -> DeliveryList:
    """What was sent to you, by mail or webhook, newest first."""
    rows, following = door.notices.deliveries(who, after, limit, webhook_id or "", notice_id or "")
    return DeliveryList(deliveries=[delivery_view(each) for each in rows], next=following)


@router.get("/deliveries/{delivery_id}")
def delivery(door: TheDoor, who: Who, delivery_id: str) -> DeliveryDetail:
    """One delivery with all its tries."""
    found, tries = door.notices.delivery(who, checked_id(delivery_id, "delivery"))
    view = delivery_view(found)
    return DeliveryDetail(**view.model_dump(), history=[_try_view(each) for each in tries])


@router.post("/deliveries/{delivery_id}/send-again", status_code=202)
def send_again(door: TheDoor, who: Who, delivery_id: str) -> DeliveryDetail:
    """Send it again: the same event under the same id, with a new round of tries."""
    door.notices.send_again(who, checked_id(delivery_id, "delivery"))
    return delivery(door, who, delivery_id)


def notice_view(row: NoticeRow) -> NoticeView:
    return NoticeView(
        notice_id=row.notice_id,
        kind=row.kind,
        subject_id=row.subject_id,
        title=row.title,
        body=row.body,
        created_at=moment(row.created_at) or "",
        read_at=moment(row.read_at),
    )


def webhook_view(row: WebhookRow) -> WebhookView:
    return WebhookView(
        webhook_id=row.webhook_id,
        name=row.name,
        url=row.url,
        event_types=list(row.events),
        created_at=moment(row.created_at) or "",
        enabled=row.disabled_at is None,
        secret_hint=secret_hint(row.secret),
    )


def _with_secret(row: WebhookRow) -> NewWebhook:
    return NewWebhook(**webhook_view(row).model_dump(), secret=row.secret)


def delivery_view(listed: ListedDelivery) -> DeliveryView:
    row = listed.delivery
    return DeliveryView(
        delivery_id=row.delivery_id,
        notice_id=listed.notice.notice_id,
        kind=listed.notice.kind,
        channel=row.channel,
        target=row.target,
        state=row.state,
        tries=row.tries,
        created_at=moment(row.created_at) or "",
        next_at=_next_at(row),
        over_at=moment(row.over_at),
        last_try=None if listed.last is None else _try_view(listed.last),
    )


def _next_at(row: DeliveryRow) -> str | None:
    return moment(row.next_at) if row.state is DeliveryState.WAITING else None


def _try_view(row: TryRow) -> TryView:
    return TryView(
        number=row.number, at=moment(row.at) or "", status=row.status, error=row.error, seconds=round(row.seconds, 3)
    )
