"""Machines of volunteers, as their owners and operators see them in lists."""

from dataclasses import dataclass
from typing import Final

from fallow.control.boinc.hosts import facts_of
from fallow.control.boinc.users import BoincUsers
from fallow.control.callers import Caller
from fallow.core.reputation import trusted
from fallow.core.volunteer_ids import host_of
from fallow.core.volunteers import HostFacts
from fallow.core.words import Label
from fallow.store.port import HostRow, Store, Tx

_MACHINES_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Machine:
    """label: the one that counts. images: that it has a record with; images_trusted: of which its word is enough."""

    host: HostRow
    facts: HostFacts
    name: str
    label: Label | None
    images: int
    images_trusted: int


class Machines:
    """Reads."""

    def __init__(self, store: Store, users: BoincUsers) -> None:
        self._store = store
        self._users = users

    def listed(self, caller: Caller, account_id: str | None = None, limit: int = 100) -> list[Machine]:
        """An account's, newest first; the caller's own where none is named, and all there are for operators.
        Raises Refusal NOT_FOUND for other people's accounts, FORBIDDEN for a worker's key."""
        limit = max(1, min(limit, _MACHINES_MAX))
        if account_id is None and caller.sees_all:
            with self._store.reading() as tx:
                return [_machine(tx, host) for host in _newest(tx, limit)]
        user = self._users.own_user(caller, account_id)
        with self._store.reading() as tx:
            return [_machine(tx, host) for host in tx.hosts_of(user.account_id, limit)]


def _newest(tx: Tx, limit: int) -> list[HostRow]:
    numbers = {number for row in tx.workers() if (number := host_of(row.worker_id)) is not None}
    found = tx.hosts_by_id(sorted(numbers, reverse=True)[: 2 * limit])
    alive = [host for host in found if host.merged_into is None]
    return sorted(alive, key=lambda host: -host.host_id)[:limit]


def _machine(tx: Tx, host: HostRow) -> Machine:
    worker = tx.worker(host.worker_id)
    records = tx.reputations(host.worker_id)
    return Machine(
        host=host,
        facts=facts_of(host),
        name=worker.name if worker else "",
        label=Label(worker.label) if worker and worker.label else None,
        images=len(records),
        images_trusted=sum(trusted(each.valid_in_row) for each in records),
    )
