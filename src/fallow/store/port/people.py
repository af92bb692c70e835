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
