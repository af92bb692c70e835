"""A job's counters, and what they say about it."""

from dataclasses import dataclass, fields

from fallow.core.job import RetryPolicy

HOPELESS_ERRORS = 20  # failed attempts without one good item, after which the image is to blame


@dataclass(frozen=True, slots=True)
class Counters:
    """Kept in the job's row, in the transaction of each move. chunks_*: chunks in that state; items_done: items with an
    answer in a done chunk, of which items_error are error lines; items_failed: items of failed chunks."""

    items_total: int = 0
    items_done: int = 0
    items_error: int = 0
    items_failed: int = 0
    chunks_planned: int = 0
    chunks_open: int = 0
    chunks_verifying: int = 0
    chunks_done: int = 0
    chunks_failed: int = 0
    chunks_cancelled: int = 0
    chunks_split: int = 0
    attempts_queued: int = 0
    attempts_leased: int = 0
    attempts_over: int = 0
    attempts_errored: int = 0
    attempts_lost: int = 0
    attempts_invalid: int = 0

    @property
    def chunks_total(self) -> int:
        """Chunks that cover the input; those that were split are not counted beside their pieces."""
        live = self.chunks_planned + self.chunks_open + self.chunks_verifying
        return live + self.chunks_done + self.chunks_failed + self.chunks_cancelled

    @property
    def chunks_waiting(self) -> int:
        """Chunks that are not over."""
        return self.chunks_planned + self.chunks_open + self.chunks_verifying

    @property
    def items_bad(self) -> int:
        """Items that ended without a good answer."""
        return self.items_error + self.items_failed


COUNTER_NAMES = tuple(each.name for each in fields(Counters))


def too_many_errors(counters: Counters, retry: RetryPolicy) -> str:
    """Why the job has failed, or "" if it has not. Holds for a job whose input has been read to its end."""
    if counters.items_total and counters.items_bad > retry.error_threshold * counters.items_total:
        percent = 100 * counters.items_bad / counters.items_total
        return (
            f"{counters.items_bad} of {counters.items_total} items failed ({percent:.0f} %), "
            f"more than the error threshold of {100 * retry.error_threshold:g} %"
        )
    return ""


def hopeless(counters: Counters, quorum: int = 1) -> bool:
    """Whether so much failed before the first good item that going on would only burn other people's machines."""
    return counters.items_done == counters.items_error and counters.attempts_errored >= HOPELESS_ERRORS * quorum
