"""The creditor: takes how volunteers' attempts ended into their reputation, and credits those that agreed.

Exactly once: a verdict goes in the transaction that books it. What agreed late earns, too; what was wrong does not.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import msgspec

from fallow.clock import Clock
from fallow.control.boinc.records import reputation_of
from fallow.core.agreement import needed_of
from fallow.core.credit import HALF_LIFE_SECONDS, ceiling, claimed, granted
from fallow.core.lifecycle import AttemptEvent
from fallow.core.reputation import Reputation, after, fared
from fallow.core.volunteer_ids import host_of
from fallow.core.volunteers import HostFacts
from fallow.core.words import FailureClass, Micros, WorkerId
from fallow.settings import Settings
from fallow.store.port import ChunkRef, CreditRow, HostRow, ReputationRow, Store, Tx, VerdictRow

BATCH = 200
_Record = tuple[WorkerId, str]  # worker and image


class Creditor:
    """One step books one batch. Of many creditors one works at a time."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._quota = settings.boinc_daily_tasks

    def step(self) -> bool:
        """True when there was something to do."""
        with self._store.reading() as tx:
            if not tx.has_verdicts():
                return False
        with self._store.transaction() as tx:
            rows = whole_chunks(tx.verdicts(BATCH), BATCH)
            hosts = tx.hosts_by_id([number for row in rows if (number := host_of(row.worker_id)) is not None])
            # Hosts before reputations: so do the machines' calls, and who locks the other way round locks them out.
            tx.grant_credit(_Grants(tx, rows, hosts, self._clock.now()).rows(), HALF_LIFE_SECONDS)
            self._judge(tx, rows, {host.host_id: host.account_id for host in hosts})
            tx.forget_verdicts([row.verdict_id for row in rows])
        return bool(rows)

    def _judge(self, tx: Tx, rows: Sequence[VerdictRow], owners: Mapping[int, str]) -> None:
        """owners: host -> account."""
        jobs = {key: job for key in {row.job_key for row in rows} if (job := tx.job_by_key(key)) is not None}
        kept = tx.reputations_of([row.worker_id for row in rows])
        known: dict[_Record, Reputation] = {(row.worker_id, row.image): reputation_of(row) for row in kept}
        touched: dict[_Record, None] = {}
        for row in rows:
            job = jobs[row.job_key]
            record = (row.worker_id, job.spec.ran)
            how = fared(AttemptEvent(row.event), FailureClass(row.failure_class) if row.failure_class else None)
            if how is None:
                continue
            known[record] = after(
                known.get(record, Reputation(self._quota)),
                how,
                self._quota,
                items=row.item_count,
                seconds=run_seconds(row.envelope),
                turnaround_seconds=_wall_seconds(row),
                compared=needed_of(row.answers_wanted, job.spec) > 1
                and owners.get(host_of(row.worker_id) or 0) != job.account_id,
            )
            touched[record] = None
        tx.save_reputations([ReputationRow(*record, **asdict(known[record])) for record in touched])


def whole_chunks(rows: Sequence[VerdictRow], limit: int) -> Sequence[VerdictRow]:
    """Without the last chunk's when there may be more of it: what agrees is credited together."""
    if len(rows) < limit:
        return rows
    last = _ref(rows[-1])
    whole = [row for row in rows if _ref(row) != last]
    return whole or rows


def run_seconds(envelope: bytes) -> float:
    """How long the container ran, as a receipt says that was checked when it came; 0.0 when it does not say."""
    try:
        said = _ENVELOPE.decode(envelope)
        times = _TIMES.decode(base64.b64decode(said.payload))
        start, end = (datetime.fromisoformat(text) for text in (times.started_at, times.finished_at))
        return max(0.0, (end - start).total_seconds())
    except (msgspec.DecodeError, ValueError, TypeError):
        return 0.0


class _Payload(msgspec.Struct):
    payload: str


class _Times(msgspec.Struct):
    started_at: str
    finished_at: str


_ENVELOPE = msgspec.json.Decoder(_Payload)
_TIMES = msgspec.json.Decoder(_Times)
_FACTS = msgspec.json.Decoder(HostFacts)


@dataclass(slots=True)
class _Machine:
    """left: what it can still have earned since it joined."""

    host: HostRow
    facts: HostFacts
    left: float


class _Grants:
    """What the attempts of a batch that agreed earn."""

    def __init__(self, tx: Tx, rows: Sequence[VerdictRow], hosts: Sequence[HostRow], now: Micros) -> None:
        self._now = now
        self._chunks: dict[ChunkRef, list[VerdictRow]] = {}
        for row in rows:
            if row.event == AttemptEvent.AGREE:
                self._chunks.setdefault(_ref(row), []).append(row)
        self._machines = {host.host_id: self._machine(host) for host in hosts}
        self._earlier = tx.granted_in(list(self._chunks))

    def rows(self) -> list[CreditRow]:
        return [row for ref in self._chunks for row in self._of_chunk(ref)]

    def _of_chunk(self, ref: ChunkRef) -> Iterator[CreditRow]:
        """All of a chunk get the same: a late one what the others got."""
        claims = [(row, machine, self._claim(row, machine)) for row, machine in self._of_machines(ref)]
        if not claims:
            return
        worth = self._earlier.get(ref)
        if worth is None:
            worth = granted([claim for _, _, claim in claims])
        for row, machine, claim in claims:
            yield CreditRow(
                attempt_id=row.attempt_id,
                job_key=row.job_key,
                worker_id=row.worker_id,
                account_id=machine.host.account_id,
                at=self._now,
                claimed=claim,
                granted=worth,
            )

    def _of_machines(self, ref: ChunkRef) -> Iterator[tuple[VerdictRow, _Machine]]:
        for row in self._chunks[ref]:
            machine = self._machines.get(host_of(row.worker_id) or 0)
            if machine is not None:
                yield row, machine

    def _claim(self, row: VerdictRow, machine: _Machine) -> float:
        facts = machine.facts
        cpu_seconds = row.cpu_seconds or run_seconds(row.envelope)  # not every engine can measure it: then of one core
        claim = min(claimed(cpu_seconds, _wall_seconds(row), facts.cores, facts.flops), machine.left)
        machine.left -= claim
        return claim

    def _machine(self, host: HostRow) -> _Machine:
        facts = _FACTS.decode(host.facts)
        there = (self._now - host.created_at) / 1e6
        return _Machine(host, facts, max(0.0, ceiling(there, facts.cores, facts.flops) - host.earned.total))


def _ref(row: VerdictRow) -> ChunkRef:
    return ChunkRef(row.job_key, row.chunk_id)


def _wall_seconds(row: VerdictRow) -> float:
    return max(0, row.over_at - row.leased_at) / 1e6
