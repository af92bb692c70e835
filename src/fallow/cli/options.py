"""Options that many commands share, and how quantities are written."""

import re
from typing import Annotated

import typer

from fallow.core.refusals import Code, Refusal

Server = Annotated[
    str | None, typer.Option("--server", envvar="FALLOW_SERVER", help="The server's URL.", metavar="URL")
]
Token = Annotated[str | None, typer.Option("--token", envvar="FALLOW_TOKEN", help="An API key.", metavar="KEY")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.", show_default=False)]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\Z", re.IGNORECASE | re.ASCII)
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)\Z", re.ASCII)
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def examples(*lines: str) -> str:
    """A command's epilog."""
    return "\b\n" + ("Example:" if len(lines) == 1 else "Examples:") + "".join(f"\n  {line}" for line in lines)


def size_bytes(text: str | None) -> int | None:
    """ "512M", "2GiB" or "1000000"; K, M, G and T are powers of 1024. Raises Refusal BAD_REQUEST."""
    if text is None:
        return None
    match = _SIZE.match(text.strip())
    if not match:
        raise Refusal(Code.BAD_REQUEST, f"{text!r} is not a size.", "Write it like 512M or 2G.")
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))


def seconds(text: str | None) -> float | None:
    """ "30", "30s", "5m", "2h". Raises Refusal BAD_REQUEST."""
    if text is None:
        return None
    match = _TIME.match(text.strip())
    if not match:
        raise Refusal(Code.BAD_REQUEST, f"{text!r} is not a length of time.", "Write it like 30s, 5m or 2h.")
    return float(match[1]) * _UNITS[match[2]]
