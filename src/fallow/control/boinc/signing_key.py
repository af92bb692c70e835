"""The key that volunteers' clients trust: made once, and kept in the installation's rows, the same for every process.

A client trusts the first key that it sees, for good. Who loses the key strands every volunteer; who steals it can run
programs on all their machines. Where programs are signed offline, only the public half is here.
"""

import hashlib
import json
import threading
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric import rsa

from fallow.core.refusals import Code, Refusal
from fallow.core.rsa import RsaPrivate, RsaPublic
from fallow.store.port import Store, Tx

_KEY: Final = "boinc_key"
_BACKED_UP: Final = "boinc_key_backed_up"  # of which key a copy was made
_SUCCESSOR: Final = "boinc_key_successor:"  # and the SHA-256 of the key that was replaced
_BITS: Final = 1024  # compiled into every client, and the least that can be made here
_EXPONENT: Final = 65537
_NO_KEY: Final = (
    "There is no BOINC signing key, so BOINC clients get no work. Make it on a machine that is not online with "
    "`fallow admin make-boinc-key FILE`, and bring FILE.public with `fallow admin restore-boinc-key FILE.public`."
)
_PRIVATE_HERE: Final = (
    "BOINC programs are signed offline, but the private key is still in the database. Back it up with "
    "`fallow admin backup-boinc-key FILE`, then run `fallow admin forget-boinc-private-key`."
)
_PUBLIC_ONLY: Final = (
    "Only the public half of the BOINC signing key is here, so new programs stay unsigned. Set "
    "FALLOW_BOINC_SIGN_OFFLINE=1 and sign them elsewhere, or bring the key with `fallow admin restore-boinc-key FILE`."
)
_NO_BACKUP: Final = (
    "The BOINC signing key is in the database and nowhere else; if it is lost, every volunteer must attach again. Run "
    "`fallow admin backup-boinc-key FILE` and keep FILE elsewhere."
)


