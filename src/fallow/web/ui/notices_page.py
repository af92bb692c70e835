"""/notices: what one was told, what goes out by webhook and mail, and what one wants of it."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from fallow.control.sending import Verdict
from fallow.control.webhooks import new_id, secret_hint
from fallow.core.lifecycle import DELIVERY_OVER
from fallow.core.notices import CHOICES, EVENTS, NoticeKind
from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.refusals import status_of
from fallow.store.port import WebhookRow
from fallow.web.deps import Door, TheDoor
from fallow.web.letters import SAID
from fallow.web.notices import checked_id
from fallow.web.ui.rendering import render, see_other
from fallow.web.ui.visitor import Acting, Visiting, Visitor

router = APIRouter()
_ROWS: Final = 50
_WEBHOOKS: Final = 100
PAGE, HOOKS, SENT = "/notices", "/notices/webhooks", "/notices/deliveries"
_PLACES: Final = {"job": "/job?job_id=", "batch": "/job?job_id=", "worker": "/worker?worker_id="}

After = Annotated[str, Query(max_length=40, pattern="^[A-Za-z0-9_]*$")]
Id = Annotated[str, Form(max_length=40)]
Name = Annotated[str, Form(max_length=300)]
Url = Annotated[str, Form(max_length=3000)]
Kinds = Annotated[list[str], Form(max_length=50)]


@router.get(PAGE)
def notices(
    door: TheDoor,
    who: Visiting,
    request: Request,
    kind: Annotated[str, Query(max_length=40)] = "",
    unread: bool = False,
    after: After = "",
) -> Response:
    kinds = [each for each in NoticeKind if each == kind]
    rows, following = door.notices.listed(who.caller, after or None, _ROWS, kinds, unread=unread)
    more = urlencode({"kind": kind, "unread": str(unread).lower(), "after": following or ""})
    return render(
        request,
        "notices.html",
        rows=[(each, _place(each.kind, each.subject_id)) for each in rows],
        more=f"{PAGE}?{more}" if following else "",
        kinds=EVENTS,
        kind=kind,
        only_unread=unread,
        filtered=bool(kind or unread),
        unread=door.notices.unread(who.caller),
        choices=[(each, SAID[each], wanted) for each, wanted in door.notices.choices(who.caller).items()],
        address=_address(door, who),
        sends_mail=bool(door.settings.smtp_url),
    )


@router.post(f"{PAGE}/read")
def read(door: TheDoor, who: Acting, notice_id: Id = "") -> Response:
    door.notices.read(who.caller, checked_id(notice_id, "notice") if notice_id else None)
    return see_other(PAGE, "done", "The notice is read." if notice_id else "All notices are read.")


@router.post(f"{PAGE}/choices")
def choose(door: TheDoor, who: Acting, wanted: Kinds = []) -> Response:  # noqa: B006  FastAPI copies the default
    door.notices.choices(who.caller)  # whether they may
    door.notices.choose(who.caller.account_id, {kind: kind.value in wanted for kind in CHOICES})
    return see_other(PAGE, "done", "Your choice of mail is kept.")


@router.post(f"{PAGE}/confirm-email")
def confirm_email(door: TheDoor, who: Acting) -> Response:
    door.notices.choices(who.caller)
    if door.notices.request_confirmation(who.caller.account_id):
        return see_other(PAGE, "done", "A letter is on its way. Follow the link in it.")
    return see_other(PAGE, "problem", "No letter was sent: one went out minutes ago, or there is nothing to confirm.")


@router.get(HOOKS)
def webhooks(door: TheDoor, who: Visiting, request: Request) -> Response:
    return _webhooks(door, who, request)


@router.post(HOOKS)
def add(
    door: TheDoor,
    who: Acting,
    request: Request,
    webhook_id: Id = "",
    name: Name = "",
    url: Url = "",
    events: Kinds = [],  # noqa: B006  FastAPI copies the default
) -> Response:
    """Shows the secret in the answer itself, the only time that it is shown."""
    given = {"name": name, "url": url, "events": events}
    try:
        made = door.webhooks.add(who.caller, name, url, events, checked_id(webhook_id, "webhook"))
    except Refusal as refusal:
        if refusal.code is Code.ALREADY_EXISTS:
            return see_other(HOOKS, "problem", "The form was sent twice; the webhook is there once.")
        return _webhooks(door, who, request, given=given, problem=refusal, status=status_of(refusal.code))
    return _webhooks(door, who, request, shown=made, status=201)


@router.post(f"{HOOKS}/remove")
def remove(door: TheDoor, who: Acting, webhook_id: Id) -> Response:
    door.webhooks.remove(who.caller, checked_id(webhook_id, "webhook"))
    return see_other(HOOKS, "done", "The webhook is removed.")


@router.post(f"{HOOKS}/rotate")
def rotate(door: TheDoor, who: Acting, request: Request, webhook_id: Id) -> Response:
    made = door.webhooks.rotate(who.caller, checked_id(webhook_id, "webhook"), keep_old=True)
    return _webhooks(door, who, request, shown=made)


@router.post(f"{HOOKS}/enable")
def enable(door: TheDoor, who: Acting, webhook_id: Id, enabled: Annotated[bool, Form()]) -> Response:
    door.webhooks.change(who.caller, checked_id(webhook_id, "webhook"), enabled=enabled)
    return see_other(HOOKS, "done", "The webhook is enabled." if enabled else "The webhook is disabled.")


@router.post(f"{HOOKS}/test")
def test(door: TheDoor, who: Acting, webhook_id: Id) -> Response:
    row = door.webhooks.one(who.caller, checked_id(webhook_id, "webhook"))
    sent = door.webhooks.test(who.caller, row.webhook_id, row.events[0])
    if sent.verdict is Verdict.ARRIVED:
        return see_other(HOOKS, "done", f"{row.name} answered {sent.status}.")
    return see_other(HOOKS, "problem", f"{row.name} did not take it: {sent.error[:300]}")


@router.get(SENT)
def deliveries(
    door: TheDoor, who: Visiting, request: Request, after: After = "", webhook_id: After = "", notice_id: After = ""
) -> Response:
    rows, following = door.notices.deliveries(who.caller, after or None, _ROWS, webhook_id, notice_id)
    names = {each.webhook_id: each.name for each in door.webhooks.listed(who.caller, None, _WEBHOOKS)[0]}
    more = urlencode({"webhook_id": webhook_id, "notice_id": notice_id, "after": following or ""})
    return render(
        request,
        "deliveries.html",
        rows=[(each, names.get(each.delivery.target, each.delivery.target)) for each in rows],
        more=f"{SENT}?{more}" if following else "",
        filtered=bool(webhook_id or notice_id),
        over=DELIVERY_OVER,
    )


@router.get(f"{SENT}/{{delivery_id}}")
def delivery(door: TheDoor, who: Visiting, request: Request, delivery_id: str) -> Response:
    found, tries = door.notices.delivery(who.caller, checked_id(delivery_id, "delivery"))
    return render(request, "delivery.html", found=found, tries=tries, over=DELIVERY_OVER)


@router.post(f"{SENT}/again")
def send_again(door: TheDoor, who: Acting, delivery_id: Id) -> Response:
    found = door.notices.send_again(who.caller, checked_id(delivery_id, "delivery"))
    return see_other(f"{SENT}/{found.delivery_id}", "done", "It is on its way again.")


def _webhooks(
    door: Door,
    who: Visitor,
    request: Request,
    *,
    shown: WebhookRow | None = None,
    given: dict[str, Any] | None = None,
    problem: Refusal | None = None,
    status: int = 200,
) -> Response:
    rows, _ = door.webhooks.listed(who.caller, None, _WEBHOOKS)
    return render(
        request,
        "webhooks.html",
        status=status,
        rows=[(each, secret_hint(each.secret)) for each in rows],
        shown=shown,
        given=given or {"name": "", "url": "", "events": []},
        problem=problem,
        kinds=EVENTS,
        new_id=new_id(),
        plain=door.settings.allow_private_addresses,
    )


def _place(kind: NoticeKind, subject_id: str) -> str:
    """Where to read more; "" for what has no page."""
    path = _PLACES.get(kind.partition(".")[0], "")
    return path and path + subject_id


def _address(door: Door, who: Visitor) -> dict[str, Any]:
    found = door.notices.addressee(who.caller)
    return {"email": found.email or "", "confirmed": found.confirmed}
