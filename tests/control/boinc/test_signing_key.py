"""The key is made once, whoever starts first, and replaced only when somebody insists."""

import subprocess
import threading
from pathlib import Path

import pytest

from fallow.control.boinc import key_file
from fallow.control.boinc.signing_key import SigningKeys, generate
from fallow.core.refusals import Code, Refusal
from fallow.core.rsa import RsaPublic
from fallow.protocols.boinc import signing
from fallow.store.port import Store

RECORDED = Path(__file__).parents[2] / "protocols" / "boinc" / "signed" / "code_sign_public"


@pytest.fixture
def keys(store: Store) -> SigningKeys:
    return SigningKeys(store, signing)


def refused(code: Code) -> "pytest.RaisesExc[Refusal]":
    return pytest.raises(Refusal, check=lambda refusal: refusal.code is code)


def no_passphrase() -> str:
    raise AssertionError("nobody should have asked")


def test_it_is_made_once_and_the_same_for_every_process(store: Store) -> None:
    made: list[object] = []
    threads = [threading.Thread(target=lambda: made.append(SigningKeys(store, signing).ensure())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 6
    assert len(set(made)) == 1
    kept = SigningKeys(store, signing).current()
    assert kept == made[0]
    assert kept is not None
    assert kept.private is not None
    assert kept.private.public == kept.public == signing.parse_public(kept.public_text)


def test_offline_none_is_made_and_the_private_half_is_not_used(store: Store, keys: SigningKeys) -> None:
    offline = SigningKeys(store, signing, offline=True)
    assert offline.ensure() is None
    assert "make-boinc-key" in offline.warning()
    key = generate()
    assert offline.install(key.public, key)
    found = offline.ensure()
    assert found is not None
    assert (found.public, found.private) == (key.public, None)
    assert offline.private_kept() is None, "it was brought, and not written down"
    assert offline.warning() == ""
    assert "public half" in keys.warning()


def test_a_public_half_can_be_made_whole_and_nothing_is_lost_by_bringing_it_again(keys: SigningKeys) -> None:
    key = generate()
    assert keys.install(key.public, None)
    assert keys.install(key.public, key)
    assert not keys.install(key.public, key)
    assert not keys.install(key.public, None)
    found = keys.current()
    assert found is not None
    assert found.private == key


def test_another_key_is_refused_unless_it_shall_replace(keys: SigningKeys) -> None:
    first = keys.ensure()
    assert first is not None
    other = generate()
    with refused(Code.STATE_CONFLICT):
        keys.install(other.public, other)
    with refused(Code.STATE_CONFLICT):
        keys.install(other.public, other, replace=True)
    assert keys.current() == first, "nobody has a copy of it"
    keys.mark_backed_up(first.public)
    assert keys.install(other.public, other, replace=True)
    assert keys.current() != first


def test_a_replaced_key_vouches_for_its_successor_if_it_is_whole(keys: SigningKeys) -> None:
    first = keys.ensure()
    assert first is not None
    keys.mark_backed_up(first.public)
    assert keys.successor_of(first.public_text) is None
    second, third, fourth = generate(), generate(), generate()
    keys.install(second.public, None, replace=True)
    after = keys.successor_of("\n " + first.public_text.replace("\n", "\r\n"))
    assert after is not None
    assert signing.parse_public(after.public_text) == second.public
    assert signing.verify(signing.md5_of_key(after.public_text), after.signature, first.public)
    with refused(Code.STATE_CONFLICT):
        keys.install(third.public, third, replace=True, old=fourth)
    keys.install(third.public, third, replace=True)
    assert keys.successor_of(signing.render_public(second.public)) is None, "its private half was not here"
    keys.mark_backed_up(third.public)
    keys.install(second.public, None, replace=True)
    keys.install(fourth.public, fourth, replace=True, old=second)
    vouched = keys.successor_of(signing.render_public(second.public))
    assert vouched is not None
    assert signing.verify(signing.md5_of_key(vouched.public_text), vouched.signature, second.public)


def test_the_private_half_goes_only_after_a_backup(store: Store, keys: SigningKeys) -> None:
    first = keys.ensure()
    assert first is not None
    assert "backup-boinc-key" in keys.warning()
    with refused(Code.STATE_CONFLICT):
        keys.forget_private()
    keys.mark_backed_up(generate().public)
    assert not keys.is_backed_up(), "that was another key"
    keys.mark_backed_up(first.public)
    assert keys.warning() == ""
    assert "still in the database" in SigningKeys(store, signing, offline=True).warning()
    assert keys.forget_private()
    assert not keys.forget_private()
    left = keys.current()
    assert left is not None
    assert (left.public, left.private, keys.private_kept()) == (first.public, None, None)


def test_a_key_file_is_read_in_each_of_its_forms(tmp_path: Path) -> None:
    key = generate()
    assert key_file.read(key_file.written(key), signing, no_passphrase) == (key.public, key)
    assert key_file.read(key_file.written(key, "pass"), signing, lambda: "pass") == (key.public, key)
    assert key_file.read(signing.render_private(key).encode(), signing, no_passphrase) == (key.public, key)
    assert key_file.read(signing.render_public(key.public).encode(), signing, no_passphrase) == (key.public, None)
    recorded = RECORDED.read_bytes()
    assert key_file.read(b"\n" + recorded, signing, no_passphrase) == (signing.parse_public(recorded.decode()), None)
    (tmp_path / "key.pem").write_bytes(key_file.written(key))
    openssl = ["openssl", "pkey", "-in", str(tmp_path / "key.pem")]
    old_form = subprocess.run([*openssl, "-traditional"], capture_output=True, check=True).stdout
    public_form = subprocess.run([*openssl, "-pubout"], capture_output=True, check=True).stdout
    assert key_file.read(old_form, signing, no_passphrase) == (key.public, key)
    assert key_file.read(public_form, signing, no_passphrase) == (key.public, None)


def test_a_file_without_a_key_is_refused(tmp_path: Path) -> None:
    sealed = key_file.written(generate(), "pass")
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, check=True).stdout
    large = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, check=True).stdout
    for data in (b"", b"\xff\xfe", b"hello", sealed[:200], made, large, b"x" * 100_000, sealed[:-30]):
        with refused(Code.BAD_REQUEST):
            key_file.read(data, signing, lambda: "pass")
    with refused(Code.BAD_REQUEST):
        key_file.read(sealed, signing, lambda: "wrong")


def test_a_sealed_key_cannot_be_read_without_its_passphrase() -> None:
    key = generate()
    sealed = key_file.written(key, "pass")
    assert b"ENCRYPTED" in sealed
    assert b"ENCRYPTED" not in key_file.written(key)


def test_a_generated_key_is_what_clients_can_read() -> None:
    key = generate()
    assert (key.modulus.bit_length(), key.exponent, key.is_sound) == (1024, 65537, True)
    assert RsaPublic(key.modulus, key.exponent) != generate().public
