"""The id of a volunteer's worker: "b-<host>.<generation>". A copied or restored client gets the next generation."""

import re
from typing import Final

from fallow.core.words import WorkerId

_ID: Final = re.compile(r"b-(?P<host>[0-9]{1,18})\.[0-9]{1,9}\Z")


def volunteer_id(host_id: int, generation: int = 1) -> WorkerId:
    """The worker that a host is. generation: from 1."""
    return WorkerId(f"b-{host_id}.{generation}")


def host_of(worker_id: str) -> int | None:
    """The number of its host; None for a worker that is no volunteer's."""
    match = _ID.match(worker_id)
    return int(match["host"]) if match else None
