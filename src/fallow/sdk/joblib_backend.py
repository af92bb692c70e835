"""joblib over the fleet.

from fallow.sdk.joblib_backend import on_fleet

with fallow.Executor("oci:python-image") as pool, on_fleet(pool):
    joblib.Parallel()(joblib.delayed(f)(x) for x in xs)

The image needs joblib as well: what it sends are its own batches of calls.
"""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import joblib  # type: ignore[import-untyped]
from joblib._parallel_backends import ParallelBackendBase  # type: ignore[import-untyped]

from fallow.sdk.executor import Executor

NAME = "fallow"


class FleetBackend(ParallelBackendBase):  # type: ignore[misc]
    """One Parallel's way to a pool."""

    supports_retrieve_callback = True
    default_n_jobs = -1

    def __init__(self, pool: Executor, **more: Any) -> None:
        super().__init__(**more)
        self._pool = pool

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """The fleet's slots, or fewer if fewer are wanted."""
        if n_jobs is None or n_jobs < 0:
            return self._pool.size
        return max(1, min(n_jobs, self._pool.size))

    def submit(self, func: Callable[[], Any], callback: Callable[[Future[Any]], None] | None = None) -> Future[Any]:
        """joblib's batch of calls as one call of ours."""
        future = self._pool.submit(func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """What the batch returned or raised."""
        return out.result()


@contextlib.contextmanager
def on_fleet(pool: Executor, n_jobs: int = -1) -> Iterator[None]:
    """joblib.Parallel runs on this pool inside the block."""
    joblib.register_parallel_backend(NAME, FleetBackend)
    with joblib.parallel_config(backend=NAME, n_jobs=n_jobs, pool=pool):
        yield
