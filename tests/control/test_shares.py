"""What a process knows of shares: what it charges, what it gives back, what it asks the rows for and when."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from fallow.clock import ManualClock
from fallow.control.callers import Caller
from fallow.control.shares import Shares
from fallow.core.chapter import Chapter
from fallow.core.job import Chunking
from fallow.core.refusals import Code, Refusal
from fallow.core.words import JobKey, Micros, Scope
from fallow.settings import Settings
from fallow.sim.world import World
from fallow.store.port import JobRow, Store
from tests.control.test_intake import GOOD
from tests.store.yard import spec


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.inputs.files["in.jsonl"] = b'{"n":0,"do":"ok"}\n' * 500
    yield made
    made.close()


def chapter(job_key: int, *moves: tuple[int, str, str, float]) -> Chapter:
    """moves: attempt, from, to, seconds."""
    told = Chapter(lambda _key: None)
    for attempt, before, after, seconds in moves:
        told.rows.append((Micros(0), JobKey(job_key), 0, attempt, before, after, "", "", ""))  # type: ignore[arg-type]
        told.ages.append(int(seconds * 1e6))
        told.words.append("")
    return told


def job_of(store: Store, name: str, account: str) -> JobRow:
    with store.transaction() as tx:
        tx.add_account(account, account, Micros(0))
        return tx.add_job(spec(name), account, Micros(1), "test")


def used(store: Store) -> dict[str, float]:
    with store.reading() as tx:
        return {account: seconds for account, _, seconds, _ in tx.shares()}


def test_what_attempts_took_is_charged_to_their_accounts(world: World) -> None:
    shares, store = Shares(world.clock, Settings()), world.rows
    ada, bob = (job_of(store, f"{name}-job", name) for name in ("ada", "bob"))
    shares.heard(chapter(ada.job_key, (1, "leased", "reported", 4.0), (2, "leased", "errored", 2.0)))
    shares.heard(chapter(bob.job_key, (3, "leased", "aborted", 1.5), (4, "queued", "leased", 99.0)))
    shares.heard(chapter(bob.job_key, (5, "lost", "reported", 99.0), (6, "reported", "valid", 99.0)))
    assert not shares.step(store)
    assert used(store) == {"ada": pytest.approx(6.0), "bob": pytest.approx(1.5)}


def test_what_a_silent_worker_did_is_not_charged(world: World) -> None:
    shares, job = Shares(world.clock, Settings()), job_of(world.rows, "job", "ada")
    shares.heard(chapter(job.job_key, (1, "leased", "lost", 3600.0)))
    shares.step(world.rows)
    assert used(world.rows) == {}


def test_a_job_that_is_gone_charges_nobody(world: World) -> None:
    shares = Shares(world.clock, Settings())
    shares.heard(chapter(4711, (1, "leased", "reported", 5.0)))
    shares.step(world.rows)
    assert used(world.rows) == {}


class Away:
    """A store that cannot be reached."""

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        raise Refusal(Code.STORAGE_UNREACHABLE, "Away.")
        yield

    reading = transaction


def test_what_could_not_be_written_is_written_later(world: World) -> None:
    shares, job = Shares(world.clock, Settings()), job_of(world.rows, "job", "ada")
    shares.heard(chapter(job.job_key, (1, "leased", "reported", 5.0)))
    with pytest.raises(Refusal):
        shares.step(Away())  # type: ignore[arg-type]
    shares.heard(chapter(job.job_key, (2, "leased", "reported", 2.0)))
    shares.step(world.rows)
    assert used(world.rows) == {"ada": pytest.approx(7.0)}


def test_rows_are_written_every_few_seconds_and_not_at_every_step() -> None:
    clock = ManualClock()
    world = World(clock=clock)
    shares, job = Shares(clock, Settings()), job_of(world.rows, "job", "ada")
    shares.step(world.rows)
    shares.heard(chapter(job.job_key, (1, "leased", "reported", 5.0)))
    clock.advance(1.9)
    shares.step(world.rows)
    assert used(world.rows) == {}
    clock.advance(0.2)
    shares.step(world.rows)
    assert used(world.rows) == {"ada": pytest.approx(5.0)}
    world.close()


def submit(world: World, account: str) -> None:
    """A job of many small chunks."""
    with world.rows.transaction() as tx:
        tx.add_account(account, account, world.clock.now())
    caller = Caller(f"k-{account}", account, frozenset({Scope.SUBMIT}))
    world.server.intake.submit(caller, replace(GOOD, chunking=Chunking(items=1)))


def asked_of_the_rows(world: World) -> list[str]:
    """The statements of a worker's calls for 4 slots."""
    heard: list[str] = []
    worker = world.add_worker("ada", slots=4)
    world.turn(1.0)
    connection = world.rows._writer  # type: ignore[attr-defined]
    connection.set_trace_callback(heard.append)
    for _ in range(4):
        world.clock.advance(1)
        worker.act(world.server)
    connection.set_trace_callback(None)
    assert sum("j.leasable = 1" in each for each in heard) > 1
    return heard


def test_one_account_alone_costs_no_look_at_accounts(world: World) -> None:
    submit(world, "alice")
    looks = [each for each in asked_of_the_rows(world) if "RECURSIVE" in each or "j.account_id =" in each]
    assert looks == []


def test_two_accounts_are_told_apart_without_another_look(world: World) -> None:
    submit(world, "alice")
    submit(world, "bob")
    looks = [each for each in asked_of_the_rows(world) if "RECURSIVE" in each or "j.account_id =" in each]
    assert looks == []
    with world.rows.reading() as tx:
        rows = tx.jobs(account_id=None, before=None, limit=9)
    assert [job.counters.attempts_over + job.counters.attempts_leased > 3 for job in rows] == [True, True]
