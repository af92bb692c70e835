"""Versions of the runner, the one program that volunteers' clients are given: kept, numbered, signed, chosen.

Clients keep a program for ever under its name and its version's number, so neither is ever given to other bytes. The
bytes are kept under their own digest: two processes that publish at once cannot overwrite each other's.
"""

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fallow.artifacts.port import ArtifactStore
from fallow.clock import Clock
from fallow.control.boinc.signing_key import KeyForms, SigningKeys, Successor
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros
from fallow.store.port import AppVersionRow, Store

FIRST_VERSION: Final = 100
LINUX: Final = ("x86_64-pc-linux-gnu", "aarch64-unknown-linux-gnu")
MAC: Final = ("x86_64-apple-darwin", "arm64-apple-darwin")
ANY_CLIENT: Final = ""
DOCKER: Final = "docker"  # clients from 8.2 on, which found a container engine themselves
CUDA: Final = "cuda"  # the client sets an NVIDIA GPU aside
_PROGRAM: Final = "fallow-runner"
_PREFIX: Final = _PROGRAM + "_"
_CACHED_MICROS: Final = 5_000_000
_TRIES: Final = 20


class _NumberTaken(Exception):
    """Another process has just published a version of this number."""


@dataclass(frozen=True, slots=True)
class _Known:
    """rows: newest first."""

    at: Micros
    rows: tuple[AppVersionRow, ...]
    by_name: Mapping[str, AppVersionRow]
    key_text: str


