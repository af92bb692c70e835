"""Refusals that several verbs share."""

from fallow.core.refusals import Code, Refusal


def no_such_job(job_id: str) -> Refusal:
    """Also for other people's jobs: whether a job exists is nobody else's business."""
    return Refusal(Code.NOT_FOUND, f"There is no job {job_id!r}.", "See fallow jobs.")
