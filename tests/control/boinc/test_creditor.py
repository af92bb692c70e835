"""The creditor: who earns what, once; whose word counts for how much."""

from dataclasses import replace
from threading import Thread

import msgspec
import pytest

from fallow.clock import ManualClock
from fallow.control.boinc.creditor import BATCH, Creditor, run_seconds, whole_chunks
from fallow.core.changes import Change, MoveAttempt, MoveChunk
from fallow.core.chunk import Answer
from fallow.core.credit import ceiling
from fallow.core.lifecycle import AttemptEvent, ChunkEvent
from fallow.core.receipt import Receipt, seal
from fallow.core.volunteers import HostFacts
from fallow.core.words import AttemptId, ChunkId, FailureClass, JobKey, Micros, WorkerId
from fallow.settings import Settings
from fallow.store.port import HostRow, JobRow, Leased, ReputationRow, Store, VerdictRow
from tests.store.yard import ITEMS, SECOND, T0, Yard, answer, done, spec

HOUR = 3600
SETTINGS = Settings()
GFLOPS = HostFacts(os="Linux", cores=2.0, flops=1e9)
PER_SECOND = 200 / 86400  # cobblestones of one core of 1 GFLOPS


class Fleet:
    """Volunteers, each with an account of its own, whose clock stands an hour after they joined."""

    def __init__(self, store: Store) -> None:
        self.yard, self.store, self.clock = Yard(store), store, ManualClock(T0 + HOUR * SECOND)
        self.creditor = Creditor(store, self.clock, SETTINGS)

    def volunteer(self, name: str, facts: HostFacts = GFLOPS) -> WorkerId:
        with self.store.transaction() as tx:
            tx.add_account(name, name.title(), T0)
            number = f"{len(name) * 97 + ord(name[0]):x}"
            tx.add_boinc_user(name, number.zfill(64), number.zfill(32), T0)
            said = msgspec.json.encode(facts).decode()
            return tx.add_host(HostRow(0, WorkerId(""), name, 1, "c" * 32, "", 1, T0, T0, said)).worker_id

    def lease(self, job: JobRow, worker: WorkerId, limit: int = 10) -> list[Leased]:
        return self.yard.lease(job, worker, limit)

    def apply(self, *changes: Change, minutes: float = 30) -> None:
        self.yard.apply(*changes, now=int(T0 + minutes * 60 * SECOND))

    def book(self) -> None:
        while self.creditor.step():
            pass

    def total(self, worker: WorkerId) -> float:
        with self.store.reading() as tx:
            host = tx.host_of_worker(worker)
            assert host is not None
            user = tx.boinc_user(host.account_id)
            assert user is not None
        assert user.earned.total == pytest.approx(host.earned.total)
        return host.earned.total

    def record(self, worker: WorkerId) -> ReputationRow:
        with self.store.reading() as tx:
            [found] = tx.reputations(worker)
        return found


@pytest.fixture
def fleet(store: Store) -> Fleet:
    return Fleet(store)


def said(leased: Leased, cpu_seconds: float = 432.0) -> Answer:
    return replace(answer(leased.attempt_id), cpu_seconds=cpu_seconds)


def report(leased: Leased, cpu_seconds: float = 432.0) -> MoveAttempt:
    return MoveAttempt(AttemptId(leased.attempt_id), AttemptEvent.REPORT, "", said(leased, cpu_seconds))


def judged(leased: Leased, event: AttemptEvent = AttemptEvent.AGREE) -> MoveAttempt:
    return MoveAttempt(AttemptId(leased.attempt_id), event, "", checked=True)


def verify(job: JobRow, leased: Leased) -> MoveChunk:
    return MoveChunk(job.job_key, leased.chunk_id, ChunkEvent.VERIFY, "the answers are in")


def accept(job: JobRow, leased: Leased) -> MoveChunk:
    return MoveChunk(job.job_key, leased.chunk_id, ChunkEvent.ACCEPT, canonical=AttemptId(leased.attempt_id))


def whole(job: JobRow, leased: Leased, cpu_seconds: float = 432.0) -> list[Change]:
    return [report(leased, cpu_seconds), verify(job, leased), judged(leased), accept(job, leased)]


def test_a_good_answer_earns_once_and_is_to_its_machines_credit(fleet: Fleet) -> None:
    job, ada = fleet.yard.job(chunks=1, opened=1), fleet.volunteer("ada")
    [leased] = fleet.lease(job, ada)
    fleet.apply(*whole(job, leased))
    assert fleet.creditor.step()
    assert not fleet.creditor.step(), "nothing is left to book"
    assert fleet.total(ada) == pytest.approx(432 * PER_SECOND) == pytest.approx(1.0)
    record = fleet.record(ada)
    assert (record.image, record.valid, record.valid_in_row) == (spec().ran, 1, 0), "nobody said the same"
    assert record.turnaround_seconds == 1800
    with fleet.store.reading() as tx:
        [row] = tx.credit_of_chunk(job.job_key, leased.chunk_id)
        assert (row.attempt_id, row.account_id, row.at) == (leased.attempt_id, "ada", fleet.clock.now())
        assert row.claimed == row.granted == pytest.approx(1.0)
        assert not tx.has_verdicts()


