"""Shares: "one user gets 50 % of the project's computing, another 20 %, another 30 %", and the scheduler sees to it."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from fallow.control.callers import Caller
from fallow.core.words import JobState, Scope
from fallow.sim.world import World
from fallow.store.port import AccountRow, JobRow
from tests.stories.fleet import Fleet

SHARES = {"anna": 5.0, "bob": 3.0, "carl": 2.0}


def people(fleet: Fleet, shares: dict[str, float]) -> None:
    now = fleet.world.clock.now()
    with fleet.world.rows.transaction() as tx:
        for name, share in shares.items():
            assert tx.new_account(AccountRow(name, name.title(), now, frozenset({Scope.SUBMIT}), share=share))


def submit(fleet: Fleet, account: str, items: int, chunk_items: int = 10, **more: Any) -> None:
    """A job of somebody's own."""
    caller = Caller(f"k-{account}", account, frozenset({Scope.SUBMIT}))
    fleet.submit(items, chunk_items=chunk_items, by=caller, **more)


def had(world: World, since: int = 0) -> Counter[str]:
    """Seconds of slots that each account's attempts took, those that ended after `since`."""
    found: Counter[str] = Counter()
    with world.rows.reading() as tx:
        jobs = tx.jobs(account_id=None, before=None, limit=1000)
    for job in jobs:
        for row in world.attempts(job.job_id):
            if row.leased_at is not None and row.over_at is not None and row.over_at > since:
                found[job.account_id] += (row.over_at - row.leased_at) // 1_000_000
    return found


def parts(seconds: Counter[str]) -> dict[str, float]:
    return {name: seconds[name] / seconds.total() for name in seconds}


def near(expected: dict[str, float], within: float = 0.04) -> object:
    return pytest.approx(expected, abs=within)


def test_one_slot_is_shared_as_the_operator_said(fleet: Fleet) -> None:
    people(fleet, SHARES)
    fleet.alone("ada")
    for name in SHARES:
        submit(fleet, name, 5000)
    fleet.run_seconds(900)
    assert parts(had(fleet.world)) == near({"anna": 0.5, "bob": 0.3, "carl": 0.2})


def test_many_slots_are_shared_as_the_operator_said(fleet: Fleet) -> None:
    people(fleet, SHARES)
    for number in range(6):
        fleet.world.add_worker(f"m{number}", slots=4)
    for name in SHARES:
        submit(fleet, name, 20_000)
    fleet.run_seconds(300)
    assert parts(had(fleet.world)) == near({"anna": 0.5, "bob": 0.3, "carl": 0.2})


def test_what_counts_is_time_and_not_the_number_of_chunks(fleet: Fleet) -> None:
    people(fleet, {"long": 1.0, "short": 1.0})
    fleet.alone("ada")
    submit(fleet, "long", 10_000, chunk_items=40)
    submit(fleet, "short", 10_000, chunk_items=5)
    fleet.run_seconds(1800)
    assert parts(had(fleet.world)) == near({"long": 0.5, "short": 0.5}, 0.05)


def test_priority_orders_the_jobs_of_one_account_only(fleet: Fleet) -> None:
    people(fleet, {"loud": 1.0, "quiet": 1.0})
    fleet.alone("ada")
    submit(fleet, "quiet", 5000, priority=-10)
    submit(fleet, "loud", 5000, priority=1000)
    fleet.run_seconds(600)
    assert parts(had(fleet.world)) == near({"loud": 0.5, "quiet": 0.5})


def test_many_jobs_are_no_larger_share(fleet: Fleet) -> None:
    """More of one account's jobs than the scheduler looks at hide nobody else's."""
    people(fleet, {"many": 1.0, "one": 1.0})
    fleet.alone("ada")
    for _ in range(80):
        submit(fleet, "many", 60)
    submit(fleet, "one", 3000)
    fleet.run_seconds(600)
    assert parts(had(fleet.world)) == near({"many": 0.5, "one": 0.5}, 0.05)


def test_what_somebody_does_not_want_the_others_get(fleet: Fleet) -> None:
    people(fleet, {"rich": 99.0, "poor": 1.0})
    fleet.alone("ada")
    submit(fleet, "poor", 200)
    fleet.run_seconds(300)
    assert all(job.state is JobState.COMPLETED for job in jobs(fleet)), "alone it had everything"
    submit(fleet, "rich", 20)
    submit(fleet, "poor", 200)
    fleet.run_seconds(300)
    assert all(job.state is JobState.COMPLETED for job in jobs(fleet))


def jobs(fleet: Fleet) -> list[JobRow]:
    with fleet.world.rows.reading() as tx:
        return list(tx.jobs(account_id=None, before=None, limit=100))


def test_a_newcomer_is_served_at_once_and_does_not_get_everything(fleet: Fleet) -> None:
    people(fleet, {"old": 1.0, "new": 1.0})
    fleet.alone("ada")
    submit(fleet, "old", 20_000)
    fleet.run_seconds(1800)
    submit(fleet, "new", 20_000)
    start = fleet.world.clock.now()
    fleet.run_seconds(600)
    found = parts(had(fleet.world, start))
    assert 0.5 < found["new"] < 0.85, "it catches up on what it did not have, and shuts nobody out"


def test_a_changed_share_holds_within_seconds(fleet: Fleet) -> None:
    people(fleet, {"a": 1.0, "b": 1.0})
    fleet.alone("ada")
    for name in ("a", "b"):
        submit(fleet, name, 20_000)
    fleet.run_seconds(300)
    with fleet.world.rows.transaction() as tx:
        row = tx.account("a")
        assert row is not None
        tx.save_account(replace(row, share=9.0))
    fleet.run_seconds(10)
    start = fleet.world.clock.now()
    fleet.run_seconds(900)
    assert parts(had(fleet.world, start))["a"] > 0.85


def test_a_server_that_dies_forgets_seconds_of_it_only(fleet: Fleet) -> None:
    people(fleet, SHARES)
    fleet.alone("ada")
    for name in SHARES:
        submit(fleet, name, 10_000)
    for _ in range(5):
        fleet.run_seconds(240)
        fleet.server_dies()
    assert parts(had(fleet.world)) == near({"anna": 0.5, "bob": 0.3, "carl": 0.2}, 0.05)
    with fleet.world.rows.reading() as tx:
        used = {account: used for account, _, used, _ in tx.shares()}
    whole = sum(used.values())
    assert whole > 0.9 * had(fleet.world).total()
    assert {name: used[name] / whole for name in SHARES} == near({"anna": 0.5, "bob": 0.3, "carl": 0.2}, 0.05)
