"""How far a job is, while somebody waits: in a notebook, as a bar on a terminal, as lines now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import Any, Self

from fallow.protocols.rest.jobs import JobDetail
from fallow.sdk.rates import Rate, lasting
from fallow.sdk.showing import progress_html

_LINE_SECONDS = 5.0


class Shown:
    """Give it every look at the job; use it in a `with`."""

    def __init__(self) -> None:
        self._rate = Rate()
        self._screen: _Notebook | _Bar | _Lines
        self._screen = _Notebook() if in_notebook() else _Bar() if sys.stderr.isatty() else _Lines()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._screen.stop()

    def __call__(self, detail: JobDetail) -> None:
        progress = detail.progress
        done = progress.completed_items + progress.error_items
        self._rate.note(time.monotonic(), done)
        left = self._rate.seconds_left(progress.total_items - done)
        # While the planner is at work the total still grows, and a time left would be a lie.
        said = "" if detail.state == "planning" or left is None else f", {lasting(left)} left"
        self._screen.show(detail, done, f"{self._rate.per_second:,.1f} items/s{said}")


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel (IPython on a terminal is not)."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


class _Notebook:
    """One display, replaced with every look; needs no widgets."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, detail: JobDetail, _done: int, said: str) -> None:
        from IPython.display import HTML, display  # type: ignore[import-not-found]  # it is there: we run in it

        page = HTML(progress_html(detail, said))
        if self._handle is None:
            self._handle = display(page, display_id=True)
        else:
            self._handle.update(page)

    def stop(self) -> None:
        """The last look stays."""


class _Bar:
    """rich's progress bar."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        said = TextColumn("{task.fields[said]}", markup=False)
        columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), said)
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task("planning", total=None, said="")
        self._progress.start()

    def show(self, detail: JobDetail, done: int, said: str) -> None:
        total = detail.progress.total_items or None
        self._progress.update(self._task, description=detail.state, completed=done, total=total, said=said)

    def stop(self) -> None:
        self._progress.stop()


class _Lines:
    """For logs: a line when the state changes, and every few seconds."""

    def __init__(self) -> None:
        self._state = ""
        self._at = 0.0

    def show(self, detail: JobDetail, done: int, said: str) -> None:
        now = time.monotonic()
        if detail.state == self._state and now - self._at < _LINE_SECONDS:
            return
        self._state, self._at = detail.state, now
        sys.stderr.write(f"{detail.job_id} {detail.state}: {done:,} of {detail.progress.total_items:,} items, {said}\n")
        sys.stderr.flush()

    def stop(self) -> None:
        """Nothing is open."""
