"""The scheduler call: one client reports what it finished, is told what is not wanted, and gets more.

Everything that a call changes is changed in one transaction; what was uploaded is read before it.
Source of the order: BOINC sched/handle_request.cpp, process_request().
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from fallow.clock import Clock
from fallow.control.boinc.handing_out import Given, HandingOut
from fallow.control.boinc.hosts import NO_KEY, Introduction, Met, facts_of, meet, succeed
from fallow.control.boinc.returned import Batch, Returned, Sorted, sort_out
from fallow.control.boinc.tasks import Task, task_of
from fallow.control.boinc.users import BoincCaller, BoincUsers
from fallow.control.reports import Verdict
from fallow.control.work import Work, apply_settled
from fallow.core.changes import Change, MoveAttempt
from fallow.core.deadlines import Wanted
from fallow.core.lifecycle import AttemptEvent
from fallow.core.refusals import Code, Refusal
from fallow.core.settling import carry, settle
from fallow.core.words import AttemptId, Micros, Scope, WorkerId
from fallow.settings import Settings
from fallow.store.port import BoincResultRow, HostRow, Store, Tx

_RESENT_MAX = 100
_REFUSALS_TOLD = 5
_HOUR_SECONDS = 3600.0
_REST_SECONDS_MAX = 86_400.0


@dataclass(frozen=True, slots=True)
class Call:
    """What a client says. held: numbers of results that it has; None: it does not list them. dont_send_work: its owner
    wants no new tasks. later: results that it reports and that are not looked at in this call."""

    introduction: Introduction
    wanted: Wanted
    returned: Sequence[Returned] = ()
    held: Collection[int] | None = None
    dont_send_work: bool = False
    later: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for the volunteer. urgent: it is shown, else only logged."""

    text: str
    urgent: bool = False


_NO_ENGINE = Notice(
    "No tasks: the last one found no container engine here. Install podman or docker; see the project's page.",
    urgent=True,
)


@dataclass(slots=True)
class Outcome:
    """aborts: results to stop at once; aborts_unstarted: to give up unless they run. resent: tasks that the client has
    lost. verdicts: on what it reported. over: its tasks that end with this call; later: that it must report again.
    request_delay_seconds: at least, before it calls again."""

    met: Met
    user_name: str
    verdicts: list[Verdict] = field(default_factory=list)
    aborts: list[int] = field(default_factory=list)
    aborts_unstarted: list[int] = field(default_factory=list)
    resent: list[Task] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    over: list[int] = field(default_factory=list)
    later: frozenset[int] = frozenset()
    request_delay_seconds: float = 0.0


