"""BOINC users: who an account is to BOINC's clients, by which keys they come, and what they say for a password.

An account's key (BOINC: authenticator) is derived from the installation's secret, so that it can be shown again and is
in no row; rows know its SHA-256. It lies in plain text on volunteers' machines: so it never carries `operate`.
A weak key and a machine's own key only compute.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace
from typing import Final

from fallow.clock import Clock
from fallow.control.callers import OPERATORS, Caller
from fallow.control.passwords import Passwords
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros, Scope
from fallow.store.port import AccountRow, BoincUserRow, Store, Tx

KEY_CHARS: Final = 32  # BOINC's clients cut a key at 255; its database at 254; all its tools make 32
_KEY: Final = re.compile(r"[0-9a-f]{32}\Z")
_WEAK: Final = re.compile(r"([0-9]{1,15})_([0-9a-f]{32})\Z")


@dataclass(frozen=True, slots=True)
class BoincCaller:
    """Somebody who came with a BOINC key. user and account: whose it is. is_weak: it may only compute.
    key_id: of a machine's own key, else None; host_id: the machine that has it, None until one used it."""

    caller: Caller
    user: BoincUserRow
    account: AccountRow
    is_weak: bool = False
    key_id: str | None = None
    host_id: int | None = None

    @property
    def name(self) -> str:
        return self.account.name

    def check_host(self, host_id: int) -> None:
        """Raises Refusal FORBIDDEN when the key belongs to another machine."""
        if self.host_id not in (None, host_id):
            raise _anothers_key()


class BoincUsers:
    """Raises Refusal UNAUTHENTICATED for keys that open nothing and says no more about why, NOT_FOUND for other
    people's accounts, FORBIDDEN.

    secret: of the installation. passwords: what hashes them.
    """

    def __init__(self, store: Store, clock: Clock, passwords: Passwords, secret: bytes) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._secret = secret

    # who comes

    def identify(self, authenticator: str) -> BoincCaller:
        """Whose key this is: an account's, a weak one, or a machine's own."""
        with self._store.reading() as tx:
            return self.identify_in(tx, authenticator)

    def identify_in(self, tx: Tx, authenticator: str) -> BoincCaller:
        """The same in a transaction of the caller's: two or three rows, each by its index."""
        if _KEY.match(authenticator):
            return self._with_key(tx, hashlib.sha256(authenticator.encode()).hexdigest())
        weak = _WEAK.match(authenticator)
        user = tx.boinc_user_by_id(int(weak[1])) if weak else None
        if weak is None or user is None or not hmac.compare_digest(weak[2], self._weak_digest(user)):
            raise _unknown()
        account = _good_account(tx, user)
        return BoincCaller(_computing(account, f"boinc-{user.user_id}"), user, account, is_weak=True)

    def _with_key(self, tx: Tx, digest: str) -> BoincCaller:
        user = tx.boinc_user_by_key(digest)
        if user is not None:
            account = _good_account(tx, user)
            return BoincCaller(_submitting(account, f"boinc-{user.user_id}"), user, account)
        key = tx.worker_key(digest)
        user = tx.boinc_user(key.account_id) if key is not None and key.revoked_at is None else None
        if key is None or user is None:
            raise _unknown()
        account = _good_account(tx, user)
        return BoincCaller(_computing(account, key.key_id), user, account, True, key.key_id, key.host_id)

    def bind(self, key_id: str, host_id: int) -> None:
        """The machine's own key is this machine's from now on. Raises Refusal FORBIDDEN when it is another's."""
        with self._store.transaction() as tx:
            self.bind_in(tx, key_id, host_id)

    def bind_in(self, tx: Tx, key_id: str, host_id: int) -> None:
        """The same in a transaction of the caller's."""
        if not tx.bind_worker_key(key_id, host_id):
            raise _anothers_key()

    # keys

    def authenticator_of(self, account_id: str) -> str:
        """The account's key: 32 hexadecimal digits. Makes the account a BOINC user if it is none."""
        with self._store.reading() as tx:
            user = tx.boinc_user(account_id)
        return self.key_of(user or self._made(account_id))

    def key_of(self, user: BoincUserRow) -> str:
        """The key of a user whose row is at hand."""
        return self._derived(user.account_id, user.key_version)

    def weak_key_of(self, user: BoincUserRow) -> str:
        """A key that only computes; another one after each change of the password or the key.

        Source: BOINC html/inc/user_util.inc, weak_auth().
        """
        return f"{user.user_id}_{self._weak_digest(user)}"

    def shown(self, caller: Caller, account_id: str | None = None) -> str:
        """An account's key, for its owner or an operator. Raises Refusal STATE_CONFLICT for a disabled account."""
        return self.key_of(self.own_user(caller, account_id))

    def renew(self, caller: Caller, account_id: str | None = None) -> str:
        """A new key; the old one, and the weak key with it, open nothing any more."""
        user = self.own_user(caller, account_id)
        with self._store.transaction() as tx:
            now = tx.boinc_user(user.account_id) or user
            key = self._derived(user.account_id, now.key_version + 1)
            tx.save_boinc_user(replace(now, key_version=now.key_version + 1, key_sha256=_sha256(key)))
        return key

    def ensured(self, tx: Tx, account_id: str, now: Micros) -> BoincUserRow:
        """The account as a BOINC user, made one if it is none."""
        return tx.boinc_user(account_id) or tx.add_boinc_user(
            account_id, _sha256(self._derived(account_id, 1)), secrets.token_hex(16), now
        )

    def _made(self, account_id: str) -> BoincUserRow:
        with self._store.transaction() as tx:
            if tx.account(account_id) is None:
                raise _no_account()
            return self.ensured(tx, account_id, self._clock.now())

    def own_user(self, caller: Caller, account_id: str | None = None) -> BoincUserRow:
        """The caller's own, or an account's for operators. Raises Refusal STATE_CONFLICT for a disabled account."""
        with self._store.reading() as tx:
            account = own_account(tx, caller, account_id)
            user = tx.boinc_user(account.account_id)
        if account.disabled_at is not None:
            raise Refusal(Code.STATE_CONFLICT, "The account is disabled.", "Enable it first.")
        return user or self._made(account.account_id)

    def _derived(self, account_id: str, version: int) -> str:
        said = f"boinc-key\n{account_id}\n{version}".encode()
        return hmac.new(self._secret, said, hashlib.sha256).hexdigest()[:KEY_CHARS]

    def _weak_digest(self, user: BoincUserRow) -> str:
        return _md5(self.key_of(user) + (user.password or ""))

    # passwords

    def hashed(self, account: AccountRow, password: str) -> str | None:
        """What is kept so that BOINC's clients can find the account by this password; None without an address.
        Takes as long as any password: call it outside of transactions. Raises Refusal TOO_MANY."""
        return self._passwords.hash(passwd_hash_of(password, account.email)) if account.email else None

    def keep_password(self, tx: Tx, account_id: str, encoded: str | None) -> None:
        """encoded: from hashed(). None: it cannot be found by a password any more."""
        user = self.ensured(tx, account_id, self._clock.now()) if encoded else tx.boinc_user(account_id)
        if user is not None and user.password != encoded:
            tx.save_boinc_user(replace(user, password=encoded))


