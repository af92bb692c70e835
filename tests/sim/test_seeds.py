"""A fixed batch of seeds: no invariant is broken, and every row of every transition table is used."""

from fallow.sim import replay, run_batch
from fallow.sim.invariants import all_moves

COUNT = 150
COUNT_MAX = 900  # by then the rarest row of the tables has fired many times over


def test_nothing_breaks_whatever_goes_wrong_and_every_row_is_used() -> None:
    """A fixed number of seeds, and as many more as the rare rows need."""
    batch = run_batch(count=COUNT)
    while not batch.failures and batch.missing and batch.seeds < COUNT_MAX:
        one = run_batch(count=1, first_seed=batch.seeds)
        batch.seeds += 1
        batch.fired |= one.fired
        batch.failures += one.failures
    assert batch.failures == [], str(batch)
    assert batch.missing == []


def test_a_seed_does_the_same_thing_always() -> None:
    first, second = replay(3), replay(3)
    assert first == second
    assert first.fired


def test_a_batch_that_left_rows_unused_does_not_count() -> None:
    batch = run_batch(count=1)
    assert not batch.failures
    assert not batch.complete
    assert not batch.ok
    assert "not used: " in str(batch)
    assert len(batch.fired) + len(batch.missing) == len(all_moves())
