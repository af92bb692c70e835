"""Key texts and file signatures as BOINC's clients want them: RSA of 1024 bits over the MD5 of a file.

Both are weak today, and their sizes are compiled into every client. So they serve one purpose: to let a client start
the runner, which checks SHA-256 and signs with Ed25519 itself.
Source: BOINC lib/crypt.cpp and lib/crypt.h; recorded keys and signatures in tests/protocols/boinc.
"""

import hashlib
import re
from typing import Final

from fallow.core.refusals import Code, Refusal
from fallow.core.rsa import RsaPrivate, RsaPublic

BITS: Final = 1024
_WHOLE: Final = BITS // 8  # bytes of the modulus and the exponents
_HALF: Final = BITS // 16  # bytes of the primes and what is modulo them
_LINE: Final = 64  # hexadecimal digits
_TEXT_MAX: Final = 4096  # characters; what a client keeps at most
_MD5: Final = re.compile(r"[0-9a-f]{32}\Z")
_HEXADECIMAL: Final = re.compile(r"[0-9a-fA-F]*\Z")


def parse_public(text: str) -> RsaPublic:
    """A public key from BOINC's text form. Raises Refusal BAD_REQUEST."""
    modulus, exponent = _numbers(text, (_WHOLE, _WHOLE), "public key")
    key = RsaPublic(modulus, exponent)
    _check_size(key)
    return key


def parse_private(text: str) -> RsaPrivate:
    """A private key from BOINC's text form. Raises Refusal BAD_REQUEST, also when its numbers are no key."""
    sizes = (_WHOLE, _WHOLE, _WHOLE, _HALF, _HALF, _HALF, _HALF, _HALF)
    modulus, exponent, private, p, q, *_ = _numbers(text, sizes, "private key")
    key = RsaPrivate(modulus, exponent, private, p, q)
    _check_size(key.public)
    if not key.is_sound:
        raise _refused("The numbers of this private key do not belong together.")
    return key


def render_public(key: RsaPublic) -> str:
    """BOINC's text form: "1024", modulus, exponent, "."; lines of 64 digits."""
    return _text(((key.modulus, _WHOLE), (key.exponent, _WHOLE)))


def render_private(key: RsaPrivate) -> str:
    """BOINC's text form. Keep it as you would a password."""
    at_p, at_q, inverse = key.remainders
    whole = ((key.modulus, _WHOLE), (key.exponent, _WHOLE), (key.private, _WHOLE))
    return _text((*whole, *((each, _HALF) for each in (key.p, key.q, at_p, at_q, inverse))))


def encoded(md5: str) -> int:
    """What is signed: 00 01, 93 times FF, 00, then the MD5's 32 hexadecimal digits as text, 128 bytes in all.

    md5: lower-case hexadecimal; anything else is our own mistake (ValueError).
    """
    if not _MD5.match(md5):
        raise ValueError(f"{md5[:40]!r} is no MD5")
    return int.from_bytes(b"\x00\x01" + b"\xff" * (_WHOLE - 35) + b"\x00" + md5.encode())


def sign(md5: str, key: RsaPrivate) -> str:
    """The signature of a file with this MD5: four lines of 64 digits and a line "."."""
    return _lines(f"{key.signed(encoded(md5)):0{2 * _WHOLE}x}") + ".\n"


def verify(md5: str, signature: str, key: RsaPublic) -> bool:
    """Whether this is the key's signature of a file with this MD5. Never raises for a bad signature."""
    *digits, end = signature.split() or [""]
    joined = "".join(digits)
    if end != "." or len(joined) != 2 * _WHOLE or not _HEXADECIMAL.match(joined):
        return False
    number = int(joined, 16)
    return number < key.modulus and key.opened(number) == encoded(md5)


def md5_of_key(text: str) -> str:
    """The MD5 of a public key's text that its predecessor signs, when a key is replaced: trimmed, inner lines kept."""
    return hashlib.md5(text.strip().encode(), usedforsecurity=False).hexdigest()


def same_key(one: str, other: str) -> bool:
    """Whether two texts are one public key. Clients trim them, and some change the ends of lines."""
    return len(one) <= _TEXT_MAX and one.split() == other.split()


def _numbers(text: str, sizes: tuple[int, ...], what: str) -> list[int]:
    """The numbers of a key text, big-endian, each of so many bytes."""
    if len(text) > _TEXT_MAX:
        raise _refused(f"This is too long for a {what}.")
    first, *rest = text.split() or [""]
    if first != str(BITS) or not rest or rest[-1] != ".":
        raise _refused(f'A {what} starts with a line "{BITS}" and ends with a line ".".')
    digits = "".join(rest[:-1])
    if len(digits) != 2 * sum(sizes) or not _HEXADECIMAL.match(digits):
        raise _refused(f"A {what} has {2 * sum(sizes)} hexadecimal digits.")
    data, numbers = bytes.fromhex(digits), []
    for size in sizes:
        numbers.append(int.from_bytes(data[:size]))
        data = data[size:]
    return numbers


def _check_size(key: RsaPublic) -> None:
    if key.modulus.bit_length() != BITS or not 3 <= key.exponent < key.modulus or key.exponent % 2 == 0:
        raise _refused(f"This is no RSA key of {BITS} bits.")


def _text(numbers: tuple[tuple[int, int], ...]) -> str:
    return f"{BITS}\n" + _lines("".join(f"{number:0{2 * size}x}" for number, size in numbers)) + ".\n"


def _lines(digits: str) -> str:
    return "".join(digits[at : at + _LINE] + "\n" for at in range(0, len(digits), _LINE))


def _refused(message: str) -> Refusal:
    return Refusal(Code.BAD_REQUEST, message, "Give a key file as BOINC's crypt_prog or fallow admin wrote it.")
