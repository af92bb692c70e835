"""Machines with a BOINC client, as their owners and operators see them in a list."""

from dataclasses import dataclass
from typing import Final

from fallow.clock import Clock
from fallow.control.boinc.hosts import facts_of
from fallow.control.boinc.users import own_account
from fallow.control.callers import Caller
from fallow.core.credit import HALF_LIFE_SECONDS, fade
from fallow.core.reputation import trusted
from fallow.core.volunteer_ids import host_of
from fallow.core.volunteers import HostFacts
from fallow.core.words import Label, Micros
from fallow.store.port import HostRow, Store, Tx

_HOSTS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class ListedHost:
    """label: the one that counts. average: cobblestones a day, as of now. images: that it has a record with;
    images_trusted: of which its word is enough."""

    host: HostRow
    facts: HostFacts
    name: str
    label: Label | None
    average: float
    images: int
    images_trusted: int


class BoincHosts:
    """Reads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def listed(self, caller: Caller, account_id: str | None = None, limit: int = 100) -> list[ListedHost]:
        """An account's, newest first; the caller's own where none is named, and all there are for operators.
        Raises Refusal NOT_FOUND for other people's accounts, FORBIDDEN for a worker's key."""
        now, limit = self._clock.now(), max(1, min(limit, _HOSTS_MAX))
        if account_id is None and caller.sees_all:
            with self._store.reading() as tx:
                return [_listed(tx, host, now) for host in _newest(tx, limit)]
        with self._store.reading() as tx:
            account = own_account(tx, caller, account_id)
            return [_listed(tx, host, now) for host in tx.hosts_of(account.account_id, limit)]


def _newest(tx: Tx, limit: int) -> list[HostRow]:
    numbers = {number for row in tx.workers() if (number := host_of(row.worker_id)) is not None}
    found = tx.hosts_by_id(sorted(numbers, reverse=True)[: 2 * limit])
    alive = [host for host in found if host.merged_into is None]
    return sorted(alive, key=lambda host: -host.host_id)[:limit]


def _listed(tx: Tx, host: HostRow, now: Micros) -> ListedHost:
    worker = tx.worker(host.worker_id)
    records = tx.reputations(host.worker_id)
    return ListedHost(
        host=host,
        facts=facts_of(host),
        name=worker.name if worker else "",
        label=Label(worker.label) if worker and worker.label else None,
        average=fade(host.earned.average, host.earned.at / 1e6, now / 1e6, HALF_LIFE_SECONDS),
        images=len(records),
        images_trusted=sum(trusted(each.valid_in_row) for each in records),
    )
