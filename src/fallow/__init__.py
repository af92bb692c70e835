"""fallow puts idle machines to work on batch AI inference."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fallow.core.refusals import Refusal
    from fallow.sdk.async_client import AsyncClient
    from fallow.sdk.async_jobs import AsyncFeed, AsyncJob
    from fallow.sdk.client import Client
    from fallow.sdk.executor import Executor
    from fallow.sdk.failures import ItemError, JobEnded
    from fallow.sdk.feeds import Feed
    from fallow.sdk.job import Job

__all__ = [
    "AsyncClient",
    "AsyncFeed",
    "AsyncJob",
    "Client",
    "Executor",
    "Feed",
    "ItemError",
    "Job",
    "JobEnded",
    "Refusal",
]

_PLACES = {
    "AsyncClient": "fallow.sdk.async_client",
    "AsyncFeed": "fallow.sdk.async_jobs",
    "AsyncJob": "fallow.sdk.async_jobs",
    "Client": "fallow.sdk.client",
    "Executor": "fallow.sdk.executor",
    "Feed": "fallow.sdk.feeds",
    "ItemError": "fallow.sdk.failures",
    "Job": "fallow.sdk.job",
    "JobEnded": "fallow.sdk.failures",
    "Refusal": "fallow.core.refusals",
}


def __getattr__(name: str) -> Any:
    """The SDK is loaded when it is asked for: a worker imports this package and stays light."""
    if name not in _PLACES:
        raise AttributeError(f"module 'fallow' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
