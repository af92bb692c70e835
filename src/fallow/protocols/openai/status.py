"""A batch's status in OpenAI's words, derived from its job. There is no other word: strict clients know these only."""

from typing import Literal

from fallow.core.words import JobState

Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]


def status_of(state: JobState, *, validated: bool, published: bool) -> Status:
    """validated: the input was found good. published: the output and error files are there."""
    if state is JobState.FAILED and not validated:
        return "failed"  # there are no files to wait for
    if state is JobState.CANCELLED:
        return "cancelled" if published else "cancelling"
    if state in _ENDED:
        return _ENDED[state] if published else "finalizing"
    if state is JobState.MERGING:
        return "finalizing"
    return "in_progress" if validated else "validating"


_ENDED: dict[JobState, Status] = {
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.EXPIRED: "expired",
}
