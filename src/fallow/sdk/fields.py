"""What a caller gave, as a message; and as a piece of a path."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from fallow.core.refusals import Code, Refusal


def parsed(kind: Callable[..., Any], fields: dict[str, Any]) -> Any:
    """The message of this kind. Raises Refusal BAD_REQUEST naming what is wrong."""
    from pydantic import ValidationError

    try:
        return kind(**fields)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise Refusal(Code.BAD_REQUEST, f"{name}: {first['msg']}.", "See docs/guide.md.", {"field": name}) from None


def safe(name: str) -> str:
    """A name as one component of a path."""
    return quote(name, safe="")
