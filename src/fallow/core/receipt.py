"""The receipt: a worker's signed statement of what it ran and what came out.

Canonical JSON in a DSSE envelope (https://github.com/secure-systems-lab/dsse). Signing and checking a signature need a
key, which the caller brings as a function: this file has no cryptography of its own but SHA-256.
"""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fallow.core.canonical import canonical_json
from fallow.core.refusals import Code, Refusal

PAYLOAD_TYPE = "application/vnd.fallow.receipt+json"
Sign = Callable[[bytes], bytes]
Check = Callable[[bytes, bytes], bool]  # (message, signature)
Loads = Callable[[bytes], object]  # JSON bytes to plain values; raises ValueError


@dataclass(frozen=True, slots=True)
class Receipt:
    """Items item_start..item_end, both included, are lines 0.. of the artifact. Times are RFC 3339, UTC.

    chunk_id, attempt_id: whole numbers up to 2^53 - 1, as every number of canonical JSON.
    """

    job_id: str
    chunk_id: int
    attempt_id: int
    worker_id: str
    image: str
    contract: str
    item_start: int
    item_end: int
    item_errors: int
    input_sha256: str
    artifact_uri: str
    artifact_sha256: str
    artifact_size_bytes: int
    items_root: str
    started_at: str
    finished_at: str
    cpu_seconds: float = 0.0
    memory_bytes_max: int = 0

    @property
    def item_count(self) -> int:
        """How many items the answer covers."""
        return self.item_end - self.item_start + 1

    def statement(self) -> bytes:
        """The bytes that are signed."""
        return canonical_json(
            {
                "receipt_version": 1,
                "job_id": self.job_id,
                "chunk_id": self.chunk_id,
                "attempt_id": self.attempt_id,
                "worker_id": self.worker_id,
                "image": self.image,
                "contract": self.contract,
                "items": {
                    "start": self.item_start,
                    "end": self.item_end,
                    "count": self.item_count,
                    "errors": self.item_errors,
                },
                "input": {"sha256": self.input_sha256},
                "artifact": {
                    "uri": self.artifact_uri,
                    "sha256": self.artifact_sha256,
                    "size_bytes": self.artifact_size_bytes,
                },
                "items_root": self.items_root,
                "started_at": self.started_at,
                "finished_at": self.finished_at,
                "usage": {"cpu_seconds": round(self.cpu_seconds, 3), "memory_bytes_max": self.memory_bytes_max},
            }
        )


def seal(receipt: Receipt, key_id: str, sign: Sign) -> bytes:
    """The receipt in a signed DSSE envelope, as JSON bytes."""
    payload = receipt.statement()
    return canonical_json(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": key_id, "sig": base64.b64encode(sign(pre_authentication(payload))).decode()}],
        }
    )


def unseal(envelope: bytes, check: Check, loads: Loads = json.loads) -> Receipt:
    """The receipt inside, once its signature is good. loads: a faster json.loads where there is one.

    Raises Refusal RECEIPT_INVALID.
    """
    payload, signature = _parts(envelope, loads)
    if not check(pre_authentication(payload), signature):
        raise _refused("its signature is not this worker's")
    return parse_statement(payload, loads)


def parse_statement(payload: bytes, loads: Loads = json.loads) -> Receipt:
    """The statement's values. Raises Refusal RECEIPT_INVALID."""
    try:
        body: Any = loads(payload)
        items, artifact, usage = body["items"], body["artifact"], body.get("usage", {})
        receipt = Receipt(
            job_id=_text(body["job_id"]),
            chunk_id=_whole(body["chunk_id"]),
            attempt_id=_whole(body["attempt_id"]),
            worker_id=_text(body["worker_id"]),
            image=_text(body["image"]),
            contract=_text(body["contract"]),
            item_start=_whole(items["start"]),
            item_end=_whole(items["end"]),
            item_errors=_whole(items["errors"]),
            input_sha256=_text(body["input"]["sha256"]),
            artifact_uri=_text(artifact["uri"]),
            artifact_sha256=_text(artifact["sha256"]),
            artifact_size_bytes=_whole(artifact["size_bytes"]),
            items_root=_text(body["items_root"]),
            started_at=_text(body["started_at"]),
            finished_at=_text(body["finished_at"]),
            cpu_seconds=_seconds(usage.get("cpu_seconds", 0.0)),
            memory_bytes_max=_whole(usage.get("memory_bytes_max", 0)),
        )
        _agree(receipt, _whole(items["count"]))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as wrong:
        raise _refused(f"it lacks or misspells {wrong}") from None
    version = body.get("receipt_version")
    if version != 1 or not isinstance(version, int) or isinstance(version, bool):
        raise _refused(f"its version is {str(version)[:40]!r}, and only 1 is known")
    return receipt


def key_id_of(envelope: bytes) -> str:
    """The key id the envelope names; not proven by anything. Raises Refusal RECEIPT_INVALID."""
    try:
        return _text(json.loads(envelope)["signatures"][0]["keyid"])
    except (KeyError, TypeError, ValueError, IndexError, RecursionError):
        raise _refused("it is not a DSSE envelope") from None


def pre_authentication(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """What DSSE signs instead of the bare payload (PAE, protocol.md of the DSSE specification)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _parts(envelope: bytes, loads: Loads) -> tuple[bytes, bytes]:
    try:
        body: Any = loads(envelope)
        if body["payloadType"] != PAYLOAD_TYPE:
            raise _refused(f"its payload type is {str(body['payloadType'])[:80]!r}")
        return _unbase64(body["payload"]), _unbase64(body["signatures"][0]["sig"])
    except (KeyError, TypeError, ValueError, IndexError, RecursionError):
        raise _refused("it is not a DSSE envelope") from None


def _unbase64(text: str) -> bytes:
    """The bytes. Refuses a second spelling of the same bytes (unused bits that are not 0): a changed byte must show."""
    raw = binascii.a2b_base64(text, strict_mode=True)
    if binascii.b2a_base64(raw, newline=False) != text.encode():
        raise ValueError("not the one base64 spelling of its bytes")
    return raw


def _agree(receipt: Receipt, count: int) -> None:
    if count != receipt.item_count:
        raise ValueError(f"items.count, which is {receipt.item_count} by start and end")
    if receipt.item_errors > count:
        raise ValueError("items.errors, which is more than there are items")


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 4096:
        raise ValueError(f"a text where {str(value)[:40]!r} stands")
    if not value.isascii():
        value.encode()  # half a surrogate pair is JSON, but no text that can be stored; raises a ValueError
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(f"a whole number where {str(value)[:40]!r} stands")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        raise ValueError(f"a time in seconds where {str(value)[:40]!r} stands")
    return float(value)


def _refused(why: str) -> Refusal:
    return Refusal(Code.RECEIPT_INVALID, f"The receipt is not valid: {why}.")
