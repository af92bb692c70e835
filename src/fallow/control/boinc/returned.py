"""What came back: answers that a client uploaded and tasks that it reports, made into reports like any worker's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fallow.control.boinc.hosts import NO_KEY
from fallow.control.reports import Failed, Opened, Reported, open_reports
from fallow.core.words import AttemptId, FailureClass, Micros, WorkerId
from fallow.store.port import BoincResultRow, Store, WorkerRow

ENGINE_FAULTS = frozenset({"engine_missing", "engine_broken"})
_BYTES_MAX = 64 << 20  # of answers in one call; the rest is taken when the client reports it again
_ROWS_MAX = 256  # answers that are read at once: 16 MiB
_KEY_CHANGED = Failed(FailureClass.WORKER, "key_changed", "The machine signs with another key than before.")


@dataclass(frozen=True, slots=True)
class AnswerFile:
    """What a runner uploaded. public_key: 32 raw bytes. engine: such as "podman 4.3.1"."""

    public_key: bytes
    engine: str
    reports: tuple[Reported, ...]


@dataclass(frozen=True, slots=True)
class Brought:
    """answer: None when nothing (good) was uploaded. failed: what to say of attempts that have no answer.
    size_bytes: of what was read."""

    answer: AnswerFile | None
    failed: Failed
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Returned:
    """A task as its client reports it. brought: reads what it uploaded, when that is not at hand already; asked only of
    the caller's own tasks."""

    result_id: int
    exit_status: int
    client_state: int
    elapsed_seconds: float
    brought: Callable[[bytes | None], Brought]


@dataclass(slots=True)
class Batch:
    """Opened reports of one worker. pinned: its key, when this is its first answer."""

    worker: WorkerRow
    pinned: bool
    opened: list[Opened] = field(default_factory=list)


@dataclass(slots=True)
class Sorted:
    """What a call brought. workers: whose tasks it reports, as they were. over: the results that end with it. pinned:
    workers whose key is known from now on; changed: that sign with another one. engine: what the runner found.
    no_engine: why it could run nothing, "" if it could. later: not looked at, for the client reports it again."""

    workers: dict[WorkerId, WorkerRow] = field(default_factory=dict)
    batches: dict[WorkerId, Batch] = field(default_factory=dict)
    over: list[BoincResultRow] = field(default_factory=list)
    pinned: set[WorkerId] = field(default_factory=set)
    changed: list[WorkerId] = field(default_factory=list)
    engine: str = ""
    no_engine: str = ""
    later: set[int] = field(default_factory=set)


def sort_out(
    store: Store, account_id: str, host_id: int, returned: Sequence[Returned], inline_bytes_max: int, now: Micros
) -> Sorted:
    """Reads what was sent and opens the receipts: all that needs no lock. A task of somebody else's, one that nobody
    was sent, and one that was reported before are passed over.

    host_id: who says so. An answer is welcome from any machine of the account; that a task failed, only the one that
    was sent it can say: a copy of its state, told to stop, must not stop it there too.
    """
    found = Sorted()
    if not returned:
        return found
    with store.reading() as tx:
        rows = tx.boinc_results(list({each.result_id for each in returned}))
        names = {row.worker_id for row in rows.values() if not row.is_over}
        workers = {name: worker for name in names if (worker := tx.worker(name)) and worker.account_id == account_id}
        own = [key for key, row in rows.items() if not row.is_over and row.worker_id in workers]
        small = tx.answer_uploads(own[:_ROWS_MAX])
    found.workers = dict(workers)
    gathered: dict[WorkerId, list[Reported]] = {}
    bytes_left = _BYTES_MAX
    for each in returned:
        row = rows.pop(each.result_id, None)  # a task that is reported twice in one call counts once
        if row is None or row.is_over or row.worker_id not in workers:
            continue
        if bytes_left <= 0:
            found.later.add(each.result_id)
            continue
        brought = each.brought(small.get(each.result_id))
        if brought.answer is None and row.host_id != host_id:
            continue
        bytes_left -= brought.size_bytes
        found.over.append(_ended(row, each, now))
        gathered.setdefault(row.worker_id, []).extend(_reports(found, workers, row, brought))
    for name, reports in gathered.items():
        opened = open_reports(reports, workers[name], inline_bytes_max)
        found.batches[name] = Batch(workers[name], name in found.pinned, opened)
    return found


def _ended(row: BoincResultRow, each: Returned, now: Micros) -> BoincResultRow:
    return replace(
        row,
        over_at=now,
        exit_status=each.exit_status,
        client_state=each.client_state,
        elapsed_seconds=each.elapsed_seconds,
    )


def _reports(found: Sorted, workers: dict[WorkerId, WorkerRow], row: BoincResultRow, each: Brought) -> list[Reported]:
    """One for each attempt of the task."""
    answer = each.answer
    if answer is None:
        failed = each.failed
        if failed.code in ENGINE_FAULTS:
            # Nothing ran: chunks must not fail because many machines have no engine.
            found.no_engine, failed = failed.message, replace(failed, failure_class=FailureClass.ABORTED)
        return [Reported(attempt_id, failed=failed) for attempt_id in row.attempts]
    if not _is_key_of(found, workers, row.worker_id, answer.public_key):
        found.changed.append(row.worker_id)
        return [Reported(attempt_id, failed=_KEY_CHANGED) for attempt_id in row.attempts]
    found.engine = answer.engine
    said: Mapping[AttemptId, Reported] = {report.attempt_id: report for report in answer.reports}
    return [said.get(attempt_id) or Reported(attempt_id, failed=each.failed) for attempt_id in row.attempts]


def _is_key_of(found: Sorted, workers: dict[WorkerId, WorkerRow], name: WorkerId, public_key: bytes) -> bool:
    """Whether this is the worker's key; the first that it shows is."""
    worker = workers[name]
    if worker.public_key == NO_KEY and public_key != NO_KEY:
        workers[name] = replace(worker, public_key=public_key)
        found.pinned.add(name)
    return workers[name].public_key == public_key
