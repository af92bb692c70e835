"""The program inside an image that runs an Executor's calls: one file, beside harness.py, with cloudpickle installed.

Copy it into an image and make it the command (`python3 /app/runner.py`), or run it bare: python3 -m fallow.sdk.runner

    item    {"call": NAME, "given": PICKLE of (args, kwargs), "function": PICKLE, "python": "3.11"}
    answer  {"value": ...} or {"raised": {...}} or {"missing": NAME}

A PICKLE is base64. `function` comes with the first call of a piece and is kept under its name, so that a large one is
not sent each time; a runner that does not have it says so. What functions print goes to the log. Pickles are read here,
in the container, and nowhere else: values go back as JSON (see encoded()) unless the caller trusts the workers and says
so: `"trust": true`. With `"timed": true` the answer has its "seconds", and is never the same twice.
"""

from __future__ import annotations

import base64
import builtins
import collections
import math
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FUNCTIONS_KEPT = 32
TEXT_MAX = 64 * 1024  # characters of a traceback
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
_WHOLE_MAX = 2**53  # beyond it JSON readers disagree about what a number is
_KINDS = "biufcSUmM"  # of numpy's types: those whose bytes are all there is to them
_kept: collections.OrderedDict[str, Callable[..., Any]] = collections.OrderedDict()


def answered(item: dict[str, Any]) -> dict[str, Any]:
    """The answer to one item. Never raises, but for MemoryError."""
    started = time.perf_counter()
    try:
        answer = _answer(item)
    except MemoryError:
        raise
    except BaseException as wrong:  # noqa: BLE001  whatever the function did, its caller is told
        answer = {"raised": told(wrong, trust=bool(item.get("trust")))}
    return {**answer, "seconds": time.perf_counter() - started} if item.get("timed") else answer


def _answer(item: dict[str, Any]) -> dict[str, Any]:
    import cloudpickle  # type: ignore[import-untyped]

    name = item["call"]
    if "function" in item:
        if item["python"] != PYTHON:
            raise RuntimeError(f"functions of Python {item['python']} do not run on this image's Python {PYTHON}")
        _keep(name, cloudpickle.loads(base64.b64decode(item["function"])))
    function = _kept.get(name)
    if function is None:
        return {"missing": name}
    _kept.move_to_end(name)
    args, kwargs = cloudpickle.loads(base64.b64decode(item["given"]))
    value = function(*args, **kwargs)
    return {"value": pickled(value) if item.get("trust") else encoded(value)}


def _keep(name: str, function: Callable[..., Any]) -> None:
    _kept[name] = function
    while len(_kept) > FUNCTIONS_KEPT:
        _kept.popitem(last=False)


def told(wrong: BaseException, trust: bool = False) -> dict[str, Any]:
    """An exception as JSON: its type, its arguments where they are plain, its text and its traceback."""
    kind = type(wrong)
    text = "".join(traceback.format_exception(wrong))[-TEXT_MAX:]
    raised: dict[str, Any] = {"type": kind.__qualname__, "module": kind.__module__, "text": str(wrong), "trace": text}
    try:
        raised["args"] = encoded(list(wrong.args))
    except Exception:  # noqa: BLE001  the text says it
        raised["args"] = [str(wrong)]
    if trust:
        try:
            raised["pickle"] = pickled(wrong)
        except Exception:  # noqa: BLE001  not every exception can be pickled
            raised["pickle"] = None
    return raised


def pickled(value: Any) -> dict[str, str]:
    """Any value, for callers that trust whoever sends it."""
    import cloudpickle

    return {"$pickle": _text(cloudpickle.dumps(value))}


# ---- plain values as JSON, exactly: what decoded() gives back is equal, and of the same type


