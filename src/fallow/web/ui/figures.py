"""Numbers and moments as people read them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from markupsafe import Markup

from fallow.core.words import Micros

_BYTES: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def count(number: int) -> str:
    """1234567 is "1,234,567"."""
    return f"{number:,}"


def size(number: int) -> str:
    """Bytes: 81234 is "81.2 kB"."""
    value = float(number)
    for unit in _BYTES:
        if abs(value) < 1000 or unit == _BYTES[-1]:
            return f"{value:.0f} B" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError("the last unit takes all")


def rate(per_second: float) -> str:
    """0.123 is "0.12", 1234.5 is "1,234"."""
    if per_second >= 100:
        return f"{per_second:,.0f}"
    return f"{per_second:.1f}" if per_second >= 10 else f"{per_second:.2f}".rstrip("0").rstrip(".")


def percent(part: int, whole: int) -> str:
    """Never "100 %" before all of it, never "0 %" after the first."""
    if not whole:
        return "0 %"
    exact = 100 * part / whole
    shown = min(99.9, exact) if part < whole else exact
    shown = max(0.1, shown) if part else shown
    return f"{shown:.0f} %" if shown == int(shown) or 10 <= shown < 99 else f"{shown:.1f} %"


def duration(seconds: float) -> str:
    """Two units: "3 h 20 min", "4.2 s"."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, length, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= length:
            rest = whole % length // part
            return f"{whole // length} {unit} {rest} {smaller}" if rest else f"{whole // length} {unit}"
    return f"{whole} s"


def lasted(start: Micros | None, end: Micros | None) -> str:
    """From one moment to the other; "" when one is not known."""
    return "" if start is None or end is None else duration(max(0, end - start) / 1e6)


def moment(at: Micros | None) -> Markup | str:
    """A <time> that the browser shows in the reader's own zone; without JavaScript it is UTC."""
    if not at:
        return ""
    when = datetime.fromtimestamp(at / 1e6, UTC)
    iso = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Markup('<time datetime="{}">{} UTC</time>').format(iso, when.strftime("%Y-%m-%d %H:%M:%S"))


def short(text: str, length: int = 80) -> str:
    """With an ellipsis in the middle when it is longer: beginnings and ends tell URIs apart."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[-tail:]}"


def credit(cobblestones: float) -> str:
    """1234.56 is "1,235", 12.345 is "12.3", 0.012 is "0.01"."""
    if cobblestones >= 100:
        return f"{cobblestones:,.0f}"
    return f"{cobblestones:.1f}" if cobblestones >= 10 else f"{cobblestones:.2f}"


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "count": count,
    "credit": credit,
    "size": size,
    "rate": rate,
    "duration": duration,
    "moment": moment,
    "short": short,
}
