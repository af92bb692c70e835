"""Accounts as BOINC's clients look them up and make them: by an e-mail address and a hash of the password.

Only the hash arrives, so nobody can tell how long the password is: the client is told the least length and checks it.
"""

import re
import secrets
from dataclasses import replace
from typing import Final

from fallow.clock import Clock
from fallow.control.boinc.users import BoincUsers
from fallow.control.passwords import Passwords
from fallow.control.tries import Tries
from fallow.core.people import account_id_from, checked_email, checked_name, team_key
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros, Scope
from fallow.settings import Settings
from fallow.store.port import AccountRow, Store, SubmitRight, Tx

_HASH: Final = re.compile(r"[0-9a-f]{32}\Z")


class BoincAccounts:
    """Each call counts as a try to sign in, by network address and by e-mail address: Refusal TOO_MANY.

    Refusals: BAD_REQUEST with the `field` email or name; NOT_FOUND: no such account; UNAUTHENTICATED: wrong password;
    ALREADY_EXISTS: somebody else has that address; FORBIDDEN: no accounts are made here.
    """

    def __init__(
        self, store: Store, clock: Clock, users: BoincUsers, passwords: Passwords, tries: Tries, settings: Settings
    ) -> None:
        self._store = store
        self._clock = clock
        self._users = users
        self._passwords = passwords
        self._tries = tries
        self._sign_up = settings.boinc_sign_up

    def look_up(self, email: str, passwd_hash: str, address: str) -> str:
        """The key of the account with that address and password."""
        email = checked_email(email.strip())
        tries = [f"address {address}", f"email {email}"]
        self._tries.count(tries)
        account, encoded = self._account(email)
        right = self._passwords.is_right(encoded, passwd_hash)
        if account is None and self._sign_up:
            raise _no_account()
        if account is None or not right or account.disabled_at is not None:
            raise _wrong()  # where nobody can make an account, nobody learns who has one
        return self._entered(account, tries)

    def exists(self, email: str, address: str) -> bool:
        """Whether there is such an account. Told only where making one would tell as much; else UNAUTHENTICATED."""
        if not self._sign_up:
            raise _wrong()
        email = checked_email(email.strip())
        self._tries.count([f"address {address}"])
        return self._account(email)[0] is not None

    def create(self, email: str, passwd_hash: str, name: str, team_name: str, address: str) -> str:
        """The key of a new account, which may only compute, or of the one there is with the same password.
        team_name: joined if there is one of that name."""
        if not self._sign_up:
            raise Refusal(
                Code.FORBIDDEN, "Accounts are not made from BOINC clients here.", "Ask the operator for an account."
            )
        email, name = checked_email(email.strip()), checked_name(name)
        if not _HASH.match(passwd_hash):
            raise Refusal(Code.BAD_REQUEST, "The password's hash is none.", "Send 32 hexadecimal digits.")
        tries = [f"address {address}", f"email {email}"]
        self._tries.count(tries)
        account, encoded = self._account(email)
        if account is not None:
            if not self._passwords.is_right(encoded, passwd_hash) or account.disabled_at is not None:
                raise _taken()
            return self._entered(account, tries)
        return self._created(email, self._passwords.hash(passwd_hash), name, team_name)

    def _account(self, email: str) -> tuple[AccountRow | None, str | None]:
        """(account, its BOINC password)."""
        with self._store.reading() as tx:
            account = tx.account_by_email(email)
            user = tx.boinc_user(account.account_id) if account is not None else None
        return account, user.password if user is not None else None

    def _entered(self, account: AccountRow, tries: list[str]) -> str:
        with self._store.transaction() as tx:
            self._tries.forgive(tx, tries)
            return self._users.key_of(self._users.ensured(tx, account.account_id, self._clock.now()))

    def _created(self, email: str, encoded: str, name: str, team_name: str) -> str:
        now = self._clock.now()
        with self._store.transaction() as tx:
            account = _new_account(tx, email, name, now)
            user = self._users.ensured(tx, account.account_id, now)
            team = tx.team_by_name(team_key(team_name)) if team_name.strip() else None
            tx.save_boinc_user(replace(user, password=encoded, team_id=team.team_id if team else None))
        return self._users.key_of(user)


def _new_account(tx: Tx, email: str, name: str, now: Micros) -> AccountRow:
    row = AccountRow(
        account_id=account_id_from(name),
        name=name,
        created_at=now,
        scopes=frozenset({Scope.WORK}),
        email=email,
        submit_right=SubmitRight.NONE,
    )
    while not tx.new_account(row):
        if tx.account_by_email(email) is not None:
            raise _taken()
        row = replace(row, account_id=f"{account_id_from(name)}-{secrets.token_hex(3)}")
    return row


def _no_account() -> Refusal:
    return Refusal(Code.NOT_FOUND, "There is no account with this e-mail address.", "Make one.")


def _wrong() -> Refusal:
    return Refusal(
        Code.UNAUTHENTICATED,
        "The e-mail address or the password is wrong.",
        "Attach with the key that your account page shows, or set your password there anew.",
    )


def _taken() -> Refusal:
    return Refusal(
        Code.ALREADY_EXISTS, "Another account has this e-mail address.", "Use its password, or another address."
    )
