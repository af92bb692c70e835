"""How long a batch may take, as people write it: "24h", "30m", "7d"."""

import re
from typing import Final

from fallow.core.refusals import Code, Refusal

_WINDOW: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])\Z", re.ASCII)
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86400}
_DAYS_MAX: Final = 365


def window_seconds(text: str) -> int:
    """OpenAI knows "24h" only; here it is any number of minutes, hours or days up to a year. Raises Refusal."""
    match = _WINDOW.match(text)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < seconds <= _DAYS_MAX * 86400:
        raise Refusal(
            Code.BAD_REQUEST,
            f"Invalid completion_window: {text[:40]!r}.",
            "Use a number of minutes, hours or days, such as '24h', '30m' or '7d'.",
            {"field": "completion_window"},
        )
    return seconds
