"""The task as the server describes it: the ticket, its leases and its image, JSON to plain values.

The members are those of protocols.rest.work, which needs a library that this program must do without.
"""

import base64
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fallow.core.job import HttpService
from fallow.core.words import Contract, InputFormat, Reuse
from fallow.worker.assignment import Assignment, ImageNeed, InputExtent, InputObject, RunLimits
from fallow.worker.images import Blob, Layout

TICKET_BYTES_MAX = 16 << 20


class Unreadable(Exception):
    """The server sent something that this program does not understand. The message is one sentence."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """lease_url, image_url: good as long as the task. attempt_ids: as far as the ticket names them."""

    result: str
    worker_id: str
    lease_url: str
    image_url: str
    inline_bytes_max: int
    answer_bytes_max: int
    attempt_ids: tuple[int, ...] = ()


def read_ticket(path: Path) -> Ticket:
    """Raises Unreadable, OSError."""
    with path.open("rb") as file:
        body = _object(file.read(TICKET_BYTES_MAX))
    if body.get("ticket_version") != 1:
        raise Unreadable("The ticket has a version that this program does not know.")
    try:
        return Ticket(
            result=str(body["result"]),
            worker_id=str(body["worker_id"]),
            lease_url=str(body["lease_url"]),
            image_url=str(body["image_url"]),
            inline_bytes_max=int(body["inline_bytes_max"]),
            answer_bytes_max=int(body["answer_bytes_max"]),
            attempt_ids=tuple(int(each["attempt_id"]) for each in body.get("ai_batch", ()) if "attempt_id" in each),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Unreadable("The ticket lacks what it must have.") from None


def parse_leases(data: bytes) -> tuple[Assignment, ...]:
    """The attempts that are still wanted. Raises Unreadable."""
    try:
        return tuple(_assignment(each) for each in _object(data)["leases"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Unreadable("The server's leases are not what this program knows.") from None


def parse_layout(data: bytes) -> Layout:
    """Where an image's parts are. Raises Unreadable."""
    body = _object(data)
    try:
        blobs = tuple(Blob(str(b["digest"]), int(b["size_bytes"]), str(b["url"])) for b in body["blobs"])
        manifest = base64.b64decode(body["manifest"], validate=True)
        return Layout(str(body["digest"]), manifest, str(body["media_type"]), blobs)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Unreadable("The server's image is not what this program knows.") from None


def _object(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise Unreadable("The server sent something that is not JSON.") from None
    if not isinstance(body, dict):
        raise Unreadable("The server sent JSON that is not an object.")
    return body


def _assignment(lease: dict[str, Any]) -> Assignment:
    """Raises KeyError, TypeError, ValueError: also for a contract, format or word of a newer server."""
    limits = lease.get("limits", {})
    known = {each.name for each in fields(RunLimits)}
    plain = ("ran", "harness", "outbound", "artifact_uri", "input_url", "output_url", "traceparent", "accelerators")
    return Assignment(
        attempt_id=int(lease["attempt_id"]),
        job_id=str(lease["job_id"]),
        chunk_id=int(lease["chunk_id"]),
        item_start=int(lease["item_start"]),
        item_count=int(lease["item_count"]),
        contract=Contract(lease["contract"]),
        input=_extent(lease["input"]),
        limits=RunLimits(**{name: value for name, value in limits.items() if name in known}),
        image=_image(lease.get("image")),
        command=tuple(lease.get("command", ())),
        env={str(name): str(value) for name, value in lease.get("env", {}).items()},
        reuse=Reuse(lease.get("reuse", "job")),
        upload_url=lease["upload_url"],
        log_url=lease["log_url"],
        deadline_seconds=float(lease["deadline_seconds"]),
        http=_http(lease.get("http")),
        **{name: lease[name] for name in plain if name in lease},
    )


def _extent(said: dict[str, Any]) -> InputExtent:
    objects = said.get("objects", ())
    return InputExtent(
        format=InputFormat(said["format"]),
        url=said.get("url", ""),
        offset=int(said.get("offset", 0)),
        length=int(said.get("length", 0)),
        sha256=said.get("sha256", ""),
        skip=int(said.get("skip", 0)),
        columns=tuple(said.get("columns", ())),
        objects=tuple(InputObject(o["name"], o["url"], int(o["size_bytes"]), o.get("sha256", "")) for o in objects),
    )


def _image(said: dict[str, Any] | None) -> ImageNeed | None:
    return ImageNeed(said["reference"], said["digest"], said["image_id"], said["source"]) if said else None


def _http(said: dict[str, Any] | None) -> HttpService:
    if not said:
        return HttpService()
    plain = HttpService()
    return HttpService(
        said.get("port", plain.port),
        said.get("path", plain.path),
        said.get("health_path", plain.health_path),
        max(1, said.get("concurrency_max", plain.concurrency_max)),
    )
