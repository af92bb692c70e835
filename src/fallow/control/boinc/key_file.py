"""A signing key as a file: PEM as we and OpenSSL write it, encrypted if a passphrase is given, or BOINC's own text."""

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fallow.control.boinc.signing_key import KeyForms
from fallow.core.refusals import Code, Refusal
from fallow.core.rsa import RsaPrivate, RsaPublic

FILE_BYTES_MAX: Final = 64 * 1024
_PEM: Final = b"-----BEGIN "
_ENCRYPTED: Final = b"ENCRYPTED"
_PUBLIC: Final = b"PUBLIC KEY"
_PUBLIC_CHARS_MAX: Final = 700  # of BOINC's text; a private key has twice as many


def written(key: RsaPrivate, passphrase: str = "") -> bytes:
    """The whole key as PKCS #8 in PEM. "": not encrypted."""
    at_p, at_q, inverse = key.remainders
    public = rsa.RSAPublicNumbers(key.exponent, key.modulus)
    numbers = rsa.RSAPrivateNumbers(key.p, key.q, key.private, at_p, at_q, inverse, public)
    sealing: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        sealing = serialization.BestAvailableEncryption(passphrase.encode())
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return numbers.private_key().private_bytes(pem, form, sealing)


def read(data: bytes, forms: KeyForms, passphrase: Callable[[], str]) -> tuple[RsaPublic, RsaPrivate | None]:
    """What is in a key file: the public half, and the private one if it is there.

    passphrase: is asked only when the file is encrypted. Raises Refusal BAD_REQUEST.
    """
    if len(data) > FILE_BYTES_MAX:
        raise _no_key("It is too large.")
    if data.lstrip().startswith(_PEM):
        return _from_pem(data.lstrip(), forms, passphrase)
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise _no_key("It is neither PEM nor BOINC's text.") from None
    if len(text.strip()) > _PUBLIC_CHARS_MAX:
        private = forms.parse_private(text)
        return private.public, private
    return forms.parse_public(text), None


def _from_pem(data: bytes, forms: KeyForms, passphrase: Callable[[], str]) -> tuple[RsaPublic, RsaPrivate | None]:
    first_line = data.partition(b"\n")[0]
    try:
        if _PUBLIC in first_line:
            public_key = serialization.load_pem_public_key(data)
            if not isinstance(public_key, rsa.RSAPublicKey):
                raise _no_key("It is no RSA key.")
            numbers = public_key.public_numbers()
            return forms.parse_public(forms.render_public(RsaPublic(numbers.n, numbers.e))), None
        is_encrypted = _ENCRYPTED in first_line or b"\nProc-Type: 4,ENCRYPTED" in data
        key = serialization.load_pem_private_key(data, passphrase().encode() if is_encrypted else None)
    except (ValueError, TypeError) as wrong:
        raise _no_key("Perhaps the passphrase is wrong." if _ENCRYPTED in data else "It is damaged.") from wrong
    if not isinstance(key, rsa.RSAPrivateKey):
        raise _no_key("It is no RSA key.")
    made = key.private_numbers()
    private = RsaPrivate(made.public_numbers.n, made.public_numbers.e, made.d, made.p, made.q)
    return private.public, forms.parse_private(forms.render_private(private))  # the size is checked as clients would


def _no_key(why: str) -> Refusal:
    return Refusal(
        Code.BAD_REQUEST,
        f"The file holds no key that can be read. {why}",
        "Give a file of `fallow admin backup-boinc-key`, or a BOINC project's code_sign_private or code_sign_public.",
    )