def own_account(tx: Tx, caller: Caller, account_id: str | None = None) -> AccountRow:
    """The caller's, or any for operators. Raises Refusal NOT_FOUND, FORBIDDEN for a worker's key."""
    caller.needs_owner()
    account = tx.account(account_id or caller.account_id)
    if account is None or not (caller.sees_all or caller.account_id == account.account_id):
        raise _no_account()
    return account


def passwd_hash_of(password: str, email: str) -> str:
    """What BOINC's clients send for a password. Source: BOINC client/acct_setup.cpp, get_passwd_hash()."""
    return _md5(password + email.lower())


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _submitting(account: AccountRow, key_id: str) -> Caller:
    """Operators may submit, also those of the first key, whose account has no scopes of its own."""
    submits = account.scopes & {Scope.SUBMIT, Scope.OPERATE} or account.account_id == OPERATORS
    may = frozenset({Scope.SUBMIT, Scope.WORK} if submits else {Scope.WORK})
    return Caller(key_id, account.account_id, may, account.name)


def _computing(account: AccountRow, key_id: str) -> Caller:
    return Caller(key_id, account.account_id, frozenset({Scope.WORK}), account.name)


def _good_account(tx: Tx, user: BoincUserRow) -> AccountRow:
    account = tx.account(user.account_id)
    if account is None or account.disabled_at is not None:
        raise _unknown()
    return account


def _unknown() -> Refusal:
    return Refusal(
        Code.UNAUTHENTICATED,
        "The account key is wrong, was renewed or revoked, or its account is disabled.",
        "Remove the project from BOINC and add it again with the key that your account page shows.",
    )


def _anothers_key() -> Refusal:
    return Refusal(
        Code.FORBIDDEN,
        "This key belongs to another machine: the first that used it.",
        "Make a key for this machine on your account page, or use your account's own key.",
    )


def _no_account() -> Refusal:
    return Refusal(Code.NOT_FOUND, "There is no such account.", "See fallow account list.")
