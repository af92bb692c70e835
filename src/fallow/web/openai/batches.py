"""POST and GET /v1/batches."""

import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query

from fallow.control.batches import LIST_MAX, BatchRequest
from fallow.core.refusals import Code, Refusal
from fallow.protocols.openai.messages import BatchObject, CreateBatch, Page
from fallow.protocols.openai.windows import window_seconds
from fallow.web.deps import TheDoor
from fallow.web.openai.bodies import Body, parsed
from fallow.web.openai.callers import Holder
from fallow.web.openai.objects import EXTRA_BYTES_MAX, batch_object, page_of

router = APIRouter()


@router.post("/batches")
def create(
    door: TheDoor,
    who: Holder,
    body: Body,
    x_stainless_retry_count: Annotated[str, Header(max_length=20)] = "0",
) -> BatchObject:
    """A new batch. What is wrong with its file's lines is found while it is validated."""
    asked = parsed(CreateBatch, body)
    request = BatchRequest(
        input_file_id=asked.input_file_id,
        endpoint=asked.endpoint,
        window=asked.completion_window,
        window_seconds=window_seconds(asked.completion_window),
        metadata=asked.metadata,
        output_expires_seconds=asked.output_expires_after.seconds if asked.output_expires_after else None,
        options=asked.x_fallow or {},
        extra=_extra(asked),
        sha256=hashlib.sha256(body).hexdigest(),
        repeated=x_stainless_retry_count not in ("", "0"),
    )
    made = door.batches.create(who, request)
    door.counters.submitted()
    door.ring("planner")
    return batch_object(made)


@router.get("/batches")
def listed(
    door: TheDoor,
    who: Holder,
    after: Annotated[str | None, Query(max_length=128)] = None,
    limit: Annotated[int, Query(ge=1, le=LIST_MAX)] = 20,
) -> Page:
    """The caller's batches, newest first."""
    found, more = door.batches.listed(who, after, limit)
    return page_of([batch_object(each) for each in found], more)


@router.get("/batches/{batch_id}")
def retrieve(door: TheDoor, who: Holder, batch_id: str) -> BatchObject:
    return batch_object(door.batches.batch(who, batch_id))


@router.post("/batches/{batch_id}/cancel")
def cancel(door: TheDoor, who: Holder, batch_id: str) -> BatchObject:
    """Nothing more is done. Clients send this as JSON without a body, so the body is not looked at."""
    found = door.batches.cancel(who, batch_id)
    door.ring("publisher")
    return batch_object(found)


def _extra(asked: CreateBatch) -> dict[str, Any]:
    """Members that begin with x_ are kept and come back; others would be a slip of the pen. Raises Refusal."""
    said = dict(asked.model_extra or {})
    strange = next((name for name in said if not name.startswith("x_") or name.startswith("x_fallow")), None)
    if strange is not None:
        raise Refusal(
            Code.BAD_REQUEST,
            f"Unknown parameter: {strange[:80]!r}.",
            "Private members begin with x_.",
            {"field": strange[:80]},
        )
    if asked.x_fallow:
        said["x_fallow"] = asked.x_fallow
    if len(json.dumps(said)) > EXTRA_BYTES_MAX:
        raise Refusal(Code.TOO_LARGE, f"The private members have more than {EXTRA_BYTES_MAX} bytes.", "Say less.")
    return said
