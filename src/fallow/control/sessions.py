"""Sessions: browsers that are signed in. The cookie is a secret of 256 bits; rows know only its SHA-256.

A form's token is an HMAC with the session's own secret, masked anew for each page, so that a compressed answer does not
give it away (BREACH) and a token of another or an ended session is good for nothing.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from fallow.clock import Clock
from fallow.control.callers import Caller, is_good
from fallow.core.people import one_line
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros, Scope
from fallow.settings import Settings
from fallow.store.port import AccountRow, SessionRow, Store, Tx

_COOKIE_MAX: Final = 200
_AGENT_MAX: Final = 200
_OF_ACCOUNT_MAX: Final = 100  # older ones end
_MAC_BYTES: Final = 32
_SEEN_MICROS: Final = 60_000_000  # a busy browser writes its row once a minute


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser's session, whose it is, and what may be done in it."""

    caller: Caller
    session: SessionRow
    account: AccountRow


class Sessions:
    """Begins, opens and ends sessions."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._idle_micros = settings.session_idle_seconds * 1_000_000
        self._micros = settings.session_seconds * 1_000_000

    def begin(self, tx: Tx, account_id: str, key_id: str | None, agent: str, before: str = "") -> str:
        """A new session's cookie. before: the cookie that the browser had; its session ends."""
        now = self._clock.now()
        cookie = secrets.token_urlsafe(32)
        if before:
            tx.end_session(session_id_of(before))
        tx.forget_sessions(now)
        for old in tx.session_rows(account_id)[_OF_ACCOUNT_MAX - 1 :]:
            tx.end_session(old.session_id)
        tx.add_session(
            SessionRow(
                session_id=session_id_of(cookie),
                account_id=account_id,
                key_id=key_id,
                csrf_secret=secrets.token_hex(32),
                agent=one_line(agent, _AGENT_MAX),
                created_at=now,
                seen_at=now,
                expires_at=Micros(now + self._micros),
            )
        )
        return cookie

    def open(self, cookie: str) -> SignedIn:
        """Raises Refusal UNAUTHENTICATED for a session that is over, or whose account or key is not good any more."""
        now = self._clock.now()
        session_id = session_id_of(cookie)
        with self._store.reading() as tx:
            session = tx.session_row(session_id)
            account = tx.account(session.account_id) if session else None
            key = tx.key(session.key_id) if session and session.key_id else None
        if session is None or account is None or not self._is_live(session, now) or account.disabled_at is not None:
            raise _over()
        if session.key_id and (key is None or not is_good(key, now)):
            raise _over()
        if now - session.seen_at >= _SEEN_MICROS:
            with self._store.transaction() as tx:
                tx.session_seen(session_id, now)
        scopes = key.scopes if key else account.scopes
        return SignedIn(_caller(session, account, scopes), session, account)

    def _is_live(self, session: SessionRow, now: Micros) -> bool:
        return session.expires_at > now and session.seen_at + self._idle_micros > now

    def end(self, cookie: str) -> None:
        """Signed out. Harmless for a session that is over."""
        with self._store.transaction() as tx:
            tx.end_session(session_id_of(cookie))

    def listed(self, caller: Caller) -> list[SessionRow]:
        """The caller's own that are not over, newest first."""
        now = self._clock.now()
        with self._store.reading() as tx:
            return [row for row in tx.session_rows(caller.account_id) if self._is_live(row, now)]

    def end_one(self, caller: Caller, name: str) -> None:
        """One of the caller's own, by its name(). Raises Refusal NOT_FOUND, also for other people's, or FORBIDDEN."""
        caller.needs_owner()
        with self._store.transaction() as tx:
            for row in tx.session_rows(caller.account_id):
                if name_of(row) == name:
                    tx.end_session(row.session_id)
                    return
        raise Refusal(Code.NOT_FOUND, "There is no such session.", "See /account.")

    def end_others(self, caller: Caller) -> int:
        """All of the caller's own but the one they call from. How many. Raises Refusal FORBIDDEN."""
        caller.needs_owner()
        with self._store.transaction() as tx:
            return tx.end_sessions(caller.account_id, but=caller.session_id)


def session_id_of(cookie: str) -> str:
    """What a row knows of a cookie."""
    return hashlib.sha256(cookie[:_COOKIE_MAX].encode("utf-8", "surrogateescape")).hexdigest()


def name_of(session: SessionRow) -> str:
    """What a page calls a session: enough to tell one's own apart."""
    return session.session_id[:16]


def form_token(session: SessionRow) -> str:
    """For one page's forms: a different text each time, good until the session ends."""
    mask = secrets.token_bytes(_MAC_BYTES)
    return base64.urlsafe_b64encode(mask + _mixed(mask, _mac(session))).decode().rstrip("=")


def is_form_token(session: SessionRow, token: str) -> bool:
    """Whether it was made for this session."""
    try:
        raw = base64.urlsafe_b64decode(token.encode("ascii") + b"==")
    except (UnicodeEncodeError, binascii.Error):
        return False
    if len(raw) != 2 * _MAC_BYTES:
        return False
    return hmac.compare_digest(_mixed(raw[:_MAC_BYTES], raw[_MAC_BYTES:]), _mac(session))


def _mac(session: SessionRow) -> bytes:
    return hmac.new(bytes.fromhex(session.csrf_secret), b"fallow-form", hashlib.sha256).digest()


def _mixed(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _caller(session: SessionRow, account: AccountRow, scopes: frozenset[Scope]) -> Caller:
    return Caller(session.key_id or "", account.account_id, scopes, account.name, session.session_id)


def _over() -> Refusal:
    return Refusal(Code.UNAUTHENTICATED, "You are not signed in, or not any more.", "Sign in.")
