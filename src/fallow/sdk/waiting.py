"""Waits for a job by looking at it, seldom when it is slow and often when it is quick."""

import time
from collections.abc import Callable

from fallow.core.lifecycle import JOB_OVER
from fallow.core.words import JobState
from fallow.protocols.rest.jobs import JobDetail

OnProgress = Callable[[JobDetail], None]
_LOOK_SECONDS_MIN = 0.1
_LOOK_SECONDS_MAX = 2.0


def wait_for(
    look: Callable[[], JobDetail], on_progress: OnProgress | None = None, timeout_seconds: float | None = None
) -> JobDetail:
    """The job once it is over; on_progress is called with every look, the last included. Raises TimeoutError."""
    started = time.monotonic()
    while True:
        detail = look()
        if on_progress:
            on_progress(detail)
        if JobState(detail.state) in JOB_OVER:
            return detail
        waited = time.monotonic() - started
        if timeout_seconds is not None and waited >= timeout_seconds:
            raise TimeoutError(f"job {detail.job_id} is {detail.state} after {timeout_seconds:g} s")
        time.sleep(min(max(waited / 20, _LOOK_SECONDS_MIN), _LOOK_SECONDS_MAX))


def both(first: OnProgress, second: OnProgress | None) -> OnProgress:
    """Tells two."""

    def told(detail: JobDetail) -> None:
        first(detail)
        if second:
            second(detail)

    return told
