"""Signed URLs that the door itself serves: a grant, packed and sealed with HMAC-SHA-256.

The token is `base64url(seal || grant)`. Whoever holds it may do what it says until it expires, and nothing else; it
names no account and reveals no secret. S3 has presigned URLs of its own; these are for everything else.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from fallow.artifacts.port import Verb, is_component
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros

_SEAL_BYTES: Final = hashlib.sha256().digest_size
_TOKEN_CHARS_MAX: Final = 8192
_PACK: Final = msgspec.msgpack.Encoder().encode
_ALLOWED: Final = {  # what a grant of this verb (and this kind) opens
    (Verb.GET, False): frozenset({"GET", "HEAD"}),
    (Verb.PUT, False): frozenset({"PUT", "HEAD"}),
    (Verb.GET, True): frozenset({"GET", "HEAD"}),
    (Verb.PUT, True): frozenset({"PUT", "POST", "GET", "HEAD"}),
}


class Grant(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a signed URL opens: one verb on one extent of one object.

    offset, length: the extent, in bytes of the object; None: to its end. size_bytes_max: of an upload; None: no limit.
    prefix: the grant is for `key/NAME`, NAME being one safe component that the holder appends to the URL.
    uri: in place of a key, an input that is read where it lies. etag: "" or what it must still have.
    """

    verb: Verb
    key: str
    expires_at_micros: Micros
    offset: int = 0
    length: int | None = None
    size_bytes_max: int | None = None
    prefix: bool = False
    uri: str = ""
    etag: str = ""

    def key_for(self, name: str) -> str:
        """The object that is meant. name: what followed the token in the URL, "" if nothing.

        Raises Refusal URL_INVALID.
        """
        if not self.prefix and not name:
            return self.key
        if self.prefix and is_component(name):
            return f"{self.key}/{name}"
        raise _invalid("its end is not one plain file name" if self.prefix else "nothing may follow it")


class Signer:
    """Makes and opens tokens. secret: at least 32 bytes, the same in every door process. base_url: of the door.

    older_secrets: still accepted, so that a secret can be replaced without breaking the URLs that are out.
    """

    def __init__(self, secret: bytes, base_url: str, older_secrets: Sequence[bytes] = ()) -> None:
        if any(len(each) < 32 for each in (secret, *older_secrets)):
            raise Refusal(
                Code.SETTING_INVALID, "The secret for signed URLs is shorter than 32 bytes.", "Make a new one."
            )
        self.base_url = base_url.rstrip("/")
        self._secrets = (secret, *older_secrets)

    def url(self, grant: Grant) -> str:
        """The URL; for a prefix grant, append "/NAME"."""
        return f"{self.base_url}/bytes/{self.token(grant)}"

    def token(self, grant: Grant) -> str:
        packed = _PACK(grant)
        return base64.urlsafe_b64encode(_seal(self._secrets[0], packed) + packed).rstrip(b"=").decode()

    def open(self, token: str, now: Micros, verb: str) -> Grant:
        """The grant in a token, if it is ours, still good, and allows this HTTP verb.

        Raises Refusal URL_INVALID or URL_EXPIRED.
        """
        sealed = _decoded(token)
        seal, packed = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
        # Every secret is tried, always, so that the time taken says nothing.
        matches = [hmac.compare_digest(seal, _seal(secret, packed)) for secret in self._secrets]
        if True not in matches:
            raise _invalid("its signature is wrong")
        grant = _grant(packed)
        if grant.expires_at_micros <= now:
            raise Refusal(Code.URL_EXPIRED, "This URL has expired.", "Ask for a new one.")
        if verb not in _ALLOWED[grant.verb, grant.prefix]:
            raise _invalid(f"it does not allow {verb[:10]}")
        return grant


def _seal(secret: bytes, packed: bytes) -> bytes:
    sealing = _keyed(secret).copy()
    sealing.update(packed)
    return sealing.digest()


@lru_cache(maxsize=16)
def _keyed(secret: bytes) -> hmac.HMAC:
    """Setting up a key costs more than sealing a grant with it, so it is done once."""
    return hmac.new(secret, b"fallow-grant-1:", "sha256")


def _grant(packed: bytes) -> Grant:
    # The seal was ours, so this can only fail for a token of another release.
    try:
        return msgspec.msgpack.decode(packed, type=Grant)
    except msgspec.DecodeError:
        raise _invalid("it is of another release") from None


def _decoded(token: str) -> bytes:
    if len(token) > _TOKEN_CHARS_MAX:
        raise _invalid("it is too long")
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("it is cut short or garbled") from None
    # Two spellings of one token would be two names for one thing: only the one we wrote is taken.
    if base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() != token:
        raise _invalid("it is garbled")
    return sealed


def _invalid(why: str) -> Refusal:
    return Refusal(Code.URL_INVALID, f"This URL opens nothing: {why}.", "Use it exactly as it was given.")
