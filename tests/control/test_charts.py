"""Maps and series of a job, from real rows."""

from pathlib import Path
from typing import Any

import pytest

from fallow.control.callers import Caller
from fallow.control.charts import CELLS_MAX, KINDS, Charts, _ranges, per_cell_of
from fallow.control.scheduler import Scheduler
from fallow.control.views import Views
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros, Scope
from fallow.settings import Settings
from fallow.store.opening import open_store
from tests.store.yard import ITEMS, SECOND, T0, Yard, done

ACME = Caller("k-1", "acme", frozenset({Scope.SUBMIT}))
OTHER = Caller("k-2", "other", frozenset({Scope.SUBMIT}))


class StoppedClock:
    def __init__(self, at: int) -> None:
        self.at = at

    def now(self) -> Micros:
        return Micros(self.at)


@pytest.fixture
def made(tmp_path: Path) -> Any:
    store = open_store(f"sqlite:///{tmp_path / 'rows.db'}")
    store.migrate()
    clock = StoppedClock(T0 + 20 * SECOND)
    settings = Settings()
    yield Yard(store), Charts(store, Views(store, Scheduler(store, clock, settings)), clock)
    store.close()


def counts(found: Any) -> dict[str, int]:
    return {kind: sum(cell.counts[n] for cell in found.cells) for n, kind in enumerate(KINDS)}


def test_a_map_and_what_changed_of_it(made: Any) -> None:
    yard, charts = made
    job = yard.job(chunks=20, opened=10)
    leases = yard.lease(job, "w-1", 4)
    found = charts.chunk_map(ACME, "job-1")
    assert (found.chunks, found.per_cell, found.whole, len(found.cells)) == (20, 1, True, 20)
    assert counts(found) | {"planned": 10, "queued": 6, "running": 4, "done": 0} == counts(found)

    assert charts.chunk_map(ACME, "job-1", found.mark).cells == ()
    yard.apply(*done(job, leases[2]))
    changed = charts.chunk_map(ACME, "job-1", found.mark)
    assert not changed.whole
    [cell] = changed.cells
    assert cell.number == leases[2].chunk_id
    assert cell.counts[KINDS.index("done")] == 1
    assert charts.chunk_map(ACME, "job-1", changed.mark + 1_000_000).whole


def test_cells_hold_round_numbers_of_chunks_and_are_never_too_many() -> None:
    for chunks, expected in ((0, 1), (10_000, 1), (10_001, 2), (50_000, 5), (100_000, 10), (10**9, 100_000)):
        assert per_cell_of(chunks) == expected
        assert chunks / expected <= CELLS_MAX


def test_far_apart_changes_are_asked_for_in_few_ranges() -> None:
    assert _ranges([], 10) == []
    assert _ranges([5, 6, 19, 500], 10) == [(0, 1), (50, 50)]
    many = _ranges(list(range(0, 100_000, 97)), 1)
    assert len(many) <= 64
    assert (many[0][0], many[-1][1]) == (0, 99_910)


def test_a_series_and_its_forecast(made: Any) -> None:
    yard, charts = made
    job = yard.job(chunks=100, opened=40)
    for second in range(20):
        [leased] = yard.lease(job, "w-1", 1)
        yard.apply(*done(job, leased), now=T0 + second * SECOND)
    series = charts.series(ACME, "job-1")
    assert (series.span_seconds, series.start) == (1, T0)
    assert series.items == (*[ITEMS] * 20, 0)
    assert (series.done, series.total, series.growing) == (200, 1000, False)
    assert series.forecast is not None
    assert series.forecast.likely_seconds == pytest.approx(80)
    assert charts.throughput()[job.job_key] == pytest.approx(10)


def test_nothing_done_has_an_empty_series(made: Any) -> None:
    yard, charts = made
    yard.job(chunks=3)
    series = charts.series(ACME, "job-1")
    assert (series.items, series.forecast, series.total) == ((), None, 30)


def test_other_peoples_jobs_are_not_there(made: Any) -> None:
    yard, charts = made
    yard.job(chunks=3)
    for ask in (charts.chunk_map, charts.series, charts.failures, charts.runs):
        with pytest.raises(Refusal) as refused:
            ask(OTHER, "job-1")
        assert refused.value.code is Code.NOT_FOUND
    assert charts.jobs(OTHER, "", (), "acme", None, 10) == ([], None)
    assert charts.submitters(OTHER) == []
