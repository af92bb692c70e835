"""Signatures are checked by one library and made by another: they must agree."""

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from fallow.control.signatures import checker

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@given(st.binary(max_size=200), st.integers(0, 511))
def test_both_libraries_say_the_same_of_good_and_bent_signatures(message: bytes, bit: int) -> None:
    good = KEY.sign(message)
    bent = bytearray(good)
    bent[bit // 8] ^= 1 << bit % 8
    assert checker(PUBLIC)(message, good)
    assert not checker(PUBLIC)(message, bytes(bent))
    with pytest.raises(InvalidSignature):
        KEY.public_key().verify(bytes(bent), message)


@given(st.binary(max_size=100))
def test_junk_is_no_signature(junk: bytes) -> None:
    assert not checker(PUBLIC)(b"message", junk)


@pytest.mark.parametrize("raw", [b"", b"short", b"k" * 33])
def test_what_cannot_be_a_key_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        checker(raw)
