"""API keys: made, listed, revoked."""

from fastapi import APIRouter, Response

from fallow.core.refusals import Code, Refusal
from fallow.core.words import Scope
from fallow.protocols.rest.jobs import KeyList, KeyRequest, NewKey, is_job_id
from fallow.protocols.rest.submissions import check_texts
from fallow.web.deps import TheDoor, Who
from fallow.web.messages import key_view, new_key

router = APIRouter(prefix="/api/keys", tags=["keys"])
_EXPIRES_SECONDS_MAX = 100 * 366 * 86400


@router.get("")
def keys(door: TheDoor, who: Who) -> KeyList:
    """All keys for operators, their own for others. Secrets are never shown again."""
    return KeyList(keys=[key_view(row) for row in door.keys.listed(who)])


@router.post("", status_code=201)
def create(door: TheDoor, who: Who, request: KeyRequest) -> NewKey:
    """A new key. `key` is shown this once."""
    if request.account_id is not None and not is_job_id(request.account_id):
        raise Refusal(
            Code.BAD_REQUEST,
            "account_id cannot name an account.",
            "Use letters, digits and . _ -.",
            {"field": "account_id"},
        )
    check_texts(request.model_dump())
    if (request.expires_seconds or 0) > _EXPIRES_SECONDS_MAX:
        raise Refusal(Code.BAD_REQUEST, "expires_seconds is more than a hundred years.", "Leave it out to let it last.")
    scopes = frozenset(Scope(each) for each in request.scopes)
    row, key = door.keys.create(who, request.name, scopes, request.account_id, request.expires_seconds)
    return new_key(row, key)


@router.delete("/{key_id}", status_code=204)
def revoke(door: TheDoor, who: Who, key_id: str) -> Response:
    """The key opens nothing any more; at other processes' doors within seconds."""
    if not is_job_id(key_id):
        raise Refusal(Code.NOT_FOUND, "There is no such key.", "See fallow keys list.")
    door.keys.revoke(who, key_id)
    door.signin.forget()
    return Response(status_code=204)
