"""Versions of the runner: never two contents under one number or name, and clients get only what the key has signed."""

import hashlib
import threading
from pathlib import Path

import pytest

from fallow.artifacts.filesystem import FilesystemStore
from fallow.artifacts.port import ArtifactStore
from fallow.artifacts.signing import Signer
from fallow.clock import ManualClock
from fallow.control.boinc.app_versions import ANY_CLIENT, CUDA, DOCKER, FIRST_VERSION, AppVersions
from fallow.control.boinc.signing_key import SigningKeys, generate
from fallow.core.refusals import Code, Refusal
from fallow.protocols.boinc import signing
from fallow.store.port import Store

ONE, TWO = b"#!/bin/sh\necho one\n", b"#!/bin/sh\necho two\n"
AMD, ARM = "x86_64-pc-linux-gnu", "aarch64-unknown-linux-gnu"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def artifacts(tmp_path: Path, clock: ManualClock) -> ArtifactStore:
    return FilesystemStore(tmp_path / "bytes", Signer(b"k" * 32, "http://x"), clock.now, 0)


@pytest.fixture
def keys(store: Store) -> SigningKeys:
    made = SigningKeys(store, signing)
    made.ensure()
    return made


@pytest.fixture
def versions(store: Store, artifacts: ArtifactStore, clock: ManualClock, keys: SigningKeys) -> AppVersions:
    return AppVersions(store, artifacts, clock, keys, signing)


def test_the_first_version_is_signed_and_given_out(versions: AppVersions, keys: SigningKeys) -> None:
    assert versions.newest([AMD]) is None
    assert versions.publish(ONE) == FIRST_VERSION
    row = versions.newest([AMD])
    key = keys.current()
    assert row is not None
    assert key is not None
    assert (row.file_name, row.version_num) == (f"fallow-runner_100_{AMD}", 100)
    assert (row.size_bytes, row.md5) == (len(ONE), hashlib.md5(ONE).hexdigest())
    assert signing.verify(row.md5, row.signature, signing.parse_public(versions.code_sign_key()))
    assert len(row.signature.splitlines()) == 5
    assert versions.bytes_of(row) == ONE
    assert versions.file(row.file_name) == row
    assert versions.unsigned() == []


def test_the_same_bytes_are_no_new_version_and_others_are(versions: AppVersions) -> None:
    versions.publish(ONE)
    assert versions.publish(ONE) == FIRST_VERSION
    assert versions.publish(TWO) == FIRST_VERSION + 1
    assert versions.publish(ONE) == FIRST_VERSION + 2, "back to what was before: clients want a new number"
    newest = versions.newest([AMD])
    assert newest is not None
    assert (newest.version_num, versions.bytes_of(newest)) == (FIRST_VERSION + 2, ONE)
    older = versions.file(f"fallow-runner_101_{AMD}")
    assert older is not None
    assert versions.bytes_of(older) == TWO


