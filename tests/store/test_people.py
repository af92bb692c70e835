"""Accounts, keys, settings, workers, the story."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from fallow.core.lifecycle import JobEvent
from fallow.core.words import ChunkId, Micros, Scope, WorkerId
from fallow.store.opening import open_store
from fallow.store.port import KeyRow, Store, WorkerRow
from tests.servers.postgresql import PostgresServer
from tests.store.conftest import migrate
from tests.store.yard import T0, Yard

KEY = KeyRow("k-1", "acme", "laptop", "ab" * 32, frozenset({Scope.SUBMIT, Scope.WORK}), T0, Micros(T0 + 9))
WORKER = WorkerRow(WorkerId("w-1"), "acme", "box", "edge", b"\0" * 32, '{"cores": 2}', "s-1", T0, T0)


def test_keys_are_kept_listed_and_revoked_once(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_account("acme", "Acme", T0)
        tx.add_account("acme", "Acme again", T0)
        tx.add_key(KEY)
        assert tx.key("k-1") == KEY
        assert tx.key("k-2") is None
        assert tx.keys("acme") == tx.keys(None) == [KEY]
        assert tx.keys("other") == []
        assert tx.revoke_key("k-1", Micros(T0 + 1))
        assert not tx.revoke_key("k-1", Micros(T0 + 2))
    with store.reading() as tx:
        assert tx.key("k-1") == replace(KEY, revoked_at=Micros(T0 + 1))


def test_settings_are_overwritten(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.setting("a") is None
        tx.set_setting("a", "1")
        tx.set_setting("a", "2")
    with store.reading() as tx:
        assert tx.setting("a") == "2"


def test_a_worker_that_comes_back_keeps_its_record(yard: Yard) -> None:
    job = yard.job(3, 3)
    with yard.store.transaction() as tx:
        tx.save_worker(WORKER)
        tx.set_worker_backoff(WORKER.worker_id, 2, Micros(T0 + 5))
        tx.save_worker(replace(WORKER, name="new", session="s-2", joined_at=Micros(T0 + 7), seen_at=Micros(T0 + 7)))
    yard.lease(job, "w-1", 2)
    with yard.store.transaction() as tx:
        found = tx.worker(WORKER.worker_id)
        assert found is not None
        assert (found.name, found.session, found.joined_at, found.failures) == ("new", "s-2", T0, 2)
        assert (found.backoff_until, found.attempts_leased, found.public_key) == (T0 + 5, 2, b"\0" * 32)
        tx.worker_seen(WORKER.worker_id, Micros(T0 + 99), leaving=True)
        assert [w.leaving for w in tx.workers()] == [True]
        assert tx.workers(Micros(T0 + 99)) == []
        assert tx.worker(WorkerId("w-2")) is None


def test_the_story_is_told_in_order_and_in_pages(yard: Yard) -> None:
    job = yard.job(3, 2)
    other = yard.job(1, 1, "other")
    with yard.store.transaction() as tx:
        tx.move_job(job.job_key, JobEvent.PAUSE, "lunch", "key k-1", T0)
        told = tx.story(job.job_key)
    assert [(row.event, row.from_state, row.to_state, row.cause, row.by) for row in told] == [
        ("submit", "", "planning", "", "key k-1"),
        ("planned", "planning", "running", "", "planner"),
        ("pause", "running", "paused", "lunch", "key k-1"),
    ]
    with yard.store.reading() as tx:
        everything = tx.job_events(0, 1000)
        ours = tx.job_events(0, 1000, job.job_key)
        assert [row.story_id for row in everything] == sorted(row.story_id for row in everything)
        assert [row for row in everything if row.job_key == job.job_key] == ours
        assert tx.job_events(ours[2].story_id, 2, job.job_key) == ours[3:5]
        assert tx.job_events(everything[-1].story_id, 9) == []
        first = tx.story(other.job_key, chunk_id=ChunkId(0), limit=1)
        assert len(tx.story(other.job_key, chunk_id=ChunkId(0), after=first[0].story_id)) == 2


@pytest.mark.postgres
def test_a_reader_of_events_waits_for_lower_numbers_that_are_not_committed_yet(postgres_server: PostgresServer) -> None:
    """Else a stream that goes on after the highest number it saw would never tell them."""
    insert = "INSERT INTO story (at, job_key, from_state, to_state, event, cause, by_whom)"
    with postgres_server.database(migrate) as url, ThreadPoolExecutor(1) as pool:
        store = open_store(url)
        with psycopg.connect(url) as slow, psycopg.connect(url, autocommit=True) as quick:
            slow.execute("SELECT pg_advisory_xact_lock_shared(2, 0)")
            slow.execute(insert + " VALUES (1, 1, '', 'planning', 'submit', '', 'slow')")
            quick.execute(insert + " VALUES (1, 2, '', 'planning', 'submit', '', 'quick')")
            seen = pool.submit(events, store)
            await_a_waiter(quick)
            slow.commit()
            assert seen.result(30) == ["slow", "quick"]
        store.close()


def await_a_waiter(connection: psycopg.Connection[tuple[int]]) -> None:
    """Until somebody waits for an advisory lock in this database; fails after 30 seconds."""
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    for _ in range(600):
        if connection.execute(waiting).fetchone() == (1,):
            return
        time.sleep(0.05)
    pytest.fail("nobody waited")


def events(store: Store) -> list[str]:
    with store.reading() as tx:
        return [row.by for row in tx.job_events(0, 9)]