def test_machines_that_agree_all_get_the_smaller_claim(fleet: Fleet) -> None:
    job = fleet.yard.job(chunks=1, opened=1, quorum=2)
    ada, bob = fleet.volunteer("ada"), fleet.volunteer("bob")
    [first], [second] = fleet.lease(job, ada), fleet.lease(job, bob)
    fleet.apply(
        report(first, 43.2),
        report(second, 4320.0),
        verify(job, first),
        judged(first),
        judged(second),
        accept(job, first),
    )
    fleet.book()
    assert fleet.total(ada) == pytest.approx(0.1)
    assert fleet.total(bob) == pytest.approx(0.1)
    assert [fleet.record(each).valid_in_row for each in (ada, bob)] == [1, 1]


def test_answers_to_a_machines_own_job_earn_it_no_trust(fleet: Fleet) -> None:
    job = fleet.yard.job(chunks=1, opened=1, quorum=2)
    ours, bob = fleet.volunteer("acme"), fleet.volunteer("bob")
    [first], [second] = fleet.lease(job, ours), fleet.lease(job, bob)
    fleet.apply(report(first), report(second), verify(job, first), judged(first), judged(second), accept(job, first))
    fleet.book()
    assert (fleet.record(ours).valid, fleet.record(ours).valid_in_row) == (1, 0)
    assert (fleet.record(bob).valid, fleet.record(bob).valid_in_row) == (1, 1)


def test_what_agrees_late_gets_what_the_others_got(fleet: Fleet) -> None:
    job = fleet.yard.job(chunks=1, opened=1, quorum=2)
    ada, bob = fleet.volunteer("ada"), fleet.volunteer("bob")
    [first], [second] = fleet.lease(job, ada), fleet.lease(job, bob)
    fleet.apply(judged(second, AttemptEvent.EXPIRE))
    fleet.apply(report(first), verify(job, first), judged(first), accept(job, first))
    fleet.book()
    assert (fleet.total(bob), fleet.record(bob).errored) == (0.0, 1), "it is lost until it comes"
    fleet.apply(report(second, 43.2), minutes=40)
    fleet.apply(judged(second), minutes=50)
    fleet.book()
    assert fleet.total(bob) == pytest.approx(fleet.total(ada)) == pytest.approx(1.0)
    assert (fleet.record(bob).valid, fleet.record(bob).errored) == (1, 1)


def test_what_is_wrong_earns_nothing_and_costs_trust(fleet: Fleet) -> None:
    job = fleet.yard.job(chunks=3, opened=3)
    mallory = fleet.volunteer("mallory")
    first, second, third = fleet.lease(job, mallory)
    fleet.apply(*whole(job, first), *whole(job, second))
    fleet.apply(report(third), verify(job, third), judged(third, AttemptEvent.DISAGREE))
    fleet.book()
    assert fleet.total(mallory) == pytest.approx(2.0)
    record = fleet.record(mallory)
    assert (record.valid, record.invalid, record.valid_in_row) == (2, 1, 0)
    assert record.quota < SETTINGS.boinc_daily_tasks + 2


@pytest.mark.parametrize(("failure_class", "errored"), [(FailureClass.WORKER, 1), (FailureClass.SUBMITTER, None)])
def test_only_its_own_failures_count_against_a_machine(
    fleet: Fleet, failure_class: FailureClass, errored: int | None
) -> None:
    job, ada = fleet.yard.job(chunks=1, opened=1), fleet.volunteer("ada")
    [leased] = fleet.lease(job, ada)
    failed = Answer(failure_class=failure_class, code="disk_full", message="no room")
    fleet.apply(MoveAttempt(AttemptId(leased.attempt_id), AttemptEvent.FAIL, "", failed))
    fleet.book()
    with fleet.store.reading() as tx:
        assert [row.errored for row in tx.reputations(ada)] == ([] if errored is None else [errored])
        assert tx.credit_of_chunk(job.job_key, leased.chunk_id) == []


def test_a_liar_cannot_earn_more_than_its_cores_could_since_it_joined(fleet: Fleet) -> None:
    """Twenty leases side by side, each filled with processor time that nobody can have used."""
    job = fleet.yard.job(chunks=20, opened=20)
    liar, modest = fleet.volunteer("liar"), fleet.volunteer("modest")
    [one] = fleet.lease(job, modest, 1)
    fleet.apply(*whole(job, one, 1e12))
    fleet.book()
    assert fleet.total(modest) == pytest.approx(1800 * 2 * PER_SECOND), "the time of its lease, on both cores"
    for leased in fleet.lease(job, liar, 19):
        fleet.apply(*whole(job, leased, 1e12))
    fleet.book()
    assert fleet.total(liar) == pytest.approx(ceiling(HOUR, 2, 1e9))


