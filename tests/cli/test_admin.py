"""fallow admin, as an operator types it: on an installation, beside it, and on a machine that has none."""

import hashlib
import json
import stat
from pathlib import Path

import pytest

from fallow.protocols.boinc import signing
from fallow.settings import Settings
from fallow.wiring.boinc_admin import open_desk
from fallow.wiring.runner import build_runner
from tests.cli.command import fallow
from tests.servers.radosgw import S3Server

PROGRAM = b"#!/bin/sh\nexit 0\n"
RECORDED = Path(__file__).parents[1] / "protocols" / "boinc" / "signed" / "code_sign_public"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data directory in which a server has made its key and published a program."""
    with open_desk(Settings(data_dir=tmp_path / "data"), make=True) as desk:
        desk.keys.ensure()
        desk.versions.publish(PROGRAM)
    return tmp_path


def status(home: Path, *, offline: bool = False) -> dict[str, object]:
    ran = fallow(
        "admin", "boinc-key-status", "--data-dir", home / "data", "--json", FALLOW_BOINC_SIGN_OFFLINE=f"{offline:d}"
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, object] = json.loads(ran.stdout)
    return found


def admin(home: Path, *words: str | Path, code: int = 0, offline: bool = False, passphrase: str = "") -> str:
    """What it says on both channels."""
    ran = fallow("admin", *words, cwd=home, FALLOW_BOINC_SIGN_OFFLINE=f"{offline:d}", FALLOW_KEY_PASSPHRASE=passphrase)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stdout + ran.stderr


def test_a_backup_brings_the_same_key_to_a_new_installation(home: Path) -> None:
    assert status(home)["is_backed_up"] is False
    admin(home, "backup-boinc-key", "key.pem", "--encrypt", "--data-dir", "data", passphrase="sesame")
    assert stat.S_IMODE((home / "key.pem").stat().st_mode) == 0o600
    assert b"ENCRYPTED" in (home / "key.pem").read_bytes()
    there = status(home)
    assert (there["is_backed_up"], there["warning"]) == (True, "")
    refused = admin(home, "restore-boinc-key", "key.pem", "--data-dir", "new", code=2, passphrase="wrong")
    assert "passphrase" in refused
    admin(home, "restore-boinc-key", "key.pem", "--data-dir", "new", passphrase="sesame")
    with open_desk(Settings(data_dir=home / "new")) as desk:
        assert desk.status().fingerprint == there["fingerprint"]
        assert desk.status().is_private_here


def test_an_existing_file_is_never_overwritten(home: Path) -> None:
    (home / "precious").write_text("mine")
    said = admin(home, "backup-boinc-key", "precious", "--data-dir", "data", code=2)
    assert "already" in said
    admin(home, "make-boinc-key", "precious", code=2)
    assert (home / "precious").read_text() == "mine"
    assert status(home)["is_backed_up"] is False
    admin(home, "backup-boinc-key", "nowhere/key.pem", "--data-dir", "data", code=2)


def test_another_key_needs_a_word_and_a_backup(home: Path) -> None:
    before = status(home)["fingerprint"]
    admin(home, "make-boinc-key", "new.pem")
    restore = ("restore-boinc-key", "new.pem", "--data-dir", "data")
    assert "remove the project and add it again" in admin(home, *restore, code=2)
    assert "would be lost" in admin(home, *restore, "--replace", code=2)
    assert status(home)["fingerprint"] == before
    admin(home, "backup-boinc-key", "old.pem", "--data-dir", "data")
    admin(home, *restore, "--replace")
    now = status(home)
    assert now["fingerprint"] != before
    assert (now["unsigned"], now["is_backed_up"]) == (0, True)


def test_a_project_s_own_key_comes_along(home: Path) -> None:
    key = home / "code_sign_private"
    with open_desk(Settings(data_dir=home / "data")) as desk:
        private = desk.keys.private_kept()
        assert private is not None
        key.write_text(signing.render_private(private))
    admin(home, "restore-boinc-key", key, "--data-dir", "moved")
    admin(home, "restore-boinc-key", RECORDED, "--data-dir", "recorded")
    with open_desk(Settings(data_dir=home / "moved")) as desk:
        assert desk.keys.private_kept() == private
    with open_desk(Settings(data_dir=home / "recorded")) as desk:
        found = desk.keys.current()
        assert found is not None
        assert (found.public_text, found.private) == (RECORDED.read_text(), None)


def test_signing_offline_from_end_to_end(tmp_path: Path) -> None:
    admin(tmp_path, "make-boinc-key", "key.pem", "--encrypt", passphrase="sesame")
    admin(tmp_path, "make-boinc-key", "other.pem")
    admin(tmp_path, "restore-boinc-key", "key.pem.public", "--data-dir", "data", offline=True)
    settings = Settings(data_dir=tmp_path / "data", boinc_sign_offline=True)
    with open_desk(settings) as desk:
        desk.versions.publish(PROGRAM)
    assert status(tmp_path, offline=True)["unsigned"] == 10
    said = admin(tmp_path, "boinc-unsigned", "programs", "--data-dir", "data", offline=True)
    assert said.count(hashlib.sha256(PROGRAM).hexdigest()) == 10
    sign = ("boinc-sign", "programs", "--key", "key.pem")
    assert "not the program" in admin(tmp_path, *sign, code=2, passphrase="sesame")
    install = ("boinc-install-signatures", "programs", "--data-dir", "data")
    admin(tmp_path, "boinc-sign", "programs", "--key", "other.pem", "--any")
    assert "not made with this server's key" in admin(tmp_path, *install, code=2, offline=True)
    assert status(tmp_path, offline=True)["unsigned"] == 10
    admin(tmp_path, *sign, "--any", passphrase="sesame")
    assert "0 programs still unsigned" in admin(tmp_path, *install, offline=True)
    (tmp_path / "programs" / "stranger.sig").write_text("x")
    assert "no program" in admin(tmp_path, *install, code=2, offline=True)
    with open_desk(settings) as desk:
        assert desk.versions.newest(["x86_64-pc-linux-gnu"]) is not None
        assert desk.keys.private_kept() is None


def test_a_server_that_signed_for_itself_goes_offline(home: Path) -> None:
    assert "would be lost" in admin(home, "forget-boinc-private-key", "--data-dir", "data", code=2)
    admin(home, "backup-boinc-key", "key.pem", "--data-dir", "data")
    assert "still in the database" in str(status(home, offline=True)["warning"])
    admin(home, "forget-boinc-private-key", "--data-dir", "data")
    now = status(home, offline=True)
    assert (now["is_private_here"], now["warning"]) == (False, "")
    assert "not here" in admin(home, "backup-boinc-key", "again.pem", "--data-dir", "data", code=2)


@pytest.mark.parametrize(
    "words",
    [
        ("boinc-key-status", "--data-dir", "nowhere"),
        ("boinc-unsigned", "programs", "--data-dir", "nowhere"),
        ("restore-boinc-key", "missing.pem", "--data-dir", "data"),
        ("restore-boinc-key", "data", "--data-dir", "data"),
        ("boinc-sign", "nowhere", "--key", "missing.pem"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(home: Path, words: tuple[str, ...]) -> None:
    assert admin(home, *words, code=2).startswith("error [")
    assert not (home / "nowhere").exists()


@pytest.mark.postgres
@pytest.mark.s3
def test_rows_and_bytes_elsewhere(
    tmp_path: Path, postgres_url: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same on PostgreSQL and S3, where no data directory is needed."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    places = ("--database", postgres_url, "--objects", s3_server.uri(tmp_path.name))
    admin(tmp_path, "make-boinc-key", "key.pem")
    admin(tmp_path, "restore-boinc-key", "key.pem.public", *places, offline=True)
    there = Settings(data_dir=tmp_path / "none", database=postgres_url, objects=places[3], boinc_sign_offline=True)
    with open_desk(there) as desk:
        desk.versions.publish(build_runner())
    admin(tmp_path, "boinc-unsigned", "programs", *places, offline=True)
    admin(tmp_path, "boinc-sign", "programs", "--key", "key.pem")
    assert "0 programs still unsigned" in admin(tmp_path, "boinc-install-signatures", "programs", *places, offline=True)
    assert not there.data_dir.exists()
