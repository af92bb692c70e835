"""Rows of people: accounts, identities, grants, sessions, sign-ins that failed."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from fallow.core.words import Micros, Scope


class SubmitRight(StrEnum):
    """For which applications an account may submit."""

    ALL = "all"
    GRANTED = "granted"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class AccountRow:
    """scopes: what it may do when it signs in by itself. password: argon2id, encoded; None: it cannot sign in so.
    share: its weight when the fleet is wanted by several. used: seconds of slots it has had, fading, as at used_at."""

    account_id: str
    name: str
    created_at: Micros
    scopes: frozenset[Scope] = frozenset()
    email: str | None = None
    email_confirmed_at: Micros | None = None
    password: str | None = None
    share: float = 1.0
    used: float = 0.0
    used_at: Micros = Micros(0)
    submit_right: SubmitRight = SubmitRight.ALL
    disabled_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class GrantRow:
    account_id: str
    application: str
    granted_by: str
    granted_at: Micros


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A signed-in browser. session_id: SHA-256 of its cookie, hex. key_id: the key it signed in with, if any."""

    session_id: str
    account_id: str
    key_id: str | None
    csrf_secret: str
    agent: str
    created_at: Micros
    seen_at: Micros
    expires_at: Micros


@dataclass(frozen=True, slots=True)
class SigninFailureRow:
    """name: what was tried, such as "email a@b.example" or "address 192.0.2.1"."""

    name: str
    failures: int
    at: Micros
    blocked_until: Micros


class PeopleTx(Protocol):
    """The verbs of people."""

    # accounts
    def new_account(self, row: AccountRow) -> bool:
        """False, and nothing written, when there is an account of this id or with this e-mail address."""
        ...

    def account(self, account_id: str) -> AccountRow | None: ...
    def account_by_email(self, email: str) -> AccountRow | None: ...
    def accounts(self, after: str, limit: int) -> list[AccountRow]:
        """By account id, those greater than `after`."""
        ...

    def save_account(self, row: AccountRow) -> bool:
        """All but created_at, password, used and used_at. False when another account has its e-mail address."""
        ...

    def set_password(self, account_id: str, password: str | None) -> None: ...

    # shares
    def shares(self) -> list[tuple[str, float, float, Micros]]:
        """account_id, share, used and used_at of accounts that used something or whose share is not 1."""
        ...

    def charge(self, account_id: str, seconds: float, now: Micros, half_life_seconds: float) -> None:
        """Adds slot-seconds to what an account has used, which fades. Charge accounts in ascending order."""
        ...

    def leasable_accounts(self) -> list[str]:
        """Accounts with a job that has something to hand out."""
        ...

    # identities
    def identity(self, issuer: str, subject: str) -> str | None:
        """The account that is somebody at an identity provider."""
        ...

    def add_identity(self, issuer: str, subject: str, account_id: str, now: Micros) -> None: ...

    # grants
    def grants(self, account_id: str | None = None) -> list[GrantRow]:
        """Of one account or of all, by account and application."""
        ...

    def add_grant(self, row: GrantRow) -> None:
        """A grant that is there already stays as it is."""
        ...

    def remove_grant(self, account_id: str, application: str) -> bool: ...

    # sessions
    def add_session(self, row: SessionRow) -> None: ...
    def session_row(self, session_id: str) -> SessionRow | None: ...
    def session_rows(self, account_id: str) -> list[SessionRow]:
        """Newest first."""
        ...

    def session_seen(self, session_id: str, now: Micros) -> None: ...
    def end_session(self, session_id: str) -> bool: ...
    def end_sessions(self, account_id: str, but: str = "") -> int:
        """All of an account's except `but`. How many."""
        ...

    def forget_sessions(self, now: Micros) -> None:
        """Removes sessions that are past their end."""
        ...

    # sign-ins that failed
    def count_signin(self, name: str, now: Micros) -> int:
        """Counts one more try, which may yet succeed, and says how many there were; 0 while it is blocked."""
        ...

    def block_signin(self, name: str, until: Micros) -> None: ...
    def signin_failure(self, name: str) -> SigninFailureRow | None: ...
    def forgive_signin(self, name: str, tries: int) -> None:
        """Takes back so many tries, and the block; all of them: the row is gone."""
        ...

    def forget_signins(self, before: Micros) -> None: ...
