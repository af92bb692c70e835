"""Words of strangers on their way into a headline: job names, worker names, reasons."""

import unicodedata
from typing import Final

_CONTROLS: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # line breaks, marks that turn text round, half characters


def one_line(text: str, limit: int = 0) -> str:
    """The text without anything that could start a new line or hide a character. limit: of its length; 0: none."""
    plain = "".join(" " if unicodedata.category(each) in _CONTROLS else each for each in text)
    return plain if not limit or len(plain) <= limit else plain[: limit - 1].rstrip() + "…"
