"""docs/lifecycle.md is drawn from the tables."""

import inspect
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fallow.core import lifecycle
from fallow.core.lifecycle import (
    ATTEMPT,
    CHUNK,
    DELIVERY,
    JOB,
    UPLOAD,
    AttemptEvent,
    ChunkEvent,
    DeliveryEvent,
    JobEvent,
    UploadEvent,
)
from fallow.core.lifecycle_page import page, reasons_in

PAGE = Path(__file__).parents[2] / "docs" / "lifecycle.md"


def test_the_page_is_not_stale() -> None:
    """Remedy: python -m fallow.core.lifecycle > docs/lifecycle.md"""
    assert PAGE.read_text("utf-8") == page()


def test_the_command_prints_the_page() -> None:
    command = [sys.executable, "-m", "fallow.core.lifecycle"]
    assert subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout == page()


def test_the_comment_of_each_row_is_found() -> None:
    tables: dict[str, Mapping[tuple[Any, Any], Any]] = {
        JobEvent.__name__: JOB,
        ChunkEvent.__name__: CHUNK,
        AttemptEvent.__name__: ATTEMPT,
        DeliveryEvent.__name__: DELIVERY,
        UploadEvent.__name__: UPLOAD,
    }
    rows = {(name, str(start or ""), str(event)) for name, table in tables.items() for start, event in table}
    reasons = reasons_in(inspect.getsource(lifecycle))
    assert set(reasons) == rows
    assert reasons["ChunkEvent", "verifying", "accept"] == "BOINC: canonical result found"
