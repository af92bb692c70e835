"""One agent per data directory: two would clean each other's slots."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from fallow.core.refusals import Code, Refusal


@contextlib.contextmanager
def alone(data_dir: Path) -> Iterator[None]:
    """Holds the directory for the time of the context. Raises Refusal STATE_CONFLICT."""
    with (data_dir / "worker.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refusal(
                Code.STATE_CONFLICT,
                f"Another worker runs on the data directory {data_dir}.",
                "Give this one its own with --data-dir.",
            ) from None
        yield
