"""How fast a job goes, and how long it will take, in words."""

from collections import deque

_WINDOW = 60  # looks that the rate is averaged over


class Rate:
    """Items a second over the last looks."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=_WINDOW)

    def note(self, at: float, items: int) -> None:
        """So many items were done at this moment, in seconds."""
        self._seen.append((at, items))

    @property
    def per_second(self) -> float:
        """0.0 when not known."""
        if len(self._seen) < 2:
            return 0.0
        (first, had), (last, have) = self._seen[0], self._seen[-1]
        return max(have - had, 0) / (last - first) if last > first else 0.0

    def seconds_left(self, items: int) -> float | None:
        """None when not known."""
        return items / self.per_second if self.per_second > 0 else None


def lasting(seconds: float) -> str:
    """45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
