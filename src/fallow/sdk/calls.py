"""Calls of Python functions as items of a feed, and pieces of them as lines; see runner.py for the other end."""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from fallow.core.refusals import Code, Refusal
from fallow.sdk.failures import error_of
from fallow.sdk.needs import needed
from fallow.sdk.runner import PYTHON, decoded, raised_again

CALL_BYTES_MAX = 11 << 20  # of a function and one call's arguments: as base64 they must fit into one request
SMALL_BYTES = 32 * 1024  # a function of this size goes with every piece; a larger one only where it is missing


@dataclass(frozen=True, slots=True)
class Function:
    """A pickled function. name: of its content."""

    name: str
    pickle: bytes

    @property
    def is_small(self) -> bool:
        return len(self.pickle) <= SMALL_BYTES


@dataclass(slots=True, eq=False)
class Call:
    """One call and the future that waits for it. alone: nothing is known of those beside it. with_function: the runner
    said that it has not got it."""

    function: Function
    given: bytes
    future: Future[Any]
    alone: bool = False
    with_function: bool = False


@dataclass(slots=True)
class Piece:
    """Calls that travel together. first: the number of the first one's item. done: calls answered, from the first."""

    calls: list[Call]
    first: int = 0
    done: int = 0
    answered: set[int] = field(default_factory=set)

    @property
    def wanted(self) -> int:
        """The first item without an answer."""
        return self.first + self.done

    @property
    def is_done(self) -> bool:
        return self.done == len(self.calls)

    def take(self, item: int) -> Call | None:
        """The call of this item, once."""
        at = item - self.first
        if not 0 <= at < len(self.calls) or at in self.answered:
            return None
        self.answered.add(at)
        while self.done in self.answered:
            self.done += 1
        return self.calls[at]


def pickled(function: Any) -> Function:
    """The function with everything that it refers to. Raises Refusal BAD_REQUEST for what cannot be pickled."""
    data = _dumped(function, "The function")
    return Function(hashlib.sha256(data).hexdigest()[:32], data)


def given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """The arguments of a call. Raises Refusal BAD_REQUEST."""
    return _dumped((args, kwargs), "An argument")


def checked(function: Function, arguments: bytes) -> bytes:
    """The arguments. Raises Refusal TOO_LARGE when they cannot be sent."""
    size = len(function.pickle) + len(arguments)
    if size > CALL_BYTES_MAX:
        raise Refusal(
            Code.TOO_LARGE,
            f"A call of {size >> 20} MiB is too large.",
            "Put the data into the image, or into a file that the function reads.",
        )
    return arguments


def send_by_value(module: ModuleType) -> None:
    """Functions and classes of the module travel whole, not by name. Raises Refusal SETTING_INVALID."""
    needed("cloudpickle", "executor").register_pickle_by_value(module)


def _dumped(value: Any, what: str) -> bytes:
    cloudpickle = needed("cloudpickle", "executor")
    try:
        data: bytes = cloudpickle.dumps(value)
    except Exception as wrong:
        raise Refusal(
            Code.BAD_REQUEST, f"{what} cannot be pickled: {wrong}.", "Make open files and connections where it runs."
        ) from wrong
    return data


def lines_of(calls: Sequence[Call], known: set[str], flags: Mapping[str, bool]) -> Iterator[bytes]:
    """A piece's lines. Each function goes once with its first call, unless it is large and in `known`, which grows.

    flags: "trust", "timed"; see runner.py.
    """
    here: set[str] = set()
    for call in calls:
        function = call.function
        item: dict[str, Any] = {"call": function.name, "given": _text(call.given), **flags}
        if function.name not in here and (call.with_function or function.is_small or function.name not in known):
            item |= {"function": _text(function.pickle), "python": PYTHON}
            known.add(function.name)
        here.add(function.name)
        yield json.dumps(item, separators=(",", ":")).encode() + b"\n"


def blocks_of(lines: Iterable[bytes], size_bytes_max: int) -> list[list[bytes]]:
    """The lines in blocks that are not larger, but for single lines that are."""
    blocks: list[list[bytes]] = []
    size = size_bytes_max
    for line in lines:
        if size + len(line) > size_bytes_max:
            blocks.append([])
            size = 0
        blocks[-1].append(line)
        size += len(line)
    return blocks


def settle(call: Call, item: int, output: Any, trust: bool) -> bool:
    """Tells the future what became of its call; False when the call must be sent again, with its function."""
    wrong: BaseException | None = error_of(item, output)
    value: Any = None
    if wrong is None:
        try:
            if "missing" in output and not call.with_function:
                return False
            if "raised" in output:
                wrong = _raised(output["raised"], trust)
            else:
                value = _value(output["value"], trust)
        except Exception as strange:  # noqa: BLE001  an answer is a stranger's; whatever is wrong with it, one call fails
            said = f"{type(strange).__name__}: {strange}"
            wrong = Refusal(Code.BAD_REQUEST, f"The answer of a call cannot be read: {said}.", "See its job's log.")
    if wrong is not None:
        call.future.set_exception(wrong)
    else:
        call.future.set_result(value)
    return True


def _value(said: Any, trust: bool) -> Any:
    if trust and isinstance(said, dict) and "$pickle" in said:
        return _unpickled(said["$pickle"])
    return decoded(said)


def _raised(said: Any, trust: bool) -> BaseException:
    if trust and (pickle := (said.get("pickle") or {}).get("$pickle")):
        wrong = _unpickled(pickle)
        if isinstance(wrong, Exception):
            wrong.__cause__ = raised_again(said).__cause__
            return wrong
    return raised_again(said)


def _unpickled(text: str) -> Any:
    """Runs what the pickle says: only for workers that the caller trusts."""
    import pickle

    return pickle.loads(base64.b64decode(text))  # noqa: S301  the caller said trust_workers


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
