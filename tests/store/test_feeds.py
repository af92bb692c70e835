"""Feeds in rows: parts in order, each once; planners that are called when there is something to plan, and only then."""

import threading

import pytest

from fallow.core.chunk import Extent
from fallow.core.words import JobKey
from fallow.store.port import FeedPart, FeedRow, PlanCursor, PlannedChunk, Store
from tests.store.yard import LEASE, SECOND, T0, Yard, spec


@pytest.fixture
def feed(yard: Yard) -> JobKey:
    with yard.store.transaction() as tx:
        job = tx.add_job(spec(), "acme", T0, "key k-1")
        tx.add_feed(job.job_key, T0)
    yard.jobs.append(job.job_key)
    return job.job_key


def give(store: Store, feed: JobKey, number: int, size_bytes: int = 100) -> bool:
    with store.transaction() as tx:
        return tx.add_feed_part(feed, number, f"jobs/job-1/feed/{number}", size_bytes, T0 + number * SECOND)


def claim(store: Store) -> bool:
    """Whether a planner is called."""
    with store.transaction() as tx:
        found = tx.claim_job("plan", "planner", T0, LEASE)
        return found is not None


def test_parts_lie_one_behind_the_other(store: Store, feed: JobKey) -> None:
    assert [give(store, feed, number, 10 + number) for number in range(3)] == [True] * 3
    expected = [FeedPart(n, f"jobs/job-1/feed/{n}", start, 10 + n) for n, start in enumerate((0, 10, 21))]
    with store.reading() as tx:
        assert tx.feed(feed) == FeedRow(feed, 3, 33, T0 + 2 * SECOND)
        assert tx.feed_parts(feed, 0, 10) == expected
        assert [tx.feed_parts(feed, at, 1)[0].number for at in (0, 9, 10, 20, 21, 32)] == [0, 0, 1, 1, 2, 2]
        assert tx.feed_parts(feed, 33, 10) == []
        assert [tx.feed_part(feed, number) for number in (1, 3)] == [expected[1], None]


def test_a_repetition_a_gap_and_a_part_after_the_end_change_nothing(store: Store, feed: JobKey) -> None:
    assert give(store, feed, 0)
    assert not give(store, feed, 0, 55)
    assert not give(store, feed, 2)
    with store.transaction() as tx:
        assert tx.close_feed(feed, T0)
        assert not tx.close_feed(feed, T0 + SECOND)
    assert not give(store, feed, 1)
    with store.reading() as tx:
        assert tx.feed(feed) == FeedRow(feed, 1, 100, T0, T0)


def test_a_planner_rests_until_more_comes(store: Store, feed: JobKey) -> None:
    assert claim(store), "a new feed has not been looked at yet"
    with store.transaction() as tx:
        assert tx.locked_feed(feed) is not None
        tx.rest_feed(feed)
    assert not claim(store)
    give(store, feed, 0)
    assert claim(store)
    with store.transaction() as tx:
        tx.rest_feed(feed)
    assert not claim(store)
    with store.transaction() as tx:
        tx.close_feed(feed, T0)
    assert claim(store), "the end has to be written down"


def test_who_rests_a_feed_sees_what_somebody_feeds_at_that_moment(store: Store, feed: JobKey) -> None:
    """Whoever comes first with the lock, the feed is not left resting with a part that nobody has planned."""
    for number in range(20):
        started = threading.Barrier(2)

        def rest(seen: int = number, started: threading.Barrier = started) -> None:
            started.wait()
            with store.transaction() as tx:
                found = tx.locked_feed(feed)
                if found is not None and found.parts == seen:
                    tx.rest_feed(feed)

        resting = threading.Thread(target=rest)
        resting.start()
        started.wait()
        assert give(store, feed, number)
        resting.join()
        assert claim(store)


def test_a_deleted_job_takes_its_feed_along(store: Store, feed: JobKey) -> None:
    for number in range(5):
        give(store, feed, number)
    with store.transaction() as tx:
        assert tx.claim_job("plan", "planner", T0, LEASE)
        chunk = PlannedChunk(0, 1, Extent(0, 100, 0, ""))
        assert tx.add_chunks(feed, "planner", [chunk], PlanCursor(100, 1, False, "m"), T0)
    for _ in range(100):
        with store.transaction() as tx:
            if tx.delete_job(feed, 2):
                break
    with store.reading() as tx:
        assert tx.job_by_key(feed) is None
        assert tx.feed(feed) is None
        assert tx.feed_parts(feed, 0, 10) == []