class KeyForms(Protocol):
    """How keys and signatures are written: protocols/boinc/signing.py."""

    def parse_public(self, text: str) -> RsaPublic: ...
    def parse_private(self, text: str) -> RsaPrivate: ...
    def render_public(self, key: RsaPublic) -> str: ...
    def render_private(self, key: RsaPrivate) -> str: ...
    def sign(self, md5: str, key: RsaPrivate) -> str: ...
    def verify(self, md5: str, signature: str, key: RsaPublic) -> bool: ...
    def md5_of_key(self, text: str) -> str: ...
    def same_key(self, one: str, other: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class SigningKey:
    """public_text: as clients get it. private: None where programs are signed offline."""

    public_text: str
    public: RsaPublic
    private: RsaPrivate | None


@dataclass(frozen=True, slots=True)
class Successor:
    """What a client that holds a replaced key is told: the key after it, and the old key's signature of that."""

    public_text: str
    signature: str


def generate() -> RsaPrivate:
    """A new key, as weak as clients want it."""
    made = rsa.generate_private_key(public_exponent=_EXPONENT, key_size=_BITS).private_numbers()
    return RsaPrivate(made.public_numbers.n, made.public_numbers.e, made.d, made.p, made.q)


class SigningKeys:
    """The installation's key. offline: the private half is not used here, and none is made. Safe to use from many
    threads and processes."""

    def __init__(self, store: Store, forms: KeyForms, *, offline: bool = False) -> None:
        self._store = store
        self._forms = forms
        self._offline = offline
        self._lock = threading.Lock()
        self._known: tuple[str, SigningKey] | None = None

    def ensure(self) -> SigningKey | None:
        """The key; made now if there is none. None: it is to be made offline, and nobody has brought it yet."""
        found = self.current()
        if found is not None or self._offline:
            return found
        text = self._row(generate())
        with self._store.transaction() as tx:
            tx.add_setting(_KEY, text)
        return self.current()  # another process may have been faster

    def current(self) -> SigningKey | None:
        """The key as it is in the rows now."""
        with self._store.reading() as tx:
            text = tx.setting(_KEY)
        return None if text is None else self._parsed(text)

    def private_kept(self) -> RsaPrivate | None:
        """The private half if it is in the rows, also where it is not used."""
        with self._store.reading() as tx:
            text = tx.setting(_KEY)
        return None if text is None else self._private_of(text)

    def install(
        self,
        public: RsaPublic,
        private: RsaPrivate | None,
        *,
        replace: bool = False,
        old: RsaPrivate | None = None,
    ) -> bool:
        """Puts a key here; True if that changed anything. A private half is kept only where this server signs.

        old: the private half of the key that is replaced, where it is not here. With it the old key signs its
        successor, and clients follow; without it every client must remove the project and add it again. What the old
        key signed counts no more.
        Raises Refusal STATE_CONFLICT when there is another key and it is not to be replaced, or `old` is not its half,
        or its only private half is here and would be lost.
        """
        kept = None if self._offline else private
        with self._store.transaction() as tx:
            text = tx.setting(_KEY)
            before = None if text is None else self._parsed(text)
            if before is not None and before.public == public:
                if kept is None or before.private is not None:
                    return False
            elif before is not None and text is not None:
                if not replace:
                    raise _another()
                before_private = self._private_of(text)
                if before_private is not None and tx.setting(_BACKED_UP) != _fingerprint(before.public_text):
                    raise _no_backup()
                self._succeed(tx, before, old or before_private, public)
            tx.set_setting(_KEY, self._row_of(public, kept))
        return True

    def forget_private(self) -> bool:
        """Leaves only the public half here. False: there was no private one. Raises Refusal STATE_CONFLICT while no
        backup was made of it."""
        if not self.is_backed_up():
            raise _no_backup()
        with self._store.transaction() as tx:
            text = tx.setting(_KEY)
            if text is None or self._private_of(text) is None:
                return False
            tx.set_setting(_KEY, self._row_of(self._parsed(text).public, None))
        return True

    def successor_of(self, said: str) -> Successor | None:
        """What to tell a client that holds this key, if the key was replaced by its owner; None: the client must remove
        the project and add it again."""
        with self._store.reading() as tx:
            text = tx.setting(_SUCCESSOR + _fingerprint(said))
        return None if text is None else Successor(**json.loads(text))

    def mark_backed_up(self, public: RsaPublic) -> None:
        """Somebody has a copy of this key."""
        with self._store.transaction() as tx:
            tx.set_setting(_BACKED_UP, _fingerprint(self._forms.render_public(public)))

    def is_backed_up(self) -> bool:
        """Whether somebody has a copy of the key that is here. False when there is none."""
        with self._store.reading() as tx:
            text, marked = tx.setting(_KEY), tx.setting(_BACKED_UP)
        return text is not None and marked == _fingerprint(self._parsed(text).public_text)

    def warning(self) -> str:
        """What an operator should know at each start; "" when all is well."""
        key = self.current()
        if key is None:
            return _NO_KEY
        if self._offline:
            return _PRIVATE_HERE if self.private_kept() is not None else ""
        if key.private is None:
            return _PUBLIC_ONLY
        return "" if self.is_backed_up() else _NO_BACKUP

    def _parsed(self, text: str) -> SigningKey:
        with self._lock:
            if self._known is None or self._known[0] != text:
                public_text = json.loads(text)["public"]
                private = None if self._offline else self._private_of(text)
                self._known = (text, SigningKey(public_text, self._forms.parse_public(public_text), private))
            return self._known[1]

    def _private_of(self, text: str) -> RsaPrivate | None:
        private = json.loads(text)["private"]
        return self._forms.parse_private(private) if private else None

    def _row(self, private: RsaPrivate) -> str:
        return self._row_of(private.public, private)

    def _row_of(self, public: RsaPublic, private: RsaPrivate | None) -> str:
        private_text = "" if private is None else self._forms.render_private(private)
        return json.dumps({"public": self._forms.render_public(public), "private": private_text})

    def _succeed(self, tx: Tx, before: SigningKey, before_private: RsaPrivate | None, public: RsaPublic) -> None:
        """The old key's word for the new one; its signatures go."""
        for row in tx.app_versions():
            tx.sign_app_version(row.file_name, "")
        if before_private is None:
            return
        if before_private.public != before.public:
            raise Refusal(Code.STATE_CONFLICT, "The old private key that was given is not the one that is replaced.")
        after_text = self._forms.render_public(public)
        signature = self._forms.sign(self._forms.md5_of_key(after_text), before_private)
        said = json.dumps({"public_text": after_text, "signature": signature})
        tx.set_setting(_SUCCESSOR + _fingerprint(before.public_text), said)


def _fingerprint(public_text: str) -> str:
    return hashlib.sha256(" ".join(public_text.split()).encode()).hexdigest()


def _another() -> Refusal:
    return Refusal(
        Code.STATE_CONFLICT,
        "There is another key here, which every attached client trusts.",
        "With --replace it is replaced. Clients follow by themselves only when this server has the old private key; "
        "else every volunteer must remove the project and add it again.",
    )


def _no_backup() -> Refusal:
    return Refusal(
        Code.STATE_CONFLICT,
        "No backup was made of the key that is here, and it would be lost.",
        "Make one with `fallow admin backup-boinc-key FILE`.",
    )
