"""Libraries that only some callers need."""

import importlib
from typing import Any

from fallow.core.refusals import Code, Refusal


def needed(name: str, extra: str) -> Any:
    """The module. Raises Refusal SETTING_INVALID that says what to install."""
    try:
        return importlib.import_module(name)
    except ImportError:
        install = f"pip install 'fallow[{extra}]'" if extra else f"pip install {name}"
        raise Refusal(Code.SETTING_INVALID, f"{name} is not installed here.", f"Install it: {install}") from None
