"""The entrance: signing in with a password, a key or an identity provider's word. Guessing gets slower and slower.

Tries are counted by e-mail address and by network address. After a few, each further one must wait twice as long as
the one before, a quarter of an hour at most: nobody is locked out for ever. While a name waits, the right password is
refused too, so a guess during the wait tells nothing.
"""

import math
import secrets
from dataclasses import dataclass, replace
from typing import Final

from fallow.clock import Clock
from fallow.control.callers import Keys
from fallow.control.passwords import Passwords
from fallow.control.sessions import Sessions
from fallow.core.people import account_id_from, checked_email, checked_name
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros, Scope
from fallow.settings import Settings
from fallow.store.port import AccountRow, Store, SubmitRight, Tx

_FREE: Final = {"email": 5, "address": 20}  # tries without a wait; a whole office may share one network address
_WAIT_SECONDS_MAX: Final = 900
_REMEMBERED_MICROS: Final = 86_400_000_000
_SWEEP_MICROS: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Browser:
    """Who knocks. cookie: of the session it had, if any."""

    address: str
    agent: str
    cookie: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is, as an identity provider says it. email: only one that the provider has confirmed."""

    issuer: str
    subject: str
    name: str
    email: str | None


class Entrance:
    """Each way in gives a new session's cookie. Raises Refusal UNAUTHENTICATED or TOO_MANY."""

    def __init__(
        self, store: Store, clock: Clock, keys: Keys, passwords: Passwords, sessions: Sessions, settings: Settings
    ) -> None:
        self._store = store
        self._clock = clock
        self._keys = keys
        self._passwords = passwords
        self._sessions = sessions
        self._sign_up = settings.oidc_sign_up
        self._swept = Micros(0)

    def with_password(self, email: str, password: str, browser: Browser) -> str:
        """An unknown address takes as long as a wrong password, and is refused in the same words."""
        try:
            email = checked_email(email.strip())
        except Refusal:
            email = ""
        tries = [f"address {browser.address}", *([f"email {email}"] if email else [])]
        self._count(tries)
        with self._store.reading() as tx:
            account = tx.account_by_email(email) if email else None
        right = self._passwords.is_right(account.password if account else None, password)
        if account is None or account.password is None or not right or account.disabled_at is not None:
            raise Refusal(
                Code.UNAUTHENTICATED,
                "The e-mail address or the password is wrong.",
                "Try again, or ask an operator for a new password link.",
            )
        renewed = self._passwords.hash(password) if self._passwords.is_old(account.password) else None
        with self._store.transaction() as tx:
            if renewed:
                tx.set_password(account.account_id, renewed)
            self._forgive(tx, tries)
            return self._sessions.begin(tx, account.account_id, None, browser.agent, browser.cookie)

    def with_key(self, key: str, browser: Browser) -> str:
        """With an API key; the session may do what the key may, as long as the key is good."""
        tries = [f"address {browser.address}"]
        self._count(tries)
        caller = self._keys.authenticate(key.strip())
        with self._store.transaction() as tx:
            self._forgive(tx, tries)
            return self._sessions.begin(tx, caller.account_id, caller.key_id, browser.agent, browser.cookie)

    def with_identity(self, identity: Identity, browser: Browser) -> str:
        """Somebody whom an identity provider vouches for. Raises Refusal FORBIDDEN for a stranger, where strangers are
        not signed up."""
        now = self._clock.now()
        with self._store.transaction() as tx:
            account_id = tx.identity(identity.issuer, identity.subject)
            account = tx.account(account_id) if account_id else None
            if account is None:
                account = self._signed_up(tx, identity, now)
                tx.add_identity(identity.issuer, identity.subject, account.account_id, now)
            if account.disabled_at is not None:
                raise Refusal(Code.UNAUTHENTICATED, "This account is disabled.", "Ask an operator.")
            return self._sessions.begin(tx, account.account_id, None, browser.agent, browser.cookie)

    def _signed_up(self, tx: Tx, identity: Identity, now: Micros) -> AccountRow:
        """A submitter who may not submit yet: an operator grants that."""
        if not self._sign_up:
            raise Refusal(
                Code.FORBIDDEN,
                "Nobody here knows you yet.",
                "Ask an operator to link your account, or to switch on oidc_sign_up.",
            )
        row = AccountRow(
            account_id=account_id_from(identity.name),
            name=_name(identity.name),
            created_at=now,
            scopes=frozenset({Scope.SUBMIT}),
            email=_email(tx, identity.email),
            email_confirmed_at=now if identity.email else None,
            submit_right=SubmitRight.NONE,
        )
        while not tx.new_account(row):
            row = replace(row, account_id=f"{account_id_from(identity.name)}-{secrets.token_hex(3)}")
        return row

    def _count(self, tries: list[str]) -> None:
        """Counts the try before it is looked at, so that many at once are no way round. Raises Refusal TOO_MANY."""
        now = self._clock.now()
        with self._store.transaction() as tx:
            if now - self._swept > _SWEEP_MICROS:
                tx.forget_signins(Micros(now - _REMEMBERED_MICROS))
                self._swept = now
            for name in tries:
                count = tx.count_signin(name, now)
                if not count:
                    raise _blocked(tx, name, now)
                over = count - _FREE[name.partition(" ")[0]]
                if over >= 0:
                    tx.block_signin(name, Micros(now + int(min(2.0 ** min(over, 20), _WAIT_SECONDS_MAX) * 1e6)))

    def _forgive(self, tx: Tx, tries: list[str]) -> None:
        """An e-mail address is clear again; a network address only loses this try, since others may be behind it."""
        for name in tries:
            row = tx.signin_failure(name)
            if row is not None:
                tx.forgive_signin(name, row.failures if name.startswith("email ") else 1)


def _blocked(tx: Tx, name: str, now: Micros) -> Refusal:
    row = tx.signin_failure(name)
    seconds = max(1, math.ceil((row.blocked_until - now) / 1e6)) if row else 1
    return Refusal(
        Code.TOO_MANY,
        f"Too many sign-ins failed here. The next one is looked at in {seconds} s.",
        "Wait, then try again; a right password is refused until then too.",
        {"retry_seconds": seconds},
    )


def _name(text: str) -> str:
    try:
        return checked_name(text[:200])
    except Refusal:
        return "Somebody"


def _email(tx: Tx, text: str | None) -> str | None:
    """The address, unless it is none or somebody has it: an account is never taken over by its address."""
    try:
        email = checked_email(text) if text else None
    except Refusal:
        return None
    return None if email is None or tx.account_by_email(email) is not None else email
