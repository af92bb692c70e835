"""answer.json: what became of the task's attempts, for the client to upload.

The members of each answer are those of protocols.rest.work.Report and Failure; bytes travel as base64.
"""

import base64
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from fallow.worker.volunteer.kept import Kept

VERSION = 1


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above the answers. public_key: 32 raw bytes. engine: such as "podman 4.3.1"."""

    worker_id: str
    public_key: bytes
    engine: str
    elapsed_seconds: float


def inlined(head: Head, kept: Sequence[Kept], inline_bytes_max: int, answer_bytes_max: int) -> set[int]:
    """The attempts whose artifacts travel inside, small ones only, in order, while the whole stays small enough."""
    size = len(spelt(head, kept, set()))
    inside = set()
    for each in kept:
        if each.artifact is None:
            continue
        here = each.artifact.stat().st_size
        more = 4 * ((here + 2) // 3) + 2
        if here <= inline_bytes_max and size + more <= answer_bytes_max:
            size += more
            inside.add(each.attempt_id)
    return inside


def spelt(head: Head, kept: Sequence[Kept], inside: Collection[int]) -> bytes:
    """The file's bytes. inside: attempts whose artifacts it holds; all others must have been delivered before."""
    body = {
        "answer_version": VERSION,
        "worker_id": head.worker_id,
        "public_key": base64.b64encode(head.public_key).decode(),
        "engine": head.engine,
        "elapsed_seconds": round(head.elapsed_seconds, 3),
        "answers": [_answer(each, each.attempt_id in inside) for each in kept],
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _answer(kept: Kept, inside: bool) -> dict[str, Any]:
    artifact = kept.artifact if inside else None
    return {
        "attempt_id": kept.attempt_id,
        "envelope": base64.b64encode(kept.envelope).decode(),
        "inline": base64.b64encode(artifact.read_bytes()).decode() if artifact else None,
        "failure": kept.failure,
        "log_size_bytes": kept.log_size_bytes,
    }
