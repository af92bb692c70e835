"""The types that the client gives and takes, by the names they have on the wire."""

from fallow.protocols.rest.estimates import BandView, EstimateView
from fallow.protocols.rest.jobs import (
    AttemptView,
    ChunkView,
    JobDetail,
    JobRequest,
    JobSummary,
    KeyView,
    NewKey,
    Progress,
    StoryLine,
    Uploaded,
    WorkerView,
)

__all__ = [
    "AttemptView",
    "BandView",
    "ChunkView",
    "EstimateView",
    "JobDetail",
    "JobRequest",
    "JobSummary",
    "KeyView",
    "NewKey",
    "Progress",
    "StoryLine",
    "Uploaded",
    "WorkerView",
]
