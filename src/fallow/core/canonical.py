"""Canonical JSON (RFC 8785) for values made of text, whole numbers, short decimals, lists and objects.

The rfc8785 package does it for every float; this needs the standard library only, because receipts are also made where
nothing can be installed. Floats outside the plain decimal range are refused rather than written wrongly.
tests/core/test_canonical.py holds it against rfc8785.
"""

import json
import math

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_INTEGER_MAX = 2**53 - 1
_PLAIN_MAX = 1e16  # from here on Python writes floats with an exponent, and RFC 8785 does not yet


def canonical_json(value: object) -> bytes:
    """The one spelling of this value, UTF-8. Raises ValueError for what RFC 8785 or this module cannot spell."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) > _INTEGER_MAX:
            raise ValueError(f"{value} is beyond the whole numbers of JSON (2^53 - 1)")
        return value
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a name in a JSON object is a text")
        return {key: _plain(value[key]) for key in sorted(value, key=lambda name: name.encode("utf-16-be"))}
    raise ValueError(f"{type(value).__name__} has no JSON form")


def _decimal(value: float) -> int | float:
    if value.is_integer() and abs(value) < _PLAIN_MAX:
        return int(value)
    if not math.isfinite(value) or not 1e-4 <= abs(value) < _PLAIN_MAX:
        raise ValueError(f"{value!r} has no plain decimal form")
    return value
