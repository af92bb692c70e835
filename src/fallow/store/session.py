"""One open transaction of a database, as the verbs see it: named statements in, tuples out."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Row = tuple[Any, ...]
Params = Mapping[str, object]


class Session(Protocol):
    """Lists among the parameters are sets: each dialect passes them in its own way. `writing`: rows may be locked and
    changed. Database errors come out as Refusals where a person can do something about them."""

    writing: bool

    def all(self, name: str, params: Params) -> list[Row]:
        """Runs the statement `name`; all rows of its answer."""
        ...

    def one(self, name: str, params: Params) -> Row | None:
        """The first row of the answer."""
        ...

    def run(self, name: str, params: Params) -> int:
        """How many rows the statement changed."""
        ...

    def many(self, name: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        """The statement for each of the rows, whose values are the parameters `columns`, as one set."""
        ...
