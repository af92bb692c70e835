"""Reads results while the job runs: pages of JSON lines behind a cursor."""

import time
from collections.abc import Callable, Iterator

from fallow.core.lifecycle import JOB_OVER
from fallow.core.refusals import Code, Refusal
from fallow.core.words import JobState
from fallow.protocols.rest.jobs import JobDetail
from fallow.sdk.transport import RETRIES, Transport, pause

_PAGE = 1000
_LOOK_SECONDS = 0.5


def result_lines(
    transport: Transport, look: Callable[[], JobDetail], job_id: str, after: int, follow: bool
) -> Iterator[bytes]:
    """JSON lines {"item", "output"} behind item `after`, as far as finished chunks reach. follow: to the job's end."""
    failures = 0
    while True:
        over = follow and JobState(look().state) in JOB_OVER
        before = after
        try:
            for item, line in _page(transport, job_id, after):
                yield line
                after = item
            failures = 0
        except Refusal as refusal:
            if refusal.code is not Code.SERVER_UNREACHABLE or failures == RETRIES:
                raise
            pause(failures)
            failures += 1
            continue
        if after != before:
            continue
        if over or not follow:
            return
        time.sleep(_LOOK_SECONDS)


def _page(transport: Transport, job_id: str, after: int) -> Iterator[tuple[int, bytes]]:
    import json

    with transport.stream(f"/api/jobs/{job_id}/results", {"after": after, "limit": _PAGE}) as answer:
        held = b""
        for piece in answer.iter_bytes():
            *whole, held = (held + piece).split(b"\n")
            for line in whole:
                if line:
                    yield int(json.loads(line)["item"]), line
        if held:
            yield int(json.loads(held)["item"]), held
