"""The entrance: signing in with a password, a key or an identity provider's word.

Tries are counted by e-mail address and by network address: see tries.
"""

import secrets
from dataclasses import dataclass, replace

from fallow.clock import Clock
from fallow.control.boinc.users import BoincUsers, passwd_hash_of
from fallow.control.callers import Keys
from fallow.control.passwords import Passwords
from fallow.control.sessions import Sessions
from fallow.control.tries import Tries
from fallow.core.people import account_id_from, checked_email, checked_name
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros, Scope
from fallow.settings import Settings
from fallow.store.port import AccountRow, Store, SubmitRight, Tx


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
        self,
        store: Store,
        clock: Clock,
        keys: Keys,
        passwords: Passwords,
        sessions: Sessions,
        tries: Tries,
        settings: Settings,
        boinc: BoincUsers,
    ) -> None:
        self._store = store
        self._clock = clock
        self._keys = keys
        self._passwords = passwords
        self._sessions = sessions
        self._tries = tries
        self._boinc = boinc
        self._sign_up = settings.oidc_sign_up

    def with_password(self, email: str, password: str, browser: Browser) -> str:
        """An unknown address takes as long as a wrong password, and is refused in the same words. An account that a
        BOINC client made has that client's password until its first sign-in here."""
        try:
            email = checked_email(email.strip())
        except Refusal:
            email = ""
        tries = [f"address {browser.address}", *([f"email {email}"] if email else [])]
        self._tries.count(tries)
        with self._store.reading() as tx:
            account = tx.account_by_email(email) if email else None
            user = tx.boinc_user(account.account_id) if account is not None else None
        known = account.password if account else None
        found = user.password if user else None
        if known is None and found is not None:
            right = self._passwords.is_right(found, passwd_hash_of(password, email))
        else:
            right = self._passwords.is_right(known, password)
        if account is None or not right or account.disabled_at is not None:
            raise Refusal(
                Code.UNAUTHENTICATED,
                "The e-mail address or the password is wrong.",
                "Try again, or ask an operator for a new password link.",
            )
        renewed = self._passwords.hash(password) if known is None or self._passwords.is_old(known) else None
        boinc = self._boinc.hashed(account, password) if found is None else None
        with self._store.transaction() as tx:
            if renewed:
                tx.set_password(account.account_id, renewed)
            if boinc:
                self._boinc.keep_password(tx, account.account_id, boinc)
            self._tries.forgive(tx, tries)
            return self._sessions.begin(tx, account.account_id, None, browser.agent, browser.cookie)

    def with_key(self, key: str, browser: Browser) -> str:
        """With an API key; the session may do what the key may, as long as the key is good."""
        tries = [f"address {browser.address}"]
        self._tries.count(tries)
        caller = self._keys.authenticate(key.strip())
        with self._store.transaction() as tx:
            self._tries.forgive(tx, tries)
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
