"""Faults to order: a server process that dies between two commits, an object store that cannot be reached, and other
processes that get a turn in between.

Every commit and every look at the object store is a point where something else may happen. The driver sets `at_point`;
what it raises goes through the code under test as it would in life.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from fallow.core.chapter import Witness
from fallow.store.port import Store, Tx


class ServerDied(BaseException):
    """The process is gone. Not an Exception: no code may catch what a kill -9 does not let it see."""


class Point(StrEnum):
    """Where something may happen."""

    BEFORE_COMMIT = "before commit"
    AFTER_COMMIT = "after commit"
    BYTES = "bytes"


class Faults:
    """at_point: called at each point; may raise ServerDied, or a Refusal at BYTES, or let others run. watch: looks at
    the rows after each commit; "" or the rule that was broken."""

    def __init__(self) -> None:
        self.watch: Callable[[], str] = lambda: ""
        self.at_point: Callable[[Point], None] = lambda _point: None
        self.writing = False
        self.broken: list[str] = []  # rules of the house that were broken on the way

    def committed(self) -> None:
        """A transaction of some process is durable."""
        if broken := self.watch():
            self.broken.append(broken)

    def touch_bytes(self) -> None:
        """The object store is being used."""
        if self.writing:
            self.broken.append("the object store was used inside a transaction")
        self.at_point(Point.BYTES)


class Process:
    """One life of a server process: once it is dead, nothing it does reaches the database."""

    def __init__(self) -> None:
        self.dead = False


class DyingStore:
    """A Store of one process. The process may die before or after each commit. witness: of this process."""

    def __init__(self, store: Store, faults: Faults, process: Process, witness: Witness | None = None) -> None:
        self.dialect = store.dialect
        self._store = store
        self._faults = faults
        self._process = process
        self._witness = witness

    def migrate(self) -> None:
        self._store.migrate()

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        self._check_alive()
        with self._store.transaction() as tx:
            self._faults.writing = True
            try:
                yield tx
                self._point(Point.BEFORE_COMMIT)
            finally:
                self._faults.writing = False
        self._faults.committed()
        if self._witness is not None:
            self._witness.heard(tx.ledger.chapter)  # type: ignore[attr-defined]  # as the stores themselves tell it
        self._point(Point.AFTER_COMMIT)

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        self._check_alive()
        with self._store.reading() as tx:
            yield tx

    def ping(self) -> None:
        self._check_alive()
        self._store.ping()

    def close(self) -> None:
        """The database outlives its processes; the driver closes it."""

    def _point(self, point: Point) -> None:
        try:
            self._faults.at_point(point)
        except ServerDied:
            self._process.dead = True
            raise
        self._check_alive()

    def _check_alive(self) -> None:
        if self._process.dead:
            raise ServerDied
