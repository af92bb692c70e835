"""What workers' receipts say that chunks took."""

from dataclasses import replace

import pytest

from fallow.control.estimates import _samples
from fallow.core.estimate import Sample
from fallow.core.receipt import seal
from fallow.core.words import ChunkId, ChunkState
from fallow.store.port import ResultRow
from tests.core.test_receipt import RECEIPT


def row(started_at: str, finished_at: str) -> ResultRow:
    receipt = replace(RECEIPT, started_at=started_at, finished_at=finished_at)
    return ResultRow(ChunkId(0), ChunkState.DONE, 0, 10, None, envelope=seal(receipt, "k", lambda _: b"signed"))


def test_a_receipt_says_how_long_its_chunk_took() -> None:
    assert list(_samples([row("2026-01-01T00:00:00Z", "2026-01-01T00:00:20Z")])) == [Sample(10, 20.0)]


@pytest.mark.parametrize("started_at", ["2026-01-01T00:00:00", "soon", "", "2026-13-01T00:00:00Z"])
def test_a_worker_that_tells_no_times_spoils_nobodys_estimate(started_at: str) -> None:
    rows = [row(started_at, "2026-01-01T00:00:20Z"), row("2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z")]
    assert list(_samples(rows)) == [Sample(10, 5.0)]
