"""Calls that last until there is something to say: they look, wait for a ring, and look again."""

from collections.abc import Callable
from typing import Annotated, Final

import anyio
import anyio.to_thread
from fastapi import Query, Request, Response

from fallow.web.deps import Door
from fallow.web.streams import SenderGone

WAIT_SECONDS_MAX: Final = 30.0
WaitSeconds = Annotated[float, Query(ge=0, le=WAIT_SECONDS_MAX, description="How long the call may last.")]
_LOOK_SECONDS: Final = 0.25  # what another process did is seen so late at most
_PACE_SECONDS: Final = 0.005  # each look later than the one before: on a busy server the bell rings all the time
_PACE_SECONDS_MAX: Final = 0.1


async def waited(door: Door, request: Request, seconds: float, look: Callable[[], tuple[Response, bool]]) -> Response:
    """The first answer that is worth giving, or the last one when the time is over. look: runs in a thread."""
    until = anyio.current_time() + seconds
    looks = 0
    while True:
        rings = door.bells.answers.rings
        answer, good = await anyio.to_thread.run_sync(look)
        left = until - anyio.current_time()
        if good or left <= 0 or door.closing.is_set():
            return answer
        await door.bells.answers.heard(rings, min(left, _LOOK_SECONDS))
        await anyio.sleep(min(_PACE_SECONDS * looks, _PACE_SECONDS_MAX))
        looks += 1
        if await request.is_disconnected():
            raise SenderGone
