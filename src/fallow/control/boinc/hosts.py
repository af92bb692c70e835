"""Which machine calls: by its number, by its cross-project id, by its likeness; else it is a new one.

Source: BOINC sched/handle_request.cpp, authenticate_user() and find_host_by_other().
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from fallow.control.boinc.users import BoincCaller
from fallow.core.labels import label_of
from fallow.core.refusals import Code, Refusal
from fallow.core.volunteers import HostFacts
from fallow.core.words import Micros, WorkerId
from fallow.store.port import HostRow, Tx, WorkerRow

NO_KEY = b""  # of a worker whose first answer has not come yet
NEW_HOSTS_DAILY = 1000  # of an account; each has a quota and a record of its own
_HOSTS_LOOKED_AT = 50
_DAY_MICROS = 86_400_000_000
_MERGES_MAX = 8


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a client says of its machine. host_id: 0 when it was given none. cpid: its cross-project id, "" for none.
    likeness: what else tells this machine from others, "" when several clients may run on it. capability: JSON, as
    other workers send it."""

    host_id: int
    rpc_seqno: int
    cpid: str
    likeness: str
    name: str
    facts: HostFacts
    capability: str
    venue: str
    label_said: str | None


@dataclass(frozen=True, slots=True)
class Met:
    """is_new_id: the client must be told its number. was_copied: it is another client with the state of one we know."""

    host: HostRow
    worker: WorkerRow
    is_new_id: bool
    was_copied: bool = False


def meet(tx: Tx, who: BoincCaller, said: Introduction, workers: Mapping[WorkerId, WorkerRow], now: Micros) -> Met:
    """The host that calls, made if need be, and what it says kept. In a writing transaction. workers: that were read a
    moment ago. Raises Refusal TOO_MANY when the account makes too many machines."""
    known, copied = _known(tx, who, said)
    if known is None or known.host_id != said.host_id:
        said = replace(said, rpc_seqno=0)  # a client that is given a number counts its calls from 0 again
    host = _made(tx, who, said, now) if known is None else _renewed(tx, known, said, now)
    worker = _worker(tx, who, host, said, workers.get(host.worker_id), now)
    return Met(host, worker, said.host_id != host.host_id, copied)


def _known(tx: Tx, who: BoincCaller, said: Introduction) -> tuple[HostRow | None, bool]:
    """(the host, whether somebody with its state was here before)."""
    account_id = who.caller.account_id
    host = _by_number(tx, account_id, said.host_id)
    if host is not None:
        if said.rpc_seqno < host.rpc_seqno:
            return None, True
        return host, False
    same = tx.hosts_like(account_id, said.cpid) if said.cpid else []
    if not same and said.likeness:
        same = [each for each in tx.hosts_of(account_id, _HOSTS_LOOKED_AT) if each.likeness == said.likeness]
    return tx.held_host(same[0].host_id) if same else None, False


def _by_number(tx: Tx, account_id: str, host_id: int) -> HostRow | None:
    """The account's host of that number, or the one that it turned out to be. Somebody else's is nobody's."""
    host = tx.held_host(host_id) if host_id > 0 else None
    for _ in range(_MERGES_MAX):
        if host is None or host.merged_into is None:
            break
        host = tx.held_host(host.merged_into)
    return host if host is not None and host.account_id == account_id else None


def _made(tx: Tx, who: BoincCaller, said: Introduction, now: Micros) -> HostRow:
    newest = tx.hosts_of(who.caller.account_id, NEW_HOSTS_DAILY)
    if len(newest) == NEW_HOSTS_DAILY and newest[-1].created_at > now - _DAY_MICROS:
        raise Refusal(
            Code.TOO_MANY, f"The account has {NEW_HOSTS_DAILY} new machines today.", "Attach more of them tomorrow."
        )
    return tx.add_host(
        HostRow(
            host_id=0,
            worker_id=WorkerId(""),
            account_id=who.caller.account_id,
            generation=1,
            cpid=said.cpid,
            likeness=said.likeness,
            rpc_seqno=said.rpc_seqno,
            rpc_at=now,
            created_at=now,
            facts=msgspec.json.encode(said.facts).decode(),
            venue=said.venue,
            label_said=said.label_said,
            label_at=now,
        )
    )


def _renewed(tx: Tx, known: HostRow, said: Introduction, now: Micros) -> HostRow:
    """What changes at every call is one small statement; the rest is written when it differs."""
    facts = said.facts if said.facts.engine else replace(said.facts, engine=facts_of(known).engine)
    said_now = replace(
        known,
        cpid=said.cpid or known.cpid,
        likeness=said.likeness,
        rpc_seqno=said.rpc_seqno,
        rpc_at=now,
        facts=msgspec.json.encode(facts).decode(),
        venue=said.venue,
        label_said=said.label_said,
        label_at=now if (said.label_said, said.venue) != (known.label_said, known.venue) else known.label_at,
    )
    if replace(said_now, rpc_seqno=known.rpc_seqno, rpc_at=known.rpc_at) == known:
        tx.touch_host(known.host_id, said.rpc_seqno, now)
    else:
        tx.save_host(said_now)
    return said_now


def facts_of(host: HostRow) -> HostFacts:
    return msgspec.json.decode(host.facts, type=HostFacts)


def _worker(
    tx: Tx, who: BoincCaller, host: HostRow, said: Introduction, known: WorkerRow | None, now: Micros
) -> WorkerRow:
    if known is None or known.public_key == NO_KEY:  # another call may have brought its key since it was read
        known = tx.worker(host.worker_id)
    row = WorkerRow(
        worker_id=host.worker_id,
        account_id=who.caller.account_id,
        name=said.name,
        label=label_of(host.label_said, host.venue, host.label_set),
        public_key=known.public_key if known else NO_KEY,
        capability=said.capability,
        session="boinc",
        joined_at=known.joined_at if known else now,
        seen_at=now,
        failures=known.failures if known else 0,
        backoff_until=known.backoff_until if known else Micros(0),
        attempts_leased=known.attempts_leased if known else 0,
        held_at=known.held_at if known else Micros(0),
    )
    if known is not None and replace(known, seen_at=now, leaving=False) == row:
        tx.worker_seen(host.worker_id, now, False)
    else:
        tx.save_worker(row)
    return row


def succeed(tx: Tx, host: HostRow, worker: WorkerRow) -> tuple[HostRow, WorkerRow]:
    """The machine signs with another key than before: it is a new worker, with everything still to prove. What was held
    against it stays: its rest, and what it had of today's tasks."""
    generation = host.generation + 1
    worker_id = WorkerId(f"b-{host.host_id}.{generation}")
    heir = replace(host, generation=generation, worker_id=worker_id)
    tx.save_host(heir)
    fresh = replace(worker, worker_id=worker_id, public_key=NO_KEY)
    tx.save_worker(fresh)
    tx.save_reputations(
        [
            replace(row, worker_id=worker_id, valid=0, invalid=0, errored=0, valid_in_row=0)
            for row in tx.reputations(worker.worker_id)
        ]
    )
    return heir, fresh
