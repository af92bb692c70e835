"""Accounts: made by operators, changed by operators and their owners, disabled, never erased (jobs name them)."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from fallow.clock import Clock
from fallow.control.boinc.users import BoincUsers
from fallow.control.callers import Caller
from fallow.control.passwords import Passwords
from fallow.control.tries import Tries
from fallow.core.people import (
    account_id_from,
    checked_account_id,
    checked_email,
    checked_name,
    checked_password,
    one_line,
)
from fallow.core.refusals import Code, Refusal
from fallow.core.shares import SHARE_MAX, SHARE_MIN
from fallow.core.words import Micros, Scope
from fallow.store.port import AccountRow, Store, SubmitRight, Tx

LINK_SECONDS: Final = 3 * 86400
_LIMIT_MAX: Final = 1000
_PAGES_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """What an account shall be. None: as it is, or the default. email "": none."""

    name: str | None = None
    email: str | None = None
    scopes: frozenset[Scope] | None = None
    share: float | None = None
    submit_right: SubmitRight | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A way for somebody to choose a password, once. url: with the token."""

    account: AccountRow
    url: str
    expires_at: Micros


class Accounts:
    """Raises Refusal NOT_FOUND for other people's accounts, BAD_REQUEST for what cannot be, FORBIDDEN.

    secret: behind password links. boinc: who finds the same accounts by their passwords. on_email: told of each account
    that has a new e-mail address. changed: called when an account or its rights are not what they were, so that nothing
    remembered lives on.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        passwords: Passwords,
        tries: Tries,
        secret: bytes,
        base_url: str,
        boinc: BoincUsers,
    ) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._tries = tries
        self._secret = secret
        self._base_url = base_url
        self._boinc = boinc
        self.on_email: Callable[[str], object] = lambda _account_id: None
        self.changed: Callable[[], None] = lambda: None

    def create(self, caller: Caller, asked: Asked, account_id: str | None = None) -> AccountRow:
        """A new account, without a password. Raises Refusal ALREADY_EXISTS."""
        caller.needs(Scope.OPERATE)
        name = checked_name(asked.name or "")
        wanted = checked_account_id(account_id) if account_id is not None else account_id_from(name)
        row = _with(AccountRow(wanted, name, self._clock.now(), frozenset({Scope.SUBMIT})), asked)
        with self._store.transaction() as tx:
            _check_email_free(tx, row)
            while not tx.new_account(row):
                if account_id is not None:
                    raise Refusal(Code.ALREADY_EXISTS, f"There is an account {wanted} already.", "Choose another id.")
                row = replace(row, account_id=f"{wanted}-{secrets.token_hex(2)}")
        if row.email:
            self.on_email(row.account_id)
        return row

    def listed(self, caller: Caller, after: str = "", limit: int = 100) -> tuple[list[AccountRow], str | None]:
        """By id; all for operators, their own for others. The second value is the next page's `after`, or None."""
        limit = max(1, min(limit, _LIMIT_MAX))
        with self._store.reading() as tx:
            if not caller.sees_all:
                own = tx.account(caller.account_id)
                return [own] if own is not None and own.account_id > after else [], None
            rows = tx.accounts(after, limit + 1)
        return rows[:limit], rows[limit - 1].account_id if len(rows) > limit else None

    def everybody(self, caller: Caller) -> list[AccountRow]:
        """All accounts, for operators."""
        caller.needs(Scope.OPERATE)
        found: list[AccountRow] = []
        after: str | None = ""
        while after is not None and len(found) < _PAGES_MAX * _LIMIT_MAX:
            page, after = self.listed(caller, after, _LIMIT_MAX)
            found.extend(page)
        return found

    def one(self, caller: Caller, account_id: str) -> AccountRow:
        with self._store.reading() as tx:
            return _found(tx, caller, account_id)

    def change(self, caller: Caller, account_id: str, asked: Asked) -> AccountRow:
        """As it is afterwards. Owners may change their name and e-mail address; operators everything, but they cannot
        shut themselves out."""
        caller.needs_owner()
        own = caller.account_id == account_id
        if not caller.sees_all and replace(asked, name=None, email=None) != Asked():
            raise Refusal(Code.FORBIDDEN, "Only an operator can change that.", "Ask an operator.")
        if own and (
            asked.disabled or (asked.scopes is not None and Scope.OPERATE not in asked.scopes | _unless(caller))
        ):
            raise Refusal(Code.STATE_CONFLICT, "You would shut yourself out.", "Let another operator do it.")
        now = self._clock.now()
        with self._store.transaction() as tx:
            before = _found(tx, caller, account_id)
            row = _with(before, asked)
            if asked.disabled is not None:
                row = replace(row, disabled_at=(before.disabled_at or now) if asked.disabled else None)
            _check_email_free(tx, row)
            tx.save_account(row)
            if row.email != before.email:
                self._boinc.keep_password(tx, account_id, None)  # it is hashed with the address; kept anew at a sign-in
            if asked.disabled:
                tx.end_sessions(account_id)
        self.changed()
        if row.email and row.email != before.email:
            self.on_email(account_id)
        return row

    def change_password(self, caller: Caller, old: str, new: str) -> None:
        """One's own; the other sessions end. Raises Refusal FORBIDDEN when the old one is wrong, and TOO_MANY."""
        caller.needs_owner()
        account = self.one(caller, caller.account_id)
        checked = checked_password(new, account.email, account.name, account.account_id)
        tries = [f"account {account.account_id}"]
        self._tries.count(tries)
        if not self._passwords.is_right(account.password, old):
            raise Refusal(Code.FORBIDDEN, "The old password is wrong.", "Try again, or ask an operator for a new link.")
        with self._store.transaction() as tx:
            self._tries.forgive(tx, tries)
        self._set(account, checked, but=caller.session_id)

    def password_link(self, caller: Caller, account_id: str) -> Link:
        """A link that sets the account's password once; worthless after that, or after three days."""
        caller.needs(Scope.OPERATE)
        account = self.one(caller, account_id)
        if account.disabled_at is not None:
            raise Refusal(Code.STATE_CONFLICT, "The account is disabled.", "Enable it first.")
        if account.email is None:
            raise Refusal(
                Code.STATE_CONFLICT, "The account has no e-mail address to sign in with.", "Give it one first."
            )
        expires = Micros(self._clock.now() + LINK_SECONDS * 1_000_000)
        token = f"{account_id}~{expires}~{self._mac(account, expires)}"
        return Link(account, f"{self._base_url}/sign-in/password?token={token}", expires)

    def of_link(self, token: str) -> AccountRow:
        """Whose password the link sets. Raises Refusal FORBIDDEN for one that is used, too old or made up."""
        account_id, _, rest = token[:300].partition("~")
        expires, _, mac = rest.partition("~")
        with self._store.reading() as tx:
            account = tx.account(account_id)
        number = int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 20 else 0
        if account is None or number <= self._clock.now() or account.disabled_at is not None:
            raise _link_over()
        if not hmac.compare_digest(mac.encode("utf-8", "surrogateescape"), self._mac(account, number).encode()):
            raise _link_over()
        return account

    def use_link(self, token: str, new: str) -> AccountRow:
        """Sets the password; all sessions of the account end. Raises Refusal FORBIDDEN."""
        account = self.of_link(token)
        self._set(account, checked_password(new, account.email, account.name, account.account_id), but="")
        return account

    def _set(self, account: AccountRow, password: str, but: str) -> None:
        """Unless it was set by somebody else meanwhile: a link works once, however often it is sent."""
        encoded, boinc = self._passwords.hash(password), self._boinc.hashed(account, password)
        with self._store.transaction() as tx:
            now = tx.account(account.account_id)
            if now is None or now.password != account.password:
                raise _link_over()
            tx.set_password(account.account_id, encoded)
            self._boinc.keep_password(tx, account.account_id, boinc)
            tx.end_sessions(account.account_id, but)
        self.changed()

    def _mac(self, account: AccountRow, expires: int) -> str:
        """Over the password that is: so a link is worthless once it was used."""
        said = "\n".join(
            ("password-link", account.account_id, str(expires), account.email or "", account.password or "")
        )
        return hmac.new(self._secret, said.encode(), hashlib.sha256).hexdigest()