def test_native_workers_earn_nothing(fleet: Fleet) -> None:
    job = fleet.yard.job(chunks=1, opened=1)
    [leased] = fleet.yard.lease(job, "w-1")
    fleet.apply(*done(job, leased))
    assert not fleet.creditor.step()


def test_more_than_a_batch_is_booked_in_several(fleet: Fleet) -> None:
    count = BATCH + 30
    job, ada = fleet.yard.job(chunks=count, opened=count), fleet.volunteer("ada")
    for leased in fleet.lease(job, ada, count):
        fleet.apply(*whole(job, leased, 4.32))
    assert fleet.creditor.step()
    with fleet.store.reading() as tx:
        assert tx.has_verdicts()
    fleet.book()
    assert fleet.total(ada) == pytest.approx(count / 100)
    assert fleet.record(ada).valid == count


def test_creditors_side_by_side_book_everything_once(fleet: Fleet) -> None:
    job, ada = fleet.yard.job(chunks=60, opened=60), fleet.volunteer("ada")
    for leased in fleet.lease(job, ada, 60):
        fleet.apply(*whole(job, leased, 4.32))
    others = [Creditor(fleet.store, fleet.clock, SETTINGS) for _ in range(3)]
    threads = [Thread(target=each.step) for each in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fleet.book()
    assert fleet.total(ada) == pytest.approx(0.6)
    assert fleet.record(ada).valid == 60


def test_how_fast_an_image_runs_is_learned_from_receipts(fleet: Fleet) -> None:
    job, ada = fleet.yard.job(chunks=1, opened=1), fleet.volunteer("ada")
    [leased] = fleet.lease(job, ada)
    ran = replace(said(leased), envelope=envelope("2026-01-01T00:00:00Z", "2026-01-01T00:00:05.5Z"))
    first = MoveAttempt(AttemptId(leased.attempt_id), AttemptEvent.REPORT, "", ran)
    fleet.apply(first, *whole(job, leased)[1:])
    fleet.book()
    assert fleet.record(ada).seconds_per_item == pytest.approx(5.5 / ITEMS)


def test_where_processor_time_is_not_measured_the_run_counts_on_one_core(fleet: Fleet) -> None:
    job, ada = fleet.yard.job(chunks=1, opened=1), fleet.volunteer("ada")
    [leased] = fleet.lease(job, ada)
    ran = replace(said(leased, 0.0), envelope=envelope("2026-01-01T00:00:00Z", "2026-01-01T00:07:12Z"))
    first = MoveAttempt(AttemptId(leased.attempt_id), AttemptEvent.REPORT, "", ran)
    fleet.apply(first, *whole(job, leased)[1:])
    fleet.book()
    assert fleet.total(ada) == pytest.approx(1.0)


def test_who_says_nothing_of_its_time_takes_nothing_from_the_other(fleet: Fleet) -> None:
    job = fleet.yard.job(chunks=1, opened=1, quorum=2)
    ada, mute = fleet.volunteer("ada"), fleet.volunteer("mute")
    [first], [second] = fleet.lease(job, ada), fleet.lease(job, mute)
    fleet.apply(
        *(report(first), report(second, 0.0), verify(job, first), judged(first), judged(second), accept(job, first))
    )
    fleet.book()
    assert fleet.total(ada) == pytest.approx(1.0) == pytest.approx(fleet.total(mute))


def envelope(started_at: str, finished_at: str) -> bytes:
    receipt = Receipt(
        *("job-1", 0, 1, "b-1.1", "sha256:1", "stream", 0, 9, 0, "", "", "", 0, ""),
        started_at=started_at,
        finished_at=finished_at,
    )
    return seal(receipt, "b-1.1", lambda _: b"signature")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (envelope("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"), 60.0),
        (envelope("2026-01-01T00:01:00Z", "2026-01-01T00:00:00Z"), 0.0),
        (envelope("2026-01-01T00:00:00Z", "2026-01-01T00:01:00"), 0.0),
        (envelope("yesterday", "today"), 0.0),
        (b'{"payload": "!"}', 0.0),
        (b'{"payload": "e30="}', 0.0),
        (b"", 0.0),
    ],
)
def test_a_receipt_without_good_times_says_nothing_of_speed(said: bytes, seconds: float) -> None:
    assert run_seconds(said) == seconds


def verdict(number: int, chunk: int) -> VerdictRow:
    return VerdictRow(
        *(number, AttemptId(number), "agree", JobKey(1), ChunkId(chunk), WorkerId("b-1.1"), "", 1, 0.0),
        leased_at=Micros(0),
        over_at=Micros(0),
    )


def test_a_batch_never_cuts_a_chunk_in_two_unless_it_is_all_there_is() -> None:
    rows = [verdict(1, 7), verdict(2, 8), verdict(3, 8)]
    assert whole_chunks(rows, 4) == rows, "there is no more"
    assert whole_chunks(rows, 3) == rows[:1]
    assert whole_chunks(rows[1:], 2) == rows[1:]
    assert whole_chunks([], 3) == []
