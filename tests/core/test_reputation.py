"""A volunteer's record: trust, quota, speed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.core.lifecycle import AttemptEvent
from fallow.core.reputation import (
    Fared,
    Reputation,
    after,
    counts_alone,
    day_of,
    fared,
    left_today,
    measured,
    spot_check,
    trusted,
)
from fallow.core.words import FailureClass, Micros

QUOTA = 100
NEW = Reputation(quota=QUOTA)


def many(event: Fared, times: int, start: Reputation = NEW) -> Reputation:
    for _ in range(times):
        start = after(start, event, QUOTA)
    return start


def test_ten_good_answers_in_a_row_make_trust_and_one_bad_one_ends_it() -> None:
    assert not trusted(many(Fared.VALID, 9).valid_in_row)
    proven = many(Fared.VALID, 10)
    assert trusted(proven.valid_in_row)
    for event in (Fared.INVALID, Fared.ERRORED, Fared.LOST):
        assert not trusted(after(proven, event, QUOTA).valid_in_row)
    assert trusted(after(proven, Fared.ABORTED, QUOTA).valid_in_row)


def test_an_answer_that_stood_alone_earns_no_trust_and_loses_none() -> None:
    alone = NEW
    for _ in range(50):
        alone = after(alone, Fared.VALID, QUOTA, compared=False)
    assert (alone.valid, alone.valid_in_row) == (50, 0)
    assert after(many(Fared.VALID, 12), Fared.VALID, QUOTA, compared=False).valid_in_row == 12


def test_trusted_machines_are_checked_the_more_seldom_the_longer_they_are_right() -> None:
    assert spot_check(10, 0.1)
    assert not spot_check(10, 0.11)
    assert spot_check(100, 0.01)
    assert not spot_check(100, 0.02)
    assert not counts_alone(9, 1.0)
    assert counts_alone(10, 1.0)
    assert not counts_alone(10, 0.05)


def test_the_quota_falls_one_by_one_and_comes_back_by_doubling() -> None:
    assert [many(Fared.ERRORED, n).quota for n in (1, 2, 98, 99, 150)] == [99, 98, 2, 1, 1]
    fallen = many(Fared.LOST, 200)
    assert [many(Fared.VALID, n, fallen).quota for n in (1, 2, 6, 7, 8)] == [2, 4, 64, 100, 101]
    assert after(replace(NEW, quota=500), Fared.INVALID, QUOTA).quota == QUOTA
    assert many(Fared.VALID, 2000).quota == 10 * QUOTA


@given(st.lists(st.sampled_from(Fared), max_size=60), st.integers(1, 50))
def test_the_record_adds_up(events: list[Fared], quota: int) -> None:
    record = Reputation(quota=quota)
    for event in events:
        record = after(record, event, quota)
    assert 1 <= record.quota <= 10 * quota
    assert record.valid == events.count(Fared.VALID)
    assert record.invalid == events.count(Fared.INVALID)
    assert record.errored == events.count(Fared.ERRORED) + events.count(Fared.LOST)
    good = list(reversed([each for each in events if each is not Fared.ABORTED]))
    assert record.valid_in_row == next((n for n, each in enumerate(good) if each is not Fared.VALID), len(good))


def test_speed_follows_what_is_new() -> None:
    record = after(NEW, Fared.VALID, QUOTA, items=10, seconds=20.0, turnaround_seconds=600.0)
    assert (record.seconds_per_item, record.turnaround_seconds) == (2.0, 600.0)
    record = after(record, Fared.VALID, QUOTA, items=10, seconds=40.0)
    assert (record.seconds_per_item, record.turnaround_seconds) == (3.0, 600.0)
    for _ in range(200):
        record = after(record, Fared.VALID, QUOTA, items=1, seconds=7.0)
    assert record.seconds_per_item == pytest.approx(7.0)
    assert after(record, Fared.INVALID, QUOTA, items=100, seconds=0.1).seconds_per_item == record.seconds_per_item
    assert measured(record, 0, 5.0) == record


def test_the_quota_is_a_days_for_each_core() -> None:
    today = Micros(20_000 * 86_400_000_000 + 5)
    record = replace(NEW, day=day_of(today), sent_today=150)
    assert day_of(today) == 20_000
    assert left_today(record, today, 4.0) == 250
    assert left_today(record, today, 0.5) == 0
    assert left_today(record, Micros(today + 86_400_000_000), 1.0) == QUOTA


@pytest.mark.parametrize(
    ("event", "failure", "said"),
    [
        (AttemptEvent.AGREE, None, Fared.VALID),
        (AttemptEvent.DISAGREE, None, Fared.INVALID),
        (AttemptEvent.EXPIRE, None, Fared.LOST),
        (AttemptEvent.FAIL, FailureClass.WORKER, Fared.ERRORED),
        (AttemptEvent.FAIL, FailureClass.ABORTED, Fared.ABORTED),
        (AttemptEvent.FAIL, FailureClass.SUBMITTER, None),
        (AttemptEvent.FAIL, FailureClass.LIMITS, None),
        (AttemptEvent.FAIL, FailureClass.OURS, None),
        (AttemptEvent.FAIL, None, None),
        (AttemptEvent.ABORT, None, None),
        (AttemptEvent.REPORT, None, None),
    ],
)
def test_only_the_machines_own_doing_counts(
    event: AttemptEvent, failure: FailureClass | None, said: Fared | None
) -> None:
    assert fared(event, failure) is said