def _unless(caller: Caller) -> frozenset[Scope]:
    """A caller with an operator's key keeps it, whatever the account may do."""
    return frozenset({Scope.OPERATE}) if caller.key_id else frozenset()


def _with(row: AccountRow, asked: Asked) -> AccountRow:
    email = row.email if asked.email is None else checked_email(asked.email) if asked.email else None
    share = row.share if asked.share is None else asked.share
    if not SHARE_MIN <= share <= SHARE_MAX:  # so written, NaN is refused as well
        raise Refusal(
            Code.BAD_REQUEST,
            f"A share is a number from {SHARE_MIN} to {SHARE_MAX:g}.",
            "A share of 2 gets twice as much as a share of 1.",
            {"field": "share"},
        )
    return replace(
        row,
        name=row.name if asked.name is None else checked_name(asked.name),
        email=email,
        email_confirmed_at=row.email_confirmed_at if email == row.email else None,
        scopes=row.scopes if asked.scopes is None else asked.scopes,
        share=float(share),
        submit_right=asked.submit_right or row.submit_right,
    )


def _check_email_free(tx: Tx, row: AccountRow) -> None:
    other = tx.account_by_email(row.email) if row.email else None
    if other is not None and other.account_id != row.account_id:
        raise Refusal(
            Code.ALREADY_EXISTS, "Another account has this e-mail address.", "Use another one.", {"field": "email"}
        )


def _found(tx: Tx, caller: Caller, account_id: str) -> AccountRow:
    row = tx.account(account_id)
    if row is None or not (caller.sees_all or caller.account_id == account_id):
        raise Refusal(Code.NOT_FOUND, f"There is no account {one_line(account_id, 64)}.", "See fallow account list.")
    return row


def _link_over() -> Refusal:
    return Refusal(Code.FORBIDDEN, "This link was used already, is too old or is not whole.", "Ask for a new one.")
