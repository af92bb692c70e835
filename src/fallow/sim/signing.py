"""A simulated worker's key and the receipts it signs: the real ones."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fallow.core.merkle import root_of
from fallow.core.receipt import Receipt, seal
from fallow.core.words import Micros, WorkerId
from fallow.protocols.rest import work as wire
from fallow.worker.answers import is_error_answer


@dataclass(frozen=True, slots=True)
class Identity:
    """An Ed25519 key and the name that follows from it."""

    key: Ed25519PrivateKey
    public_key: bytes
    worker_id: WorkerId


def identity_of(seed: bytes) -> Identity:
    """seed: 32 bytes; the same one gives the same worker."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes_raw()
    return Identity(key, public, WorkerId("w-" + hashlib.sha256(public).hexdigest()[:16]))


def receipt_for(
    lease: wire.Lease,
    answers: Sequence[bytes],
    worker_id: str,
    input_sha256: str,
    artifact_uri: str,
    started: Micros,
    finished: Micros,
) -> Receipt:
    """A true receipt over these answers, which may be the head of the chunk only."""
    data = b"".join(line + b"\n" for line in answers)
    return Receipt(
        job_id=lease.job_id,
        chunk_id=lease.chunk_id,
        attempt_id=lease.attempt_id,
        worker_id=worker_id,
        image=lease.ran,
        contract=lease.contract,
        item_start=lease.item_start,
        item_end=lease.item_start + len(answers) - 1,
        item_errors=sum(is_error_answer(line) for line in answers),
        input_sha256=input_sha256,
        artifact_uri=artifact_uri,
        artifact_sha256=hashlib.sha256(data).hexdigest(),
        artifact_size_bytes=len(data),
        items_root=root_of(answers),
        started_at=_rfc3339(started),
        finished_at=_rfc3339(finished),
    )


def sealed(receipt: Receipt, identity: Identity) -> bytes:
    """The envelope, signed by this identity."""
    return seal(receipt, identity.worker_id, identity.key.sign)


def _rfc3339(moment: Micros) -> str:
    return datetime.fromtimestamp(moment / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