class AppVersions:
    """The runner as clients get it. What other processes publish is seen seconds later. Safe to use from many
    threads."""

    def __init__(
        self, store: Store, artifacts: ArtifactStore, clock: Clock, keys: SigningKeys, forms: KeyForms
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._clock = clock
        self._keys = keys
        self._forms = forms
        self._lock = threading.Lock()
        self._known: _Known | None = None

    def publish(self, program: bytes) -> int:
        """Makes these bytes the newest version, if they are not, and signs what can be signed; its number.

        Raises Refusal STORAGE_FULL, STORAGE_UNREACHABLE, or STATE_CONFLICT when many others publish all the time.
        """
        sha256 = hashlib.sha256(program).hexdigest()
        key = f"boinc/download/{sha256}"
        for _ in range(_TRIES):
            with self._store.reading() as tx:
                rows = tx.app_versions()
            newest = _newest_number(rows)
            if _kinds() <= {(row.platform, row.plan_class) for row in _of(rows, newest) if row.sha256 == sha256}:
                break
            if self._artifacts.head(key) is None:
                self._artifacts.put(key, [program])
            if self._add(_rows(newest + 1, key, program, self._clock.now())):
                newest += 1
                break
        else:
            raise Refusal(Code.STATE_CONFLICT, "Other processes publish versions of the runner all the time.")
        self.sign_all()
        return newest

    def sign_all(self) -> int:
        """Signs every version that nobody signed, if the private key is here; how many that were."""
        key = self._keys.current()
        signed = 0
        if key is not None and key.private is not None:
            for row in self.unsigned():
                signed += self.install_signature(row.file_name, self._forms.sign(row.md5, key.private))
        self.refresh()
        return signed

    def unsigned(self) -> list[AppVersionRow]:
        """Those of the newest version that nobody signed; older ones need no signature any more."""
        with self._store.reading() as tx:
            rows = tx.app_versions()
        return [row for row in _of(rows, _newest_number(rows)) if not row.signature]

    def newest_number(self) -> int:
        """Of the newest version, signed or not; 99 when there is none."""
        with self._store.reading() as tx:
            return _newest_number(tx.app_versions())

    def bytes_of(self, row: AppVersionRow) -> bytes:
        """A version's bytes. Raises Refusal NOT_FOUND when they are lost."""
        return self._artifacts.read(row.artifact_key, 0, row.size_bytes)

    def install_signature(self, file_name: str, signature: str) -> bool:
        """Puts in a signature that was made elsewhere; False when there is no such file.

        Raises Refusal BAD_REQUEST when the key did not sign this file.
        """
        key = self._keys.current()
        with self._store.transaction() as tx:
            row = next((each for each in tx.app_versions() if each.file_name == file_name), None)
            if row is None:
                return False
            if key is None or not self._forms.verify(row.md5, signature, key.public):
                raise Refusal(
                    Code.BAD_REQUEST,
                    f"The signature of {file_name} was not made with this server's key.",
                    "Sign the files again, with the key whose public half is here.",
                )
            done = tx.sign_app_version(file_name, signature)
        self.refresh()
        return done

    def newest(self, platforms: Sequence[str], plan_classes: Sequence[str] = (ANY_CLIENT,)) -> AppVersionRow | None:
        """The newest signed version for a client: of the first platform it names that we have, and of that the first of
        these plan classes. None: there is none, see why_none()."""
        rows = self._now().rows
        for platform in platforms:
            of_platform = [row for row in rows if row.platform == platform and row.signature]
            for plan_class in plan_classes:
                for row in of_platform:
                    if row.plan_class == plan_class:
                        return row
        return None

    def knows(self, platforms: Sequence[str]) -> bool:
        """Whether there is a program for one of these, signed or not."""
        return bool({row.platform for row in self._now().rows} & set(platforms))

    def why_none(self, platforms: Sequence[str]) -> str:
        """For the volunteer: why there is no program for this client."""
        if not self.knows(platforms):
            ours = ", ".join((*LINUX, *MAC))
            return f"This project has no program for {', '.join(platforms) or 'this client'}. It has: {ours}."
        return "This project's program is not signed yet. Its operator must sign it; no need to do anything here."

    def file(self, file_name: str) -> AppVersionRow | None:
        """The version with this file; None for a name that we never gave."""
        found = self._now().by_name.get(file_name)
        if found is None and file_name.startswith(_PREFIX):  # another process may just have named it to a client
            self.refresh()
            found = self._now().by_name.get(file_name)
        return found

    def code_sign_key(self) -> str:
        """The public key as clients get it; "" while there is none."""
        return self._now().key_text

    def has_key(self, said: str) -> bool:
        """Whether a client that says this key has ours."""
        if self._forms.same_key(self.code_sign_key(), said):
            return True
        self.refresh()  # another process may just have told it a new one
        return self._forms.same_key(self.code_sign_key(), said)

    def successor_of(self, said: str) -> Successor | None:
        """What to tell a client that holds another key; None: that it must remove the project and add it again."""
        return self._keys.successor_of(said)

    def refresh(self) -> None:
        """Forgets what was read."""
        with self._lock:
            self._known = None

    def _add(self, rows: Sequence[AppVersionRow]) -> bool:
        """All of them, or none when somebody else has taken the number."""
        try:
            with self._store.transaction() as tx:
                for row in rows:
                    if not tx.add_app_version(row):
                        raise _NumberTaken
        except _NumberTaken:
            return False
        return True

    def _now(self) -> _Known:
        now, known = self._clock.now(), self._known
        if known is not None and 0 <= now - known.at < _CACHED_MICROS:
            return known
        key = self._keys.current()
        with self._store.reading() as tx:
            rows = tx.app_versions()
        rows.sort(key=lambda row: row.version_num, reverse=True)  # whatever the clocks said
        made = _Known(now, tuple(rows), {row.file_name: row for row in rows}, "" if key is None else key.public_text)
        with self._lock:
            self._known = made
        return made


def _newest_number(rows: Iterable[AppVersionRow]) -> int:
    return max((row.version_num for row in rows), default=FIRST_VERSION - 1)


def _of(rows: Iterable[AppVersionRow], version_num: int) -> list[AppVersionRow]:
    return [row for row in rows if row.version_num == version_num]


def _kinds() -> set[tuple[str, str]]:
    """Every (platform, plan class) that there is a version for."""
    everywhere = {(platform, each) for platform in (*LINUX, *MAC) for each in (ANY_CLIENT, DOCKER)}
    return everywhere | {(platform, CUDA) for platform in LINUX}


def _rows(version_num: int, key: str, program: bytes, now: Micros) -> list[AppVersionRow]:
    sha256, md5 = hashlib.sha256(program).hexdigest(), hashlib.md5(program, usedforsecurity=False).hexdigest()
    return [
        AppVersionRow(
            platform=platform,
            plan_class=plan_class,
            version_num=version_num,
            file_name="_".join(each for each in (_PROGRAM, str(version_num), platform, plan_class) if each),
            artifact_key=key,
            sha256=sha256,
            md5=md5,
            size_bytes=len(program),
            created_at=now,
        )
        for platform, plan_class in sorted(_kinds())  # one order: two processes never wait for each other
    ]
