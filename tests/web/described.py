"""The calls of a server as it describes them, for schemathesis."""

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/jsonl")
def as_lines(_context: object, value: object) -> bytes:
    """One line, or what there is."""
    return value if isinstance(value, bytes) else json.dumps(value).encode("utf-8", "replace") + b"\n"


def operations(url: str) -> list[Any]:
    """Everything at /openapi.json."""
    return [found.ok() for found in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations()]
