"""fallow puts idle machines to work on batch AI inference."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fallow.core.refusals import Refusal
    from fallow.sdk.client import Client
    from fallow.sdk.job import Job

__all__ = ["Client", "Job", "Refusal"]


def __getattr__(name: str) -> Any:
    """The SDK is loaded when it is asked for: a worker imports this package and stays light."""
    if name == "Client":
        from fallow.sdk.client import Client

        return Client
    if name == "Job":
        from fallow.sdk.job import Job

        return Job
    if name == "Refusal":
        from fallow.core.refusals import Refusal

        return Refusal
    raise AttributeError(f"module 'fallow' has no attribute {name!r}")
