"""Checking a worker's signature.

By PyNaCl: libsodium checks an Ed25519 signature in half of OpenSSL's time, and this is the dearest step of taking a
report. Workers sign, and `fallow verify` checks, with the cryptography package.
"""

from functools import lru_cache

from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

from fallow.core.receipt import Check


@lru_cache(maxsize=4096)
def checker(public_key: bytes) -> Check:
    """Whether a signature over a message is this key's. public_key: raw Ed25519, 32 bytes.

    Raises ValueError for bytes that cannot be a key.
    """
    try:
        key = VerifyKey(public_key)
    except CryptoError as wrong:
        raise ValueError(str(wrong)) from None

    def check(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(message, signature)
        except (CryptoError, ValueError):  # ValueError: of another length than signatures have
            return False
        return True

    return check