class Calls:
    """Answers scheduler calls."""

    def __init__(
        self, store: Store, clock: Clock, settings: Settings, users: BoincUsers, work: Work, handing_out: HandingOut
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._users = users
        self._work = work
        self._handing_out = handing_out

    def call(self, who: BoincCaller, call: Call, may_send: bool = True) -> Outcome:
        """may_send: False when the client could not run what it would get. Raises Refusal FORBIDDEN."""
        who.caller.needs(Scope.WORK, Scope.SUBMIT)
        account_id = who.caller.account_id
        now = self._clock.now()
        found = sort_out(
            self._store,
            account_id,
            call.introduction.host_id,
            call.returned,
            self._settings.inline_bytes_max,
            now,
        )
        with self._store.transaction() as tx:
            outcome = self._meet(tx, who, call, found, now)
            self._take(tx, outcome, found, now)
            self._reconcile(tx, outcome, call, now)
            if may_send:
                self._hand_out(tx, outcome, who, call, now)
        return outcome

    def _meet(self, tx: Tx, who: BoincCaller, call: Call, found: Sorted, now: Micros) -> Outcome:
        met = meet(tx, who, call.introduction, found.workers, now)
        who.check_host(met.host.host_id)
        if who.key_id is not None and who.host_id is None:
            self._users.bind_in(tx, who.key_id, met.host.host_id)
        outcome = Outcome(met, who.name, request_delay_seconds=self._settings.boinc_call_seconds)
        outcome.later = frozenset({*call.later, *found.later})
        if met.was_copied:
            said = "This client has the state of another one: it is a machine of its own from now on."
            outcome.notices.append(Notice(said))
        return outcome

    # what came back

    def _take(self, tx: Tx, outcome: Outcome, found: Sorted, now: Micros) -> None:
        for batch in found.batches.values():
            self._take_batch(tx, outcome, batch, now)
        if found.over:
            tx.end_results(found.over)
            outcome.over = [row.result_id for row in found.over]
            tx.forget_uploads(outcome.over)
        self._note_engine(tx, outcome, found, now)
        if outcome.met.host.worker_id in found.changed:
            host, worker = succeed(tx, outcome.met.host, outcome.met.worker)
            outcome.met = replace(outcome.met, host=host, worker=worker)
        for why in sorted({each.message for each in outcome.verdicts if each.verdict == "refused"})[:_REFUSALS_TOLD]:
            outcome.notices.append(Notice(f"An answer was not taken: {why}"))

    def _note_engine(self, tx: Tx, outcome: Outcome, found: Sorted, now: Micros) -> None:
        """A machine without a container engine rests, longer each time; it is told why, not asked again and again."""
        host = outcome.met.host
        if found.no_engine:
            count = host.no_engine_count + 1
            rest = min(self._settings.boinc_no_engine_seconds * 2.0 ** min(count - 1, 16), _REST_SECONDS_MAX)
            changed = replace(host, no_engine_count=count, no_engine_until=Micros(now + int(rest * 1e6)))
            outcome.notices.append(Notice(found.no_engine, urgent=True))
        elif found.engine:
            facts = replace(facts_of(host), engine=found.engine.partition(" ")[0][:40])
            changed = replace(
                host, facts=msgspec.json.encode(facts).decode(), no_engine_count=0, no_engine_until=Micros(0)
            )
        else:
            return
        if changed != host:
            tx.save_host(changed)
            outcome.met = replace(outcome.met, host=changed)

    def _take_batch(self, tx: Tx, outcome: Outcome, batch: Batch, now: Micros) -> None:
        """One worker's reports; nearly always those of the worker that calls, whose row is then kept up to date."""
        met = outcome.met
        mine = batch.worker.worker_id == met.worker.worker_id
        if batch.pinned:
            _still_unpinned(tx, batch)
        worker = replace(met.worker, public_key=batch.worker.public_key) if mine else batch.worker
        if batch.pinned:
            tx.save_worker(worker)
        verdicts = self._work.take(tx, worker, batch.opened, now)
        worker = self._work.remember(tx, worker, batch.opened, verdicts, now)
        outcome.verdicts += verdicts
        if mine:
            outcome.met = replace(met, worker=worker)

    # what the client has, and what it should have

    def _reconcile(self, tx: Tx, outcome: Outcome, call: Call, now: Micros) -> None:
        if call.held is None:
            return
        host = outcome.met.host
        sent = {row.result_id: row for row in tx.results_sent(host.host_id)}
        if not sent and not call.held:
            return
        leased = {name: frozenset(tx.held(name)) for name in {row.worker_id for row in sent.values()}}
        wanted = {key for key, row in sent.items() if not leased[row.worker_id].isdisjoint(row.attempts)}
        for result_id in call.held:
            row = sent.get(result_id)
            if row is None:
                outcome.aborts.append(result_id)
            elif result_id not in wanted:
                (outcome.aborts_unstarted if row.deadline <= now else outcome.aborts).append(result_id)
        lost = [row for key, row in sent.items() if key not in call.held and key not in outcome.later]
        self._resend(tx, outcome, [row for row in lost if row.result_id in wanted], call, leased, now)
        if idle := [replace(row, over_at=now) for row in lost if row.result_id not in wanted]:
            tx.end_results(idle)

    def _resend(
        self,
        tx: Tx,
        outcome: Outcome,
        lost: Sequence[BoincResultRow],
        call: Call,
        leased: Mapping[WorkerId, frozenset[AttemptId]],
        now: Micros,
    ) -> None:
        """The client never got these, or forgot them. Whose owner wants no tasks gives them back."""
        rests = outcome.met.host.no_engine_until > now
        for row in lost[:_RESENT_MAX]:
            if call.dont_send_work or rests or row.worker_id != outcome.met.host.worker_id:
                self._give_up(tx, outcome.met.host, row, leased[row.worker_id], now)
                continue
            until = min(Micros(now + (row.deadline - row.sent_at) // 2), self._latest(row))
            if until > row.deadline:
                held = [each for each in row.attempts if each in leased[row.worker_id]]
                tx.extend(row.worker_id, held, until)
                tx.move_deadline(row.result_id, until)
            try:
                outcome.resent.append(task_of(tx, replace(row, deadline=max(until, row.deadline))))
            except Refusal:  # its job is erased: there is nothing to run
                tx.end_results([replace(row, over_at=now)])

    def _latest(self, row: BoincResultRow) -> Micros:
        """Who forgets its tasks again and again does not keep them for ever."""
        return Micros(row.sent_at + int(self._settings.boinc_deadline_seconds_max * 1e6))

    def _give_up(self, tx: Tx, host: HostRow, row: BoincResultRow, leased: Collection[AttemptId], now: Micros) -> None:
        attempts = [each for each in row.attempts if each in leased]
        changes: list[Change] = []
        for case in tx.cases_of_attempts(attempts):
            step: list[Change] = [
                MoveAttempt(a.attempt_id, AttemptEvent.EXPIRE, "its client does not have it any more")
                for a in case.attempts
                if a.attempt_id in attempts
            ]
            carry(case, step)
            changes.extend(step)
            job = tx.job_by_key(case.chunk.job_key)
            changes.extend(settle(case, job.spec, now) if job else [])
        apply_settled(tx, changes, now, f"worker {host.worker_id}")
        tx.end_results([replace(row, over_at=now)])

    # more

    def _hand_out(self, tx: Tx, outcome: Outcome, who: BoincCaller, call: Call, now: Micros) -> None:
        host = outcome.met.host
        if host.no_engine_until > now:
            rest = (host.no_engine_until - now) / 1e6
            outcome.request_delay_seconds = max(outcome.request_delay_seconds, min(rest, _HOUR_SECONDS))
            if not any(each.urgent for each in outcome.notices):
                outcome.notices.append(_NO_ENGINE)  # clients forget a notice that is not repeated
            return
        if call.wanted.is_nothing or call.dont_send_work:
            return
        given, why_not = self._handing_out.to(tx, outcome.met, who.caller.account_id, call.wanted, now)
        outcome.given = given
        if why_not:
            outcome.notices.append(Notice(why_not))
        elif not given:
            outcome.notices.append(Notice("No tasks are available for this machine now."))


def _still_unpinned(tx: Tx, batch: Batch) -> None:
    """Raises Refusal STATE_CONFLICT when another call has brought another key since the receipts were opened."""
    known = tx.worker(batch.worker.worker_id)
    if known is not None and known.public_key not in (NO_KEY, batch.worker.public_key):
        raise Refusal(Code.STATE_CONFLICT, "Another call of this machine came first.", "Call again.")
