"""Numbers of rows, for metrics."""

from typing import Protocol


class StandingTx(Protocol):
    """The verbs of counting."""

    def delivery_counts(self) -> dict[tuple[str, ...], float]:
        """(channel, state) -> how many."""
        ...

    def notice_counts(self) -> dict[tuple[str, ...], float]:
        """(kind, "read" or "unread") -> how many."""
        ...
