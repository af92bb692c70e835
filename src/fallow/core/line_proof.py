"""The proof of one output line as a file: enough to convince somebody who has neither the server nor the other lines.

The line hashes to a leaf, the leaf leads to the chunk's items_root by a Merkle path (RFC 6962), the worker's signature
covers that root, and the worker's id is the digest of the key that signed. The file holds no line: bring your own.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from fallow.core.merkle import leaf_hash, root_from_proof
from fallow.core.receipt import Check, Receipt, unseal
from fallow.core.refusals import Code, Refusal

PROOF_BYTES_MAX: Final = 1024 * 1024
_PATH_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class LineProof:
    """The line is number `index` of `size` lines that the envelope's receipt covers. path: siblings, nearest first.
    public_key: the signer's, 32 raw bytes. envelope: DSSE, JSON bytes."""

    index: int
    size: int
    path: tuple[str, ...]
    public_key: bytes
    envelope: bytes

    def document(self) -> bytes:
        """The file."""
        body = {
            "proof_version": 1,
            "line": {"index": self.index, "of": self.size},
            "path": list(self.path),
            "public_key": base64.b64encode(self.public_key).decode(),
            "receipt": json.loads(self.envelope),
        }
        return json.dumps(body, indent=1).encode() + b"\n"

    def checked(self, line: bytes, checker: Callable[[bytes], Check]) -> Receipt:
        """The receipt that covers this line (without its newline), once everything fits. checker: of a public key.

        Raises Refusal DIGEST_MISMATCH or RECEIPT_INVALID.
        """
        try:
            check = checker(self.public_key)
        except ValueError:
            raise _broken("The key in the proof is none.") from None
        receipt = unseal(self.envelope, check)
        if receipt.worker_id != "w-" + hashlib.sha256(self.public_key).hexdigest()[:16]:
            raise _broken("The key in the proof is not that of the worker that the receipt names.")
        if receipt.item_count != self.size or not 0 <= self.index < self.size:
            raise _broken("The receipt covers another number of lines than the proof says.")
        if root_from_proof(leaf_hash(line), self.index, self.size, self.path) != receipt.items_root:
            raise _broken("This line is not the one that was signed.")
        return receipt


def parse_proof(data: bytes) -> LineProof:
    """The proof in a file. Raises Refusal BAD_REQUEST."""
    try:
        if len(data) > PROOF_BYTES_MAX:
            raise ValueError("it is too long")
        body: Any = json.loads(data)
        if body["proof_version"] != 1:
            raise ValueError("only proof_version 1 is known")
        path = tuple(body["path"])
        index, size = body["line"]["index"], body["line"]["of"]
        if len(path) > _PATH_MAX or not all(isinstance(each, str) for each in path):
            raise ValueError("its path is none")
        if type(index) is not int or type(size) is not int:
            raise ValueError("its line has no number")
        key = base64.b64decode(body["public_key"], validate=True)
        return LineProof(index, size, path, key, json.dumps(body["receipt"]).encode())
    except (KeyError, TypeError, ValueError, RecursionError, binascii.Error) as wrong:
        said = ascii(str(wrong))[1:-1][:120]
        raise Refusal(
            Code.BAD_REQUEST, f"This is no proof of a line: {said}.", "Download it again from the page of receipts."
        ) from None


def _broken(sentence: str) -> Refusal:
    return Refusal(Code.DIGEST_MISMATCH, sentence, "Compare the line, byte for byte, with the job's output.")
