"""What an operator does with the BOINC signing key: on the server's own database and bytes, or on a machine that has
neither. The files of the offline exchange are plain: each program under its name, its signature beside it in NAME.sig.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fallow.artifacts.filesystem import FilesystemStore
from fallow.artifacts.port import ArtifactStore
from fallow.artifacts.s3 import open_s3
from fallow.artifacts.signing import Signer
from fallow.clock import SystemClock
from fallow.control.boinc import key_file
from fallow.control.boinc.app_versions import AppVersions
from fallow.control.boinc.signing_key import SigningKeys, generate
from fallow.core.refusals import Code, Refusal
from fallow.core.rsa import RsaPrivate, RsaPublic
from fallow.protocols.boinc import names, signing
from fallow.settings import Settings
from fallow.store.opening import open_store
from fallow.wiring.runner import build_runner

Passphrase = Callable[[], str]
SIGNATURE: Final = ".sig"


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """fingerprint: SHA-256 of the public key's text, "" when there is no key. warning: "" when all is well."""

    fingerprint: str
    is_private_here: bool
    is_backed_up: bool
    signs_offline: bool
    version: int
    unsigned: int
    warning: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A program that was signed. sha256: for people to compare."""

    name: str
    sha256: str


class Desk:
    """One installation's key and programs."""

    def __init__(self, keys: SigningKeys, versions: AppVersions, *, offline: bool) -> None:
        self.keys = keys
        self.versions = versions
        self._offline = offline

    def status(self) -> KeyStatus:
        key = self.keys.current()
        newest = self.versions.newest_number()
        return KeyStatus(
            fingerprint="" if key is None else fingerprint(key.public),
            is_private_here=self.keys.private_kept() is not None,
            is_backed_up=self.keys.is_backed_up(),
            signs_offline=self._offline,
            version=newest,
            unsigned=len(self.versions.unsigned()),
            warning=self.keys.warning(),
        )

    def back_up(self, path: Path, passphrase: str = "") -> str:
        """Writes the whole key to a new file; its fingerprint. Raises Refusal NOT_FOUND when it is not here."""
        private = self.keys.private_kept()
        if private is None:
            raise Refusal(
                Code.NOT_FOUND,
                "The private half of the key is not here.",
                "It is on the machine where programs are signed; keep a copy of that file.",
            )
        write_secret(path, key_file.written(private, passphrase))
        self.keys.mark_backed_up(private.public)
        return fingerprint(private.public)

    def restore(self, path: Path, ask: Passphrase, *, replace: bool = False, old: Path | None = None) -> bool:
        """Brings a key from a file, whole or its public half, and signs with it what can be signed. False: it was here
        already. Whoever has such a file has a backup, so the key counts as backed up."""
        public, private = _read_key(path, ask)
        old_private = None if old is None else _whole(old, ask)
        changed = self.keys.install(public, private, replace=replace, old=old_private)
        if private is not None:
            self.keys.mark_backed_up(public)
        self.versions.sign_all()
        return changed

    def write_unsigned(self, folder: Path) -> list[Signed]:
        """Every program that waits for a signature, into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        found = []
        for row in self.versions.unsigned():
            (folder / row.file_name).write_bytes(self.versions.bytes_of(row))
            found.append(Signed(row.file_name, row.sha256))
        return found

    def install_signatures(self, folder: Path) -> list[str]:
        """Puts in the signatures of a folder, each checked; the names. Raises Refusal NOT_FOUND or BAD_REQUEST."""
        done = []
        for path in sorted(folder.glob("*" + SIGNATURE)):
            name = path.name.removesuffix(SIGNATURE)
            if not self.versions.install_signature(name, _small(path).decode("ascii", "replace")):
                raise Refusal(
                    Code.NOT_FOUND,
                    f"This server has no program {name[:100]!r}.",
                    "Take the folder that `fallow admin boinc-unsigned` wrote on this server.",
                )
            done.append(name)
        return done


@contextmanager
def open_desk(settings: Settings, *, make: bool = False) -> Iterator[Desk]:
    """The installation that these settings name. make: also where no server has been started yet.

    Raises Refusal SETTING_INVALID when there is none, STORAGE_UNREACHABLE.
    """
    if not settings.database:
        _check_there(settings.data_dir, make)
    store = open_store(settings.database_url)
    try:
        store.migrate()
        keys = SigningKeys(store, signing, offline=settings.boinc_sign_offline)
        versions = AppVersions(store, _artifacts(settings), SystemClock(), keys, signing)
        yield Desk(keys, versions, offline=settings.boinc_sign_offline)
    finally:
        store.close()


def make_key(path: Path, passphrase: str = "") -> str:
    """Makes a key: all of it in a new file, its public half in PATH.public; its fingerprint. Needs no server."""
    private = generate()
    public_path = path.with_name(path.name + ".public")
    if public_path.exists():
        raise _exists(public_path)
    write_secret(path, key_file.written(private, passphrase))
    public_path.write_text(signing.render_public(private.public), "ascii")
    return fingerprint(private.public)


def sign_folder(folder: Path, key: Path, ask: Passphrase, *, any_program: bool = False) -> list[Signed]:
    """Signs every program in a folder, each into NAME.sig. Needs no server and no network.

    any_program: also what this release itself would not build, so that a server which somebody broke into can have
    anything signed. Raises Refusal BAD_REQUEST for a key file that cannot be read or lacks the private half, and
    DIGEST_MISMATCH.
    """
    private = _whole(key, ask)
    own = None if any_program else build_runner()
    done = []
    for path in _programs(folder):
        data = path.read_bytes()
        if own not in (None, data):
            raise _not_built_here(path.name)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        path.with_name(path.name + SIGNATURE).write_text(signing.sign(md5, private), "ascii")
        done.append(Signed(path.name, hashlib.sha256(data).hexdigest()))
    return done


def _programs(folder: Path) -> list[Path]:
    try:
        found = sorted(each for each in folder.iterdir() if each.is_file() and each.suffix != SIGNATURE)
    except OSError as wrong:
        raise Refusal(Code.BAD_REQUEST, f"{folder} cannot be read: {wrong.strerror}.", "Name a folder.") from None
    for path in found:
        if not names.is_safe(path.name):
            raise Refusal(Code.BAD_REQUEST, f"{path.name[:100]!r} is no program's name.", "Take it out of the folder.")
    return found


def _not_built_here(name: str) -> Refusal:
    return Refusal(
        Code.DIGEST_MISMATCH,
        f"{name} is not the program that this release builds.",
        "Install the server's release here, and the same Python. Sign it with --any only if you know where it is from.",
    )


def fingerprint(key: RsaPublic) -> str:
    """For people to compare two keys."""
    return hashlib.sha256(signing.render_public(key).encode()).hexdigest()


def write_secret(path: Path, data: bytes) -> None:
    """A new file that only its owner can read, on the disk when this returns. Raises Refusal ALREADY_EXISTS."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as wrong:
        raise Refusal(Code.BAD_REQUEST, f"{path} cannot be written: {wrong.strerror}.", "Name another file.") from None
    with os.fdopen(file, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def _read_key(path: Path, ask: Passphrase) -> tuple[RsaPublic, RsaPrivate | None]:
    return key_file.read(_small(path), signing, ask)


def _whole(path: Path, ask: Passphrase) -> RsaPrivate:
    private = _read_key(path, ask)[1]
    if private is None:
        raise Refusal(Code.BAD_REQUEST, f"{path} holds only the public half of a key.", "Give the private key's file.")
    return private


def _small(path: Path) -> bytes:
    """A key's or signature's bytes; of a larger file as many as show that it is too large."""
    try:
        with path.open("rb") as file:
            return file.read(key_file.FILE_BYTES_MAX + 1)
    except OSError as wrong:
        raise Refusal(Code.BAD_REQUEST, f"{path} cannot be read: {wrong.strerror}.", "Name another file.") from None


def _check_there(data_dir: Path, make: bool) -> None:
    if (data_dir / "fallow.db").exists():
        return
    if not make:
        raise Refusal(
            Code.SETTING_INVALID,
            f"There is no installation in {data_dir}.",
            "Name the server's own --data-dir or --database, and run this where the server runs.",
        )
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)


def _artifacts(settings: Settings) -> ArtifactStore:
    if settings.objects.startswith("s3://"):
        return open_s3(settings.objects, os.environ)
    named = settings.objects.removeprefix("file://").removeprefix("file:")
    signer = Signer(secrets.token_bytes(32), settings.base_url)  # no URL is signed here
    root = Path(named) if named else settings.data_dir
    return FilesystemStore(root, signer, SystemClock().now, settings.reserve_bytes)


def _exists(path: Path) -> Refusal:
    return Refusal(Code.ALREADY_EXISTS, f"There is a file {path} already.", "Name another one; keys are not replaced.")
