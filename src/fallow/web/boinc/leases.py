"""What a runner asks when it starts: its task's leases, with URLs that are good now, and the parts of its image."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fallow.control.boinc.tasks import Task
from fallow.control.callers import Caller
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Scope
from fallow.protocols.rest import work as wire
from fallow.protocols.rest.refusals import refusal_body
from fallow.web.boinc.threads import in_small_thread
from fallow.web.deps import Door, door_of
from fallow.web.work import leases_of

_ENCODE = msgspec.json.Encoder().encode


class Leases(msgspec.Struct, frozen=True):
    """Attempts of the task that are still wanted; none: the runner may stop."""

    leases: tuple[wire.Lease, ...]


async def lease(request: Request) -> Response:
    return await in_small_thread(_to_do(request, _leases))


async def image(request: Request) -> Response:
    return await anyio.to_thread.run_sync(_to_do(request, _image))  # looks into the object store


def _to_do(request: Request, answer: Callable[[Door, Task], Response]) -> Callable[[], Response]:
    return partial(_opened, door_of(request), request.path_params["name"], answer)


def _task(door: Door, name: str) -> Task:
    result_id = door.boinc.tickets.result_of(name)
    if result_id is None:
        raise Refusal(Code.URL_INVALID, "This ticket is not ours.", "Use it exactly as it was given.")
    return door.boinc.tasks.one(result_id)


def _opened(door: Door, name: str, answer: Callable[[Door, Task], Response]) -> Response:
    """A ticket opens nothing any more when its task is over; no image, either, when nothing of it is wanted."""
    task = _task(door, name)
    if task.result.is_over or (answer is _image and not task.wanted):
        over = Refusal(Code.ATTEMPT_OVER, "The task is over.", "Stop it.")
        return Response(refusal_body(over), HTTPStatus.GONE, media_type="application/json")
    return answer(door, task)


def _leases(door: Door, task: Task) -> Response:
    return Response(_ENCODE(Leases(leases_of(door, task.wanted))), media_type="application/json")


def _image(door: Door, task: Task) -> Response:
    spec = task.job.spec
    if spec.image is None:
        raise Refusal(Code.NOT_FOUND, "The job has no image.")
    caller = Caller("", task.job.account_id, frozenset({Scope.WORK}))
    parts = door.shelf.parts(caller, spec.image.digest)
    blobs = tuple(wire.BlobRef(each.digest, each.size_bytes, each.url) for each in parts.blobs)
    said = wire.ImageBlobs(parts.digest, parts.manifest, parts.media_type, blobs)
    return Response(_ENCODE(said), media_type="application/json")


routes = [
    Route("/lease/{name}", lease, methods=["GET"]),
    Route("/image/{name}", image, methods=["GET"]),
]
