"""Scenarios of one file run at the same time, because a BOINC client mostly waits; each is judged by its own test."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tests.e2e_boinc.project import Project

Scenario = Callable[[Project], None]


class Together:
    """Starts each scenario; result(name) waits for its end and raises what it raised."""

    def __init__(self, project: Project, scenarios: Sequence[Scenario], at_once: int) -> None:
        self._pool = ThreadPoolExecutor(at_once)
        self._started: dict[str, Future[None]] = {each.__name__: self._pool.submit(each, project) for each in scenarios}

    def result(self, name: str) -> None:
        self._started[name].result()

    def close(self) -> None:
        """Those that wait are not begun any more."""
        self._pool.shutdown(cancel_futures=True)
