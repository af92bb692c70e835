"""HTTP's byte ranges (RFC 9110, 14): which bytes of an object a header means. No I/O."""

import re
from dataclasses import dataclass

from fallow.core.refusals import Code, Refusal

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z")
_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)\Z")


@dataclass(frozen=True, slots=True)
class Span:
    """`length` bytes from `start`."""

    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Part:
    """What an upload says that it brings. span: None when it only asks. total: of the whole object, None: not known."""

    span: Span | None
    total: int | None


def span_of(header: str | None, size_bytes: int) -> Span | None:
    """The part of an object that a Range header asks for; None: all of it.

    What is not one well-formed byte range is ignored, as RFC 9110 14.2 allows (several ranges, other units).
    Raises Refusal RANGE_NOT_SATISFIABLE, whose details hold `size_bytes`.
    """
    match = _RANGE.match(header.strip()) if header else None
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        start, end = max(size_bytes - int(last), 0), size_bytes
        satisfiable = int(last) > 0 and size_bytes > 0
    elif last != "" and int(last) < int(first):
        return None
    else:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
        satisfiable = start < size_bytes
    if not satisfiable:
        raise Refusal(
            Code.RANGE_NOT_SATISFIABLE,
            f"The object has {size_bytes} bytes; the range {header!r} holds none of them.",
            "Ask for bytes that are there.",
            {"size_bytes": size_bytes},
        )
    return Span(start, end - start)


def part_of(header: str) -> Part:
    """What a Content-Range header of an upload says: "bytes 0-9/100", "bytes 0-9/*" or "bytes */100".

    Raises Refusal BAD_REQUEST.
    """
    match = _CONTENT_RANGE.match(header.strip())
    if match:
        first, last, total = match.groups()
        whole = None if total == "*" else int(total)
        if first is None:
            return Part(None, whole)
        if int(first) <= int(last) and (whole is None or int(last) < whole):
            return Part(Span(int(first), int(last) - int(first) + 1), whole)
    raise Refusal(Code.BAD_REQUEST, f"Content-Range {header[:60]!r} is not a range.", 'Write it as "bytes 0-9/100".')
