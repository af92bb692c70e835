"""Webhooks as the openai package knows them, to be mounted under /v1. They are the same ones as under /api/webhooks."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fallow.control.sending import Verdict
from fallow.control.webhooks import secret_hint
from fallow.core.notices import EVENTS, NoticeKind
from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.notices import Name, Url
from fallow.store.port import WebhookRow
from fallow.web.deps import TheDoor
from fallow.web.notices import checked_id
from fallow.web.openai.callers import Holder

router = APIRouter()
_EventTypes = Annotated[list[str], Field(min_length=1, max_length=100)]
_LIMIT_MAX = 100


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")  # what a newer client adds


class WebhookCreate(_Message):
    name: Name
    url: Url
    event_types: _EventTypes


class WebhookUpdate(_Message):
    name: Name | None = None
    url: Url | None = None
    event_types: _EventTypes | None = None


class WebhookTestRequest(_Message):
    event_type: str


class _Rotate(_Message):
    keep_old_secret_active_for_24_hours: bool = False


@router.post("/webhook_endpoints")
def create(door: TheDoor, who: Holder, request: WebhookCreate) -> dict[str, Any]:
    """A new webhook. `signing_secret` is shown this once."""
    row = door.webhooks.add(who, request.name, request.url, _known(request.event_types))
    return {**_endpoint(row), "signing_secret": row.secret}


@router.get("/webhook_endpoints")
def listed(
    door: TheDoor,
    who: Holder,
    after: Annotated[str | None, Query(max_length=80)] = None,
    limit: Annotated[int, Query(ge=1, le=_LIMIT_MAX)] = 20,
) -> dict[str, Any]:
    """Newest first."""
    rows, more = door.webhooks.listed(who, checked_id(after, "webhook endpoint") if after else None, limit)
    data = [_endpoint(each) for each in rows]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": more,
    }


@router.get("/webhook_endpoints/{webhook_endpoint_id}")
def retrieve(door: TheDoor, who: Holder, webhook_endpoint_id: str) -> dict[str, Any]:
    """One webhook."""
    return _endpoint(door.webhooks.one(who, checked_id(webhook_endpoint_id, "webhook endpoint")))


@router.post("/webhook_endpoints/{webhook_endpoint_id}")
def update(door: TheDoor, who: Holder, webhook_endpoint_id: str, request: WebhookUpdate) -> dict[str, Any]:
    """Change what is given."""
    events = None if request.event_types is None else _known(request.event_types)
    endpoint_id = checked_id(webhook_endpoint_id, "webhook endpoint")
    return _endpoint(door.webhooks.change(who, endpoint_id, request.name, request.url, events))


@router.delete("/webhook_endpoints/{webhook_endpoint_id}")
def delete(door: TheDoor, who: Holder, webhook_endpoint_id: str) -> dict[str, Any]:
    """Nothing is sent there any more."""
    door.webhooks.remove(who, checked_id(webhook_endpoint_id, "webhook endpoint"))
    return {"id": webhook_endpoint_id, "object": "webhook_endpoint.deleted", "deleted": True}


async def _keeping(request: Request) -> bool:
    """Whether the old secret stays good for a day. The client sends a JSON content type with or without a body."""
    body = await request.body()
    try:
        asked = _Rotate.model_validate_json(body) if body.strip() else _Rotate()
    except ValidationError:
        raise Refusal(Code.BAD_REQUEST, "The body is not what this call takes.", "Leave it out.") from None
    return asked.keep_old_secret_active_for_24_hours


@router.post("/webhook_endpoints/{webhook_endpoint_id}/rotate_secret")
def rotate_secret(
    door: TheDoor, who: Holder, webhook_endpoint_id: str, keep: Annotated[bool, Depends(_keeping)]
) -> dict[str, Any]:
    """A new secret, shown this once."""
    row = door.webhooks.rotate(who, checked_id(webhook_endpoint_id, "webhook endpoint"), keep_old=keep)
    return {**_endpoint(row), "signing_secret": row.secret}


@router.post("/webhook_endpoints/{webhook_endpoint_id}/test")
def test(door: TheDoor, who: Holder, webhook_endpoint_id: str, request: WebhookTestRequest) -> dict[str, Any]:
    """Call it now with a sample; `status_code` is what it answered."""
    endpoint_id = checked_id(webhook_endpoint_id, "webhook endpoint")
    sent = door.webhooks.test(who, endpoint_id, request.event_type)
    if sent.verdict is not Verdict.ARRIVED and not sent.status:
        raise Refusal(Code.FETCH_FAILED, "The endpoint did not answer.", sent.error)
    return {
        "object": "webhook_endpoint.test",
        "webhook_endpoint_id": endpoint_id,
        "event_type": request.event_type,
        "status_code": sent.status,
        "success": True,  # the call was made; what came of it is status_code
    }


@router.get("/webhook_event_types")
def event_types(who: Holder) -> dict[str, Any]:
    """What a webhook can be called for."""
    return {"object": "list", "data": [each.value for each in EVENTS]}


def _endpoint(row: WebhookRow) -> dict[str, Any]:
    return {
        "id": row.webhook_id,
        "object": "webhook_endpoint",
        "created_at": row.created_at // 1_000_000,
        "updated_at": None,
        "name": row.name,
        "url": row.url,
        "event_types": [each.value for each in row.events],
        "signing_secret_hint": secret_hint(row.secret),
    }


def _known(event_types: list[str]) -> list[str]:
    """Those that happen here. A list without any of them is refused by whoever takes it; one with some is OpenAI's."""
    known = {kind.value for kind in NoticeKind}
    return [each for each in event_types if each in known] or event_types
