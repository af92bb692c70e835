"""A feed at hand: a job whose items are appended while it runs."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from fallow.protocols.rest.jobs import FeedView
from fallow.sdk.mapping import item_line
from fallow.sdk.results import Result

if TYPE_CHECKING:
    from fallow.sdk.client import Client
    from fallow.sdk.job import Job

PART_BYTES = 4 << 20  # more is appended in several parts


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of some items, and whether the job was over when they were read."""

    results: list[Result]
    over: bool


class Feed:
    """Appends in the order of the calls; may be shared by threads. In a `with`, it is closed at the end."""

    def __init__(self, client: "Client", job_id: str) -> None:
        self.client = client
        self.job_id = job_id
        self._lock = threading.Lock()
        self._parts = 0
        self._items = 0

    @property
    def job(self) -> "Job":
        """The job's own methods."""
        return self.client.handle(self.job_id)

    def append(self, items: Iterable[Any]) -> range:
        """Appends JSON values; their numbers among the job's items. Raises Refusal BAD_REQUEST for what is no JSON."""
        return self.append_lines(item_line(item, number) for number, item in enumerate(items))

    def append_lines(self, lines: Iterable[bytes]) -> range:
        """The same with lines of JSON that end with a newline. They are one piece of work unless they are very many."""
        with self._lock:
            first, held, size = self._items, [], 0
            for line in lines:
                held.append(line)
                size += len(line)
                if size >= PART_BYTES:
                    self._send(held)
                    held, size = [], 0
            if held:
                self._send(held)
            return range(first, self._items)

    def _send(self, lines: list[bytes]) -> None:
        self.client.append_items(self.job_id, self._parts, b"".join(lines))
        self._parts += 1
        self._items += len(lines)

    def answers(self, items: Iterable[int], wait_seconds: float = 0.0) -> Answers:
        """Answers from each of these items to the end of its piece, as far as they are there."""
        return self.client.answers(self.job_id, items, wait_seconds)

    def close(self) -> FeedView:
        """No more will come: what came is finished, and then the job is."""
        return self.client.close_feed(self.job_id)

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()
