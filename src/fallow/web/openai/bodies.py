"""JSON bodies under /v1: bounded, parsed once, refused in OpenAI's form."""

from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.submissions import check_texts
from fallow.web.deps import door_of
from fallow.web.streams import bounded_body

M = TypeVar("M", bound=BaseModel)


async def whole_body(request: Request) -> bytes:
    """Raises Refusal TOO_LARGE."""
    return await bounded_body(request.receive, door_of(request).settings.request_bytes_max)


Body = Annotated[bytes, Depends(whole_body)]


def parsed(kind: type[M], body: bytes) -> M:
    """The message. Raises Refusal BAD_REQUEST, which names the member that is wrong."""
    try:
        message = kind.model_validate_json(body or b"{}")
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(each)[:80] for each in first["loc"])
        where = f"Invalid {field!r}" if field else "We could not parse the JSON body of your request"
        raise Refusal(
            Code.BAD_REQUEST, f"{where}: {first['msg'][:200]}.", "", {"field": field} if field else {}
        ) from None
    check_texts(message.model_dump(mode="python"))
    return message
