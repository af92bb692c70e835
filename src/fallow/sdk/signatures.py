"""Receipts against the manifest that carries them. Worker ids are digests of public keys."""

import hashlib
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fallow.core.receipt import Receipt, key_id_of, unseal
from fallow.core.refusals import Refusal
from fallow.sdk.manifest import Entry, Head
from fallow.sdk.verdict import said


def worker_id_of(public_key: bytes) -> str:
    """The id that a worker with this raw Ed25519 key has."""
    return "w-" + hashlib.sha256(public_key).hexdigest()[:16]


def receipt_of(entry: Entry, head: Head) -> tuple[Receipt | None, list[str]]:
    """The entry's receipt, None unless its signature is good; and all that is wrong with it, as sentences' ends."""
    assert entry.envelope is not None
    try:
        worker_id = key_id_of(entry.envelope)
    except Refusal as refusal:
        return None, [f"its receipt cannot be read ({said(refusal.message)})"]
    key = head.public_keys.get(worker_id)
    if key is None:
        return None, [f"its receipt names worker {said(worker_id)}, whose public key is not in manifest.json"]
    try:
        receipt = unseal(entry.envelope, signature_checker(key))
    except Refusal:
        return None, [
            f"the receipt of chunk {entry.chunk_id} has a bad signature; worker {said(worker_id)} did not sign it"
        ]
    except (ValueError, OverflowError):
        return None, ["its receipt cannot be read"]
    return receipt, _differences(receipt, worker_id, entry, head)


def _differences(receipt: Receipt, worker_id: str, entry: Entry, head: Head) -> list[str]:
    pairs: list[tuple[str, object, object]] = [
        ("the job", receipt.job_id, head.job_id),
        ("chunk", receipt.chunk_id, entry.receipt_chunk_id),
        ("the worker", receipt.worker_id, worker_id),
        ("the contract", receipt.contract, head.contract),
        ("the first item", receipt.item_start, entry.item_start),
        ("the last item", receipt.item_end, entry.item_end),
        ("the items' root", receipt.items_root, entry.items_root),
        ("the artifact's SHA-256", receipt.artifact_sha256, entry.sha256),
        ("the artifact's size", receipt.artifact_size_bytes, entry.size_bytes),
    ]
    if head.image:
        pairs.append(("the image", receipt.image, head.image))
    return [
        f"its receipt says that {what} is {said(str(signed))}, the manifest says {said(str(written))}"
        for what, signed, written in pairs
        if signed != written
    ]


def signature_checker(public_key: bytes) -> Callable[[bytes, bytes], bool]:
    """Whether a signature over a message is this raw Ed25519 key's; never, for bytes that are no key."""

    def check(message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    return check
