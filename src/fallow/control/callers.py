"""Who calls: accounts and API keys. A key is shown once and kept as its SHA-256."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from fallow.clock import Clock
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros, Scope
from fallow.store.port import KeyRow, Store

_PREFIX = "flw"
OPERATORS = "operators"  # the account of the first key


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose key or session is good. session_id: of the browser they call from. Neither: anybody, at a server
    that was started with --open."""

    key_id: str
    account_id: str
    scopes: frozenset[Scope]
    account_name: str = ""
    session_id: str = ""

    @property
    def by(self) -> str:
        """How the story names them."""
        if self.key_id:
            return f"key {self.key_id}"
        return f"account {self.account_id}" if self.session_id else "anybody"

    def needs(self, *scopes: Scope) -> None:
        """Raises Refusal FORBIDDEN when the key has none of these scopes."""
        if not self.scopes & set(scopes):
            listed = " or ".join(sorted(scopes))
            who = "This key" if self.key_id or not self.session_id else "This account"
            raise Refusal(Code.FORBIDDEN, f"{who} may not do that; it needs the scope {listed}.", "Ask an operator.")

    def needs_owner(self) -> None:
        """Raises Refusal FORBIDDEN for a worker's key: it does not speak for its account."""
        if self.is_worker:
            self.needs(Scope.SUBMIT, Scope.OPERATE)

    @property
    def is_worker(self) -> bool:
        """Whether a key calls that a worker carries, and that lies on other people's machines therefore."""
        return bool(self.key_id) and not self.scopes & {Scope.SUBMIT, Scope.OPERATE}

    @property
    def sees_all(self) -> bool:
        return Scope.OPERATE in self.scopes

    def sees(self, account_id: str) -> bool:
        """Whether the jobs of an account are theirs to see."""
        return self.sees_all or (self.account_id == account_id and not self.is_worker)


class Keys:
    """API keys look like flw_<id>_<secret>; the id is public, the secret has 256 bits."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def authenticate(self, token: str) -> Caller:
        """Raises Refusal UNAUTHENTICATED; says no more about why than that."""
        parts = token.split("_")
        if len(parts) == 3 and parts[0] == _PREFIX:
            with self._store.reading() as tx:
                key = tx.key(parts[1])
                account = tx.account(key.account_id) if key is not None else None
            if key is not None and account is not None and self._opens(key, parts[2]) and account.disabled_at is None:
                return Caller(key.key_id, key.account_id, key.scopes, account.name)
        raise Refusal(
            Code.UNAUTHENTICATED,
            "The API key is missing, wrong, expired or revoked.",
            "Pass it as --token, FALLOW_TOKEN or an Authorization: Bearer header.",
        )

    def _opens(self, key: KeyRow, secret: str) -> bool:
        digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
        return hmac.compare_digest(digest, key.secret_sha256) and is_good(key, self._clock.now())

    def create(
        self,
        caller: Caller,
        name: str,
        scopes: frozenset[Scope],
        account_id: str | None = None,
        expires_seconds: int | None = None,
    ) -> tuple[KeyRow, str]:
        """A new key and its only showing. Operators make any; others only for themselves and no more than they have."""
        caller.needs_owner()
        if not caller.sees_all and (account_id not in (None, caller.account_id) or not scopes <= caller.scopes):
            raise Refusal(Code.FORBIDDEN, "Only an operator can make a key that may do more.", "Ask for operate.")
        return self._new(name, scopes, account_id or caller.account_id, expires_seconds)

    def first(self) -> str | None:
        """The very first key, with all scopes; None when there was one already."""
        with self._store.reading() as tx:
            if tx.keys(None):
                return None
        return self._new("first key", frozenset(Scope), OPERATORS, None)[1]

    def _new(self, name: str, scopes: frozenset[Scope], account_id: str, expires: int | None) -> tuple[KeyRow, str]:
        now = self._clock.now()
        secret = secrets.token_hex(32)
        row = KeyRow(
            key_id=secrets.token_hex(6),
            account_id=account_id,
            name=name,
            secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
            scopes=scopes,
            created_at=now,
            expires_at=Micros(now + expires * 1_000_000) if expires else None,
        )
        with self._store.transaction() as tx:
            tx.add_account(account_id, account_id, now)
            account = tx.account(account_id)
            if account is not None and account.disabled_at is not None:
                raise Refusal(Code.STATE_CONFLICT, f"The account {account_id} is disabled.", "Enable it first.")
            tx.add_key(row)
        return row, f"{_PREFIX}_{row.key_id}_{secret}"

    def listed(self, caller: Caller) -> list[KeyRow]:
        """All keys for operators, their own for others."""
        with self._store.reading() as tx:
            return tx.keys(None if caller.sees_all else caller.account_id)

    def own(self, caller: Caller) -> list[KeyRow]:
        """The caller's own keys, oldest first."""
        with self._store.reading() as tx:
            return tx.keys(caller.account_id)

    def revoke(self, caller: Caller, key_id: str) -> None:
        """Raises Refusal NOT_FOUND, also for other people's keys, or FORBIDDEN."""
        caller.needs_owner()
        with self._store.transaction() as tx:
            key = tx.key(key_id)
            if key is None or not (caller.sees_all or key.account_id == caller.account_id):
                raise Refusal(Code.NOT_FOUND, f"There is no key {key_id}.", "See fallow keys list.")
            tx.revoke_key(key_id, self._clock.now())


def is_good(key: KeyRow, now: Micros) -> bool:
    """Neither revoked nor past its time."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)
