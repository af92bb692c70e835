"""A log that was cut: what was written and what is kept, counted in each other's bytes."""

from pathlib import Path

import pytest

from fallow.core.log_gap import LogGap, gap_at, head_bytes
from fallow.worker.logs import CappedLog

LIMIT = 1001


@pytest.mark.parametrize("count", [0, 1, 60, 100, 101, 102, 130, 500])
def test_every_byte_that_is_kept_is_found_where_it_was_written(tmp_path: Path, count: int) -> None:
    """As the worker really cuts its logs."""
    log = CappedLog(tmp_path / "log", LIMIT)
    lines = [b"%09d\n" % number for number in range(count)]
    for line in lines:
        log.write(line)
    log.close()
    written, kept = b"".join(lines), (tmp_path / "log").read_bytes()
    gap = gap_at(head_bytes(LIMIT), kept[head_bytes(LIMIT) :])
    assert (gap.dropped > 0) == (b"[fallow:" in kept)
    assert len(written) == len(kept) - gap.marker + gap.dropped
    for position in range(len(kept)):
        if not gap.start <= position < gap.start + gap.marker:
            assert written[gap.written(position)] == kept[position]
            assert gap.position(gap.written(position)) == position


def test_what_was_dropped_leads_to_the_marker() -> None:
    gap = LogGap(10, 5, 100)
    assert [gap.position(written) for written in (9, 10, 50, 109, 110, 120)] == [9, 10, 10, 10, 15, 25]
    assert [gap.written(position) for position in (9, 10, 14, 15, 25)] == [9, 10, 10, 110, 120]


def test_words_of_a_program_that_look_alike_are_no_gap() -> None:
    assert gap_at(10, b"[fallow: 12 bytes of the log were dropped here]\n") == LogGap()
    assert gap_at(10, b"") == LogGap()
