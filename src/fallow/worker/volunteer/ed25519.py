"""Ed25519 in plain Python, for machines where no cryptography library can be installed.

Source: RFC 8032, section 5.1 (the extended coordinates and formulas of 5.1.4). Signing adds multiples of the base point
from a table, so that it costs about a millisecond once the table is made.

It does not take the same time for every key: somebody who can measure this very process could learn about the key. Such
a person already is on the volunteer's machine and can read the key's file, so nothing is lost. Servers check
signatures with a library; check() here is for the program's own use and for tests.
"""

import hashlib
from functools import cache

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493  # the order of the base point
D = -121665 * pow(121666, P - 2, P) % P
D2 = 2 * D % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)
WINDOW = 4  # bits of the scalar that one look into the table takes

Point = tuple[int, int, int, int]  # X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z
NEUTRAL: Point = (0, 1, 1, 0)


def public_key(seed: bytes) -> bytes:
    """The 32 bytes of the public key. seed: the 32 bytes of the private one."""
    return _packed(_times_base(_expanded(seed)[0]))


def sign(seed: bytes, message: bytes) -> bytes:
    """The signature, 64 bytes; the same for the same message."""
    scalar, prefix = _expanded(seed)
    public = _packed(_times_base(scalar))
    nonce = _number(prefix, message) % L
    commitment = _packed(_times_base(nonce))
    challenge = _number(commitment, public, message) % L
    return commitment + ((nonce + challenge * scalar) % L).to_bytes(32, "little")


def check(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether this is the key's signature of the message. Never raises."""
    if len(public) != 32 or len(signature) != 64:
        return False
    owner, commitment = _unpacked(public), _unpacked(signature[:32])
    answer = int.from_bytes(signature[32:], "little")
    if owner is None or commitment is None or answer >= L:
        return False
    challenge = _number(signature[:32], public, message) % L
    return _same(_times_base(answer), _sum(commitment, _times(challenge, owner)))


def _expanded(seed: bytes) -> tuple[int, bytes]:
    """(the secret scalar, the prefix of nonces). Raises ValueError for a seed that is not 32 bytes."""
    if len(seed) != 32:
        raise ValueError("an Ed25519 seed has 32 bytes")
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | (1 << 254)
    return scalar, digest[32:]


def _number(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def _sum(p: Point, q: Point) -> Point:
    """Complete: right for every two points of the curve, equal ones included."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = p[3] * D2 % P * q[3] % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar: int, point: Point) -> Point:
    total = NEUTRAL
    while scalar:
        if scalar & 1:
            total = _sum(total, point)
        point = _sum(point, point)
        scalar >>= 1
    return total


@cache
def _table() -> list[list[Point]]:
    """Row n, column m: the base point times m * 16^n."""
    y = 4 * pow(5, P - 2, P) % P
    x = _x_of(y, 0)
    assert x is not None
    point: Point = (x, y, 1, x * y % P)
    rows = []
    for _ in range(256 // WINDOW):
        row = [NEUTRAL]
        for _ in range((1 << WINDOW) - 1):
            row.append(_sum(row[-1], point))
        rows.append(row)
        point = _sum(row[-1], point)
    return rows


def _times_base(scalar: int) -> Point:
    """scalar: below 2^256."""
    total = NEUTRAL
    for row in _table():
        total = _sum(total, row[scalar & ((1 << WINDOW) - 1)])
        scalar >>= WINDOW
    return total


def _same(p: Point, q: Point) -> bool:
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def _packed(point: Point) -> bytes:
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _unpacked(data: bytes) -> Point | None:
    """None where no point of the curve is spelt so."""
    number = int.from_bytes(data, "little")
    y = number & ((1 << 255) - 1)
    x = _x_of(y, number >> 255) if y < P else None
    return None if x is None else (x, y, 1, x * y % P)


def _x_of(y: int, odd: int) -> int | None:
    """The x with this parity; None when there is none. RFC 8032, section 5.1.3."""
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if (x * x - square) % P or (x == 0 and odd):
        return None
    return P - x if x & 1 != odd else x
