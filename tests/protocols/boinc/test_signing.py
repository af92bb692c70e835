"""Key texts and signatures: what BOINC's own server made is accepted, and what we make is what OpenSSL makes."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.control.boinc.key_file import written
from fallow.control.boinc.signing_key import generate
from fallow.core.refusals import Refusal
from fallow.core.rsa import RsaPrivate, RsaPublic
from fallow.protocols.boinc import signing

SIGNED = Path(__file__).parent / "signed"
PROGRAM = SIGNED / "noout_1.0_x86_64-pc-linux-gnu"
PUBLIC = (SIGNED / "code_sign_public").read_text()
SIGNATURE = (SIGNED / (PROGRAM.name + ".sig")).read_text()
KEY = generate()
MD5S = st.binary(min_size=16, max_size=16).map(bytes.hex)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_a_recorded_signature_verifies_and_holds_the_file_s_md5() -> None:
    key = signing.parse_public(PUBLIC)
    assert signing.verify(md5(PROGRAM), SIGNATURE, key)
    opened = key.opened(int("".join(SIGNATURE.split()[:-1]), 16)).to_bytes(128)
    assert opened == b"\x00\x01" + b"\xff" * 93 + b"\x00" + md5(PROGRAM).encode()


def test_a_recorded_key_is_written_as_it_was_read() -> None:
    assert signing.render_public(signing.parse_public(PUBLIC)) == PUBLIC


def test_a_key_has_the_lines_that_clients_want() -> None:
    public = signing.render_public(KEY.public).splitlines()
    assert [len(each) for each in public] == [4, *[64] * 8, 1]
    assert (public[0], public[-1], public[-2]) == ("1024", ".", "0" * 59 + "10001")
    private = signing.render_private(KEY).splitlines()
    assert [len(each) for each in private] == [4, *[64] * 22, 1]
    assert signing.parse_private(signing.render_private(KEY)) == KEY
    assert "..." in repr(KEY)
    assert str(KEY.p) not in repr(KEY)


@given(MD5S)
def test_what_is_signed_verifies_for_that_file_and_key_alone(digest: str) -> None:
    made = signing.sign(digest, KEY)
    assert [len(each) for each in made.splitlines()] == [64, 64, 64, 64, 1]
    assert signing.verify(digest, made, KEY.public)
    assert not signing.verify(f"{int(digest, 16) ^ 1:032x}", made, KEY.public)
    assert not signing.verify(digest, made, signing.parse_public(PUBLIC))


def test_openssl_makes_and_opens_the_same_signature(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(written(KEY))
    digest = md5(PROGRAM)
    (tmp_path / "digest").write_text(digest)
    padding = ["-pkeyopt", "rsa_padding_mode:pkcs1"]
    command = ["openssl", "pkeyutl", "-sign", "-inkey", "key.pem", "-in", "digest", *padding]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    assert made.hex() == "".join(signing.sign(digest, KEY).split()[:-1])
    (tmp_path / "signature").write_bytes(made)
    command = ["openssl", "pkeyutl", "-verifyrecover", "-inkey", "key.pem", "-in", "signature", *padding]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout == digest.encode()


@pytest.mark.parametrize(
    "signature",
    [
        "",
        ".",
        "\n",
        SIGNATURE.replace(".", ""),
        SIGNATURE.replace("0", "1"),
        SIGNATURE.replace("0", "g"),
        SIGNATURE[1:],
        SIGNATURE + "extra",
        "0" * 256 + " .",
        "f" * 256 + " .",
        "\u0660" * 256 + " .",
    ],
)
def test_what_is_no_signature_does_not_verify(signature: str) -> None:
    assert not signing.verify(md5(PROGRAM), signature, signing.parse_public(PUBLIC))


def test_a_signature_plus_the_modulus_is_refused() -> None:
    """It would open to the same message: one file has one signature."""
    key = next(each for each in iter(generate, None) if each.modulus < (1 << 1024) * 3 // 4)
    small = next(n for n in range(1000) if int(signature_of(key, n), 16) + key.modulus < 1 << 1024)
    digest = f"{small:032x}"
    moved = f"{int(signature_of(key, small), 16) + key.modulus:0256x} ."
    assert signing.verify(digest, signature_of(key, small) + " .", key.public)
    assert not signing.verify(digest, moved, key.public)


def signature_of(key: RsaPrivate, number: int) -> str:
    return "".join(signing.sign(f"{number:032x}", key).split()[:-1])


@pytest.mark.parametrize("digest", ["", "A" * 32, "0" * 31, "0" * 33, "0" * 32 + "\n"])
def test_only_an_md5_is_signed(digest: str) -> None:
    with pytest.raises(ValueError, match="no MD5"):
        signing.sign(digest, KEY)


BAD_TEXTS = {
    "nothing": "",
    "one line": "1024\n",
    "no end": PUBLIC.replace("\n.", ""),
    "another size": PUBLIC.replace("1024", "2048"),
    "a digit less": PUBLIC.replace("10001", "1001"),
    "no hexadecimal": PUBLIC.replace("f", "x"),
    "small modulus": signing.render_public(RsaPublic(3 * 5, 3)),
    "even exponent": signing.render_public(RsaPublic(signing.parse_public(PUBLIC).modulus, 4)),
    "no exponent": signing.render_public(RsaPublic(signing.parse_public(PUBLIC).modulus, 0)),
    "too long": PUBLIC + " " * 5000,
}


@pytest.mark.parametrize("text", BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(Refusal):
        signing.parse_public(text)


def test_a_private_key_whose_numbers_do_not_belong_together_is_refused() -> None:
    lines = signing.render_private(KEY).splitlines()
    for number in (1, 8, 12, 14, 16):  # modulus, exponent, private exponent, both primes
        wrong = [*lines]
        wrong[number] = wrong[number][:-1] + ("1" if wrong[number][-1] != "1" else "3")
        with pytest.raises(Refusal):
            signing.parse_private("\n".join(wrong))
    with pytest.raises(Refusal):
        signing.parse_private(PUBLIC)


@given(st.text(max_size=200) | st.text(alphabet="0123456789abcdef\n .", max_size=2000))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse in (signing.parse_public, signing.parse_private):
        with pytest.raises(Refusal):
            parse(text)
    assert not signing.verify("0" * 32, text, KEY.public)


@given(st.integers(0, len(PUBLIC) - 1), st.characters(max_codepoint=127))
def test_a_key_with_one_other_character_is_the_same_or_refused_or_another(at: int, char: str) -> None:
    text = PUBLIC[:at] + char + PUBLIC[at + 1 :]
    try:
        read = signing.parse_public(text)
    except Refusal:
        return
    assert (read == signing.parse_public(PUBLIC)) == (text.split() == PUBLIC.split() or text.lower() == PUBLIC)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (PUBLIC, True),
        ("\n  " + PUBLIC.strip(), True),
        (PUBLIC.replace("\n", "\r\n"), True),
        (PUBLIC.replace("f", "e"), False),
        ("", False),
        (PUBLIC * 5, False),
    ],
)
def test_keys_are_compared_without_what_surrounds_them(text: str, same: bool) -> None:
    assert signing.same_key(text, PUBLIC) is same


def test_a_successor_s_md5_is_over_the_trimmed_text() -> None:
    expected = hashlib.md5(PUBLIC.strip().encode()).hexdigest()
    assert signing.md5_of_key(PUBLIC) == expected == signing.md5_of_key("\n" + PUBLIC.strip())
