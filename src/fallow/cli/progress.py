"""How far a job is, with items/s and the time left: a bar on a terminal, now and then a line elsewhere. On stderr."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

from fallow.cli.showing import many
from fallow.sdk.rates import Rate, lasting

if TYPE_CHECKING:
    from fallow.sdk.messages import JobDetail

_LINE_SECONDS = 5.0


class ProgressShown:
    """Give it every look at the job; use it in a `with`."""

    def __init__(self) -> None:
        self._rate = Rate()
        self._last_line = time.monotonic()
        self._bar = _Bar() if sys.stderr.isatty() else None
        self._done: list[int] = []  # at the first look and at the last

    @property
    def done_here(self) -> int:
        """Items that were done between the first look and the last; a job that was taken up again had others before."""
        return self._done[-1] - self._done[0] if self._done else 0

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, detail: "JobDetail") -> None:
        now, progress = time.monotonic(), detail.progress
        done = progress.completed_items + progress.error_items
        self._rate.note(now, done)
        self._done = [*self._done[:1], done]
        left = self._rate.seconds_left(progress.total_items - done)
        # While the planner is at work the total still grows, and a time left would be a lie.
        said = "" if detail.state == "planning" or left is None else f", {lasting(left)} left"
        text = f"{self._rate.per_second:,.1f} items/s{said}"
        if progress.error_items:
            text += f", {many(progress.error_items, 'error')}"
        if self._bar:
            self._bar.show(detail.state, done, progress.total_items, text)
        elif now - self._last_line >= _LINE_SECONDS:
            self._last_line = now
            typer.echo(f"{detail.state}: {done:,} of {many(progress.total_items, 'item')}, {text}", err=True)
            for reason in detail.why_waiting:
                typer.echo(f"  waits: {reason}", err=True)


class _Bar:
    """rich's progress bar."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description:>9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}"),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), transient=False)
        self._task = self._progress.add_task("planning", total=None, said="")

    def start(self) -> None:
        self._progress.start()

    def stop(self) -> None:
        self._progress.stop()

    def show(self, state: str, done: int, total: int, said: str) -> None:
        self._progress.update(self._task, description=state, completed=done, total=total or None, said=said)
