"""Which operations of the API a client's method calls: said at the method, held against /openapi.json by a test."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "_operations"


@dataclass(frozen=True, slots=True)
class Operation:
    """path: its template, as in the description. named: a parameter of the operation -> the method's word for it.
    own: parameters of the operation that the method sees to by itself, such as the size of a page."""

    verb: str
    path: str
    named: Mapping[str, str] = field(default_factory=dict)
    own: frozenset[str] = frozenset()


def calls(*operations: str, named: Mapping[str, str] | None = None, own: str = "") -> Callable[[F], F]:
    """Says that the method calls these: "GET /api/jobs/{job_id}"."""
    pairs = [each.split(" ") for each in operations]
    said = tuple(Operation(verb, path, named or {}, frozenset(own.split())) for verb, path in pairs)

    def marked(method: F) -> F:
        setattr(method, _MARK, said)
        return method

    return marked


def operations_of(client: type) -> dict[str, tuple[Operation, ...]]:
    """By the method's name."""
    methods = {name: method for kind in reversed(client.__mro__) for name, method in vars(kind).items()}
    return {name: getattr(method, _MARK) for name, method in methods.items() if hasattr(method, _MARK)}
