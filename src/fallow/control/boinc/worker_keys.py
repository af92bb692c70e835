"""Keys that are good for one machine: shown once, bound to the first host that uses them, and only for computing."""

import hashlib
import secrets
from typing import Final

from fallow.clock import Clock
from fallow.control.boinc.users import BoincUsers
from fallow.control.callers import Caller
from fallow.core.people import checked_name
from fallow.core.refusals import Code, Refusal
from fallow.store.port import Store, WorkerKeyRow

_KEYS_MAX: Final = 1000  # of an account, without those that are revoked


class WorkerKeys:
    """Raises Refusal NOT_FOUND for other people's accounts and keys, FORBIDDEN for a worker's API key."""

    def __init__(self, store: Store, clock: Clock, users: BoincUsers) -> None:
        self._store = store
        self._clock = clock
        self._users = users

    def create(self, caller: Caller, name: str, account_id: str | None = None) -> tuple[WorkerKeyRow, str]:
        """A new key and its only showing. Raises Refusal BAD_REQUEST, STATE_CONFLICT, TOO_MANY."""
        named = checked_name(name)
        user = self._users.own_user(caller, account_id)
        key = secrets.token_hex(16)
        row = WorkerKeyRow(
            key_id=secrets.token_hex(6),
            key_sha256=hashlib.sha256(key.encode()).hexdigest(),
            account_id=user.account_id,
            name=named,
            created_at=self._clock.now(),
        )
        with self._store.transaction() as tx:
            if sum(each.revoked_at is None for each in tx.worker_keys(user.account_id)) >= _KEYS_MAX:
                raise Refusal(
                    Code.TOO_MANY, f"The account has {_KEYS_MAX} keys of machines.", "Revoke those that are not used."
                )
            tx.add_worker_key(row)
        return row, key

    def listed(self, caller: Caller, account_id: str | None = None) -> list[WorkerKeyRow]:
        """Those that are not revoked, oldest first."""
        user = self._users.own_user(caller, account_id)
        with self._store.reading() as tx:
            return [row for row in tx.worker_keys(user.account_id) if row.revoked_at is None]

    def revoke(self, caller: Caller, key_id: str, account_id: str | None = None) -> None:
        """The machine that carries it is told at its next call; what it holds goes to others when its time is over."""
        user = self._users.own_user(caller, account_id)
        with self._store.transaction() as tx:
            if not tx.revoke_worker_key(user.account_id, key_id, self._clock.now()):
                raise Refusal(Code.NOT_FOUND, "There is no such key.", "See fallow boinc worker-keys.")