def test_processes_that_start_at_once_publish_one_version_of_each(
    store: Store, artifacts: ArtifactStore, clock: ManualClock, keys: SigningKeys
) -> None:
    programs = [ONE, TWO] * 4
    failed: list[Exception] = []

    def start(program: bytes) -> None:
        try:
            AppVersions(store, artifacts, clock, SigningKeys(store, signing), signing).publish(program)
        except Exception as wrong:  # noqa: BLE001  shown below
            failed.append(wrong)

    threads = [threading.Thread(target=start, args=(program,)) for program in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    with store.reading() as tx:
        rows = tx.app_versions()
    by_name = {row.file_name: row for row in rows}
    assert len(by_name) == len(rows)
    by_number = {row.version_num: {each.sha256 for each in rows if each.version_num == row.version_num} for row in rows}
    assert all(len(contents) == 1 for contents in by_number.values())
    assert sorted(by_number) == [*range(FIRST_VERSION, FIRST_VERSION + len(by_number))]
    assert 2 <= len(by_number) <= len(programs)
    whole = AppVersions(store, artifacts, clock, keys, signing)
    assert all(hashlib.sha256(whole.bytes_of(row)).hexdigest() == row.sha256 for row in rows)


@pytest.mark.parametrize(
    ("platforms", "plan_classes", "expected"),
    [
        ([AMD], [ANY_CLIENT], f"fallow-runner_100_{AMD}"),
        (["windows_x86_64", ARM, AMD], [ANY_CLIENT], f"fallow-runner_100_{ARM}"),
        ([AMD], [DOCKER, ANY_CLIENT], f"fallow-runner_100_{AMD}_docker"),
        ([AMD], [CUDA], f"fallow-runner_100_{AMD}_cuda"),
        (["arm64-apple-darwin"], [CUDA], None),
        (["arm64-apple-darwin"], [CUDA, ANY_CLIENT], "fallow-runner_100_arm64-apple-darwin"),
        (["x86_64-apple-darwin"], [DOCKER], "fallow-runner_100_x86_64-apple-darwin_docker"),
        (["windows_x86_64"], [ANY_CLIENT], None),
        ([AMD], [], None),
        ([], [ANY_CLIENT], None),
    ],
)
def test_a_client_gets_the_first_of_its_platforms_and_of_these_classes(
    versions: AppVersions, platforms: list[str], plan_classes: list[str], expected: str | None
) -> None:
    versions.publish(ONE)
    found = versions.newest(platforms, plan_classes)
    assert (found.file_name if found else None) == expected


def test_signed_offline_the_newest_signed_one_is_given_out_meanwhile(
    store: Store, artifacts: ArtifactStore, clock: ManualClock
) -> None:
    key = generate()
    keys = SigningKeys(store, signing, offline=True)
    versions = AppVersions(store, artifacts, clock, keys, signing)
    versions.publish(ONE)
    assert versions.code_sign_key() == ""
    keys.install(key.public, None)
    versions.refresh()
    assert versions.has_key("\n" + signing.render_public(key.public))
    assert versions.newest([AMD]) is None
    assert "not signed yet" in versions.why_none([AMD])
    assert "windows_x86_64" in versions.why_none(["windows_x86_64"])
    waiting = versions.unsigned()
    assert len(waiting) == 10
    for row in waiting:
        assert versions.install_signature(row.file_name, signing.sign(row.md5, key))
    versions.publish(TWO)
    given = versions.newest([AMD])
    assert given is not None
    assert given.version_num == FIRST_VERSION
    assert {row.version_num for row in versions.unsigned()} == {FIRST_VERSION + 1}


def test_a_signature_of_another_file_or_key_is_refused(
    store: Store, artifacts: ArtifactStore, clock: ManualClock
) -> None:
    key = generate()
    keys = SigningKeys(store, signing, offline=True)
    keys.install(key.public, None)
    versions = AppVersions(store, artifacts, clock, keys, signing)
    versions.publish(ONE)
    row = versions.unsigned()[0]
    for signature in ("", "nonsense", signing.sign("0" * 32, key), signing.sign(row.md5, generate())):
        with pytest.raises(Refusal, check=lambda refusal: refusal.code is Code.BAD_REQUEST):
            versions.install_signature(row.file_name, signature)
    assert not versions.install_signature("fallow-runner_999_" + AMD, signing.sign(row.md5, key))
    assert len(versions.unsigned()) == 10


def test_a_new_key_signs_the_newest_version_again(versions: AppVersions, keys: SigningKeys) -> None:
    versions.publish(ONE)
    versions.publish(TWO)
    old = versions.code_sign_key()
    other = generate()
    keys.mark_backed_up(signing.parse_public(old))
    keys.install(other.public, other, replace=True)
    versions.refresh()
    assert versions.newest([AMD]) is None, "nothing that the old key signed is given out"
    assert versions.sign_all() == 10
    row = versions.newest([AMD])
    assert row is not None
    assert signing.verify(row.md5, row.signature, other.public)
    assert not versions.has_key(old)
    successor = versions.successor_of(old)
    assert successor is not None
    assert signing.verify(signing.md5_of_key(versions.code_sign_key()), successor.signature, signing.parse_public(old))


def test_what_others_publish_is_seen_after_seconds(
    versions: AppVersions, store: Store, artifacts: ArtifactStore, clock: ManualClock, keys: SigningKeys
) -> None:
    versions.publish(ONE)
    assert versions.newest([AMD]) is not None
    AppVersions(store, artifacts, clock, keys, signing).publish(TWO)
    clock.advance(6)
    row = versions.newest([AMD])
    assert row is not None
    assert row.version_num == FIRST_VERSION + 1


def test_what_another_process_told_a_client_is_known_at_once(
    versions: AppVersions, store: Store, artifacts: ArtifactStore, clock: ManualClock, keys: SigningKeys
) -> None:
    """Its file is asked for here, and its new key is said here, before what was read is read again."""
    versions.publish(ONE)
    assert versions.newest([AMD]) is not None
    AppVersions(store, artifacts, clock, keys, signing).publish(TWO)
    assert versions.file(f"fallow-runner_101_{AMD}") is not None
    old, other = versions.code_sign_key(), generate()
    keys.mark_backed_up(signing.parse_public(old))
    keys.install(other.public, other, replace=True)
    assert versions.code_sign_key() == old
    assert versions.has_key(signing.render_public(other.public))
    assert not versions.has_key(old)
    assert versions.file("fallow-runner_102_x") is None
