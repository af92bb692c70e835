"""Logs of running attempts in rows: who looks, what was told, and when it is forgotten."""

from fallow.core.changes import MoveAttempt
from fallow.core.lifecycle import AttemptEvent, JobEvent
from fallow.core.live_log import LogPart
from fallow.core.words import AttemptId, Micros
from fallow.store.port import Store
from tests.store.yard import SECOND, T0, Yard

BYTES = bytes(range(256))  # NUL and halves of characters are bytes like others


def tell(store: Store, attempt_id: int, start: int, data: bytes) -> None:
    with store.transaction() as tx:
        tx.save_live_log(LogPart(AttemptId(attempt_id), start, data), T0)


def known(store: Store, attempt_id: int) -> LogPart | None:
    with store.reading() as tx:
        return tx.live_log(AttemptId(attempt_id))


def sweep(store: Store, now: int = T0) -> int:
    with store.transaction() as tx:
        idle = tx.has_idle_logs(Micros(now))
        swept = tx.sweep_logs(Micros(now), 100)
    assert idle == (swept > 0)
    return swept


def test_who_looks_longest_is_remembered(yard: Yard) -> None:
    first, second = (each.attempt_id for each in yard.lease(yard.job(2, 2), limit=2))
    with yard.store.transaction() as tx:
        tx.watch_log(first, Micros(T0 + 9 * SECOND))
        tx.watch_log(second, Micros(T0 + 30 * SECOND))
        tx.watch_log(first, Micros(T0 + 5 * SECOND))
    with yard.store.reading() as tx:
        assert tx.watched_logs(Micros(T0 + 8 * SECOND), 10) == [second, first]
        assert tx.watched_logs(Micros(T0 + 8 * SECOND), 1) == [second]
        assert tx.watched_logs(Micros(T0 + 9 * SECOND), 10) == [second]


def test_what_is_told_replaces_what_was(yard: Yard) -> None:
    [leased] = yard.lease(yard.job(1, 1))
    assert known(yard.store, leased.attempt_id) is None
    tell(yard.store, leased.attempt_id, 0, b"first")
    tell(yard.store, leased.attempt_id, 7, BYTES)
    assert known(yard.store, leased.attempt_id) == LogPart(leased.attempt_id, 7, BYTES)


def test_of_an_attempt_that_is_not_there_nothing_is_kept(yard: Yard) -> None:
    tell(yard.store, 999, 0, b"x")
    assert known(yard.store, 999) is None


def test_what_runs_and_is_looked_at_stays_the_rest_is_swept(yard: Yard) -> None:
    job = yard.job(3, 3)
    runs, reported, lost = yard.lease(job, limit=3)
    for each in (runs, reported, lost):
        tell(yard.store, each.attempt_id, 0, b"said")
        with yard.store.transaction() as tx:
            tx.watch_log(each.attempt_id, Micros(T0 + 10 * SECOND))
    assert sweep(yard.store) == 0
    yard.report(job, reported)
    yard.apply(MoveAttempt(lost.attempt_id, AttemptEvent.EXPIRE))
    assert sweep(yard.store) == 3  # two that looked at what does not run, and the log of what was reported
    assert known(yard.store, reported.attempt_id) is None
    assert known(yard.store, lost.attempt_id) is not None, "of a lost attempt nothing else is known"
    assert sweep(yard.store, T0 + 10 * SECOND) == 1
    assert known(yard.store, runs.attempt_id) is not None


def test_a_deleted_job_takes_its_logs_along(yard: Yard) -> None:
    job = yard.job(1, 1)
    [leased] = yard.lease(job)
    tell(yard.store, leased.attempt_id, 0, b"said")
    with yard.store.transaction() as tx:
        tx.move_job(job.job_key, JobEvent.CANCEL, "", "key k-1", T0)
        tx.cancel_chunks(job.job_key, 10, T0, "janitor")
    with yard.store.transaction() as tx:
        assert tx.delete_job(job.job_key, 1000)
    assert known(yard.store, leased.attempt_id) is None
