"""Reads results while the job runs: pages of JSON lines behind a cursor."""

import time
from collections.abc import Iterator
from urllib.parse import quote

from fallow.sdk.transport import Transport

_PAGE = 1000
_LOOK_SECONDS = 0.5


def result_lines(transport: Transport, job_id: str, after: int, follow: bool) -> Iterator[bytes]:
    """JSON lines {"item", "output"} behind item `after`, in item order and without gaps.

    Ends where an item is not answered yet; with follow, when the job is over.
    """
    path = f"/api/jobs/{quote(job_id, safe='')}/results"
    while True:
        page = transport.send("GET", path, query={"after": after, "limit": _PAGE})
        lines = page.content.split(b"\n")
        yield from (line for line in lines if line)
        after = int(page.headers.get("x-fallow-next", after))
        if page.headers.get("x-fallow-over") == "true":
            return
        if page.content:
            continue
        if not follow:
            return
        time.sleep(_LOOK_SECONDS)