def encoded(value: Any) -> Any:
    """A value as JSON. Raises TypeError for what is neither plain nor numpy's."""
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if -_WHOLE_MAX <= value <= _WHOLE_MAX else {"$int": str(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if kind is list:
        return [encoded(each) for each in value]
    if kind is dict:
        if all(type(name) is str and not name.startswith("$") for name in value):
            return {name: encoded(each) for name, each in value.items()}
        return {"$dict": [[encoded(name), encoded(each)] for name, each in value.items()]}
    if kind in _SEQUENCES:
        return {_SEQUENCES[kind]: [encoded(each) for each in value]}
    if kind is bytes:
        return {"$bytes": _text(value)}
    if kind is complex:
        return {"$complex": [encoded(value.real), encoded(value.imag)]}
    return _encoded_array(value)


_SEQUENCES: dict[type, str] = {tuple: "$tuple", set: "$set", frozenset: "$frozenset"}


def _encoded_array(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is not None and type(value) is numpy.ndarray and value.dtype.kind in _KINDS:
        return {"$array": [value.dtype.str, list(value.shape), _text(value.tobytes())]}
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in _KINDS:
        return {"$scalar": [value.dtype.str, _text(value.tobytes())]}
    raise TypeError(
        f"a value of the type {type(value).__module__}.{type(value).__qualname__} is neither plain nor a numpy array; "
        "Executor(trust_workers=True) takes any, if the workers are yours"
    )


def decoded(value: Any) -> Any:
    """What encoded() was given. Runs nothing that the value says. Raises ValueError for what encoded() never writes."""
    if isinstance(value, list):
        return [decoded(each) for each in value]
    if not isinstance(value, dict):
        return value
    name = next(iter(value), "")
    if not name.startswith("$"):
        return {key: decoded(each) for key, each in value.items()}
    if len(value) != 1 or name not in _DECODERS:
        raise ValueError(f"an answer holds {name!r}, which nothing of ours writes")
    try:
        return _DECODERS[name](value[name])
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as wrong:
        raise ValueError(f"an answer's {name} cannot be read: {wrong}") from None


def _array(said: Any) -> Any:
    """dtype, shape, bytes."""
    kind, shape, data = said
    return _from_bytes(kind, data).reshape([int(each) for each in shape]).copy()


def _scalar(said: Any) -> Any:
    kind, data = said
    return _from_bytes(kind, data)[0]


def _from_bytes(kind: Any, data: str) -> Any:
    import numpy

    dtype = numpy.dtype(str(kind))
    if dtype.kind not in _KINDS:
        raise ValueError(f"arrays of {kind} do not travel")
    raw = base64.b64decode(data)
    if dtype.itemsize == 0:
        raise ValueError("items of no bytes cannot be counted")
    return numpy.frombuffer(raw, dtype)


_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "$int": int,
    "$float": lambda said: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[said],
    "$tuple": lambda said: tuple(map(decoded, said)),
    "$set": lambda said: set(map(decoded, said)),
    "$frozenset": lambda said: frozenset(map(decoded, said)),
    "$dict": lambda said: {decoded(name): decoded(each) for name, each in said},
    "$bytes": base64.b64decode,
    "$complex": lambda said: complex(decoded(said[0]), decoded(said[1])),
    "$array": _array,
    "$scalar": _scalar,
}


class RemoteTraceback(Exception):
    """The cause of an exception that was raised elsewhere: its traceback there."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0])


class RemoteError(Exception):
    """An exception that was raised elsewhere and has no class here. kind: the name of its class there."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind, text)
        self.kind = kind

    def __str__(self) -> str:
        return f"{self.kind}: {self.args[1]}"


def raised_again(raised: Mapping[str, Any]) -> BaseException:
    """The exception that told() was given, as far as that is safe: of Python's own kinds, or a RemoteError."""
    kind = getattr(builtins, str(raised.get("type")), None) if raised.get("module") == "builtins" else None
    wrong: BaseException | None = None
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            wrong = kind(*decoded(raised.get("args", [])))
        except Exception:  # noqa: BLE001  its class wants other arguments; the text says it
            wrong = None
    if wrong is None:
        wrong = RemoteError(str(raised.get("type")), str(raised.get("text")))
    wrong.__cause__ = RemoteTraceback(str(raised.get("trace", "")))
    return wrong


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def main() -> None:
    """Answers items until stdin ends."""
    try:
        import harness  # type: ignore[import-not-found]  # in an image it lies beside this file
    except ImportError:
        from fallow import harness
    # No fork: functions, and what they have loaded, are kept from call to call, as in a pool of processes.
    harness.serve(lambda items: [answered(each) for each in items], batch=1, load=_load, fork=False)


def _load() -> None:
    import cloudpickle  # noqa: F401  the first call need not wait for it


if __name__ == "__main__":
    main()
