"""A fixed batch of seeds: no invariant is broken, and every row of every transition table is used."""

from fallow.sim import replay, run_batch
from fallow.sim.invariants import all_moves

# Together they use every row; other batches of a few hundred do too. `fallow sim` runs as many as fit.
COUNT = 300


def test_nothing_breaks_whatever_goes_wrong_and_every_row_is_used() -> None:
    batch = run_batch(count=COUNT)
    assert batch.failures == [], str(batch)
    assert batch.missing == []
    assert batch.seeds == COUNT


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
