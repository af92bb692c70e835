"""What witnesses hear: every move that was committed, once, with its age; on both databases."""

from collections.abc import Iterator

import pytest

from fallow.core.changes import Change, MoveAttempt, MoveChunk
from fallow.core.chapter import UNKNOWN, Chapter, Move, Witnesses
from fallow.core.chunk import Answer
from fallow.core.lifecycle import AttemptEvent, ChunkEvent, JobEvent
from fallow.core.words import AttemptId, FailureClass, Micros
from fallow.store.opening import open_store
from tests.store.yard import SECOND, T0, Yard, answer, done


class Listener:
    def __init__(self) -> None:
        self.moves: list[Move] = []
        self.contracts: set[str] = set()

    def heard(self, chapter: Chapter) -> None:
        self.moves.extend(chapter.moves())
        for move in chapter.moves():
            spec = chapter.spec_of(move.job_key)
            self.contracts.add(spec.contract if spec else "")

    def of(self, event: str) -> list[Move]:
        return [move for move in self.moves if move.event == event]


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def told(store_url: str, listener: Listener) -> Iterator[Yard]:
    store = open_store(store_url, witness=Witnesses([listener]))
    yard = Yard(store)
    yield yard
    yard.check()
    store.close()


def test_each_step_is_told_with_how_long_it_took(told, listener):
    job = told.job(2, 2)
    [leased] = told.lease(job, now=T0 + 3 * SECOND, limit=1)
    told.apply(MoveAttempt(leased.attempt_id, AttemptEvent.REPORT, "", answer(1)), now=T0 + 5 * SECOND)
    later: list[Change] = done(job, leased)[1:]
    told.apply(*later, now=T0 + 9 * SECOND)
    ages = {event: [move.age_micros / SECOND for move in listener.of(event)] for event in ("lease", "report", "agree")}
    assert ages == {"lease": [3.0], "report": [2.0], "agree": [4.0]}
    assert [move.by for move in listener.of("lease")] == ["worker w-1"]
    assert "stream" in listener.contracts


def test_what_is_judged_in_one_go_took_no_time_to_judge(told, listener):
    job = told.job(1, 1)
    [leased] = told.lease(job)
    told.apply(*done(job, leased), now=T0 + 7 * SECOND)
    assert [move.age_micros for move in (*listener.of("report"), *listener.of("agree"))] == [7 * SECOND, 0]


def test_the_first_chunk_and_the_job_know_how_old_the_job_is(told, listener):
    job = told.job(3)
    assert [move.age_micros for move in listener.of("plan")] == [0, UNKNOWN, UNKNOWN]
    with told.store.transaction() as tx:
        tx.move_job(job.job_key, JobEvent.PAUSE, "", "test", Micros(T0 + SECOND))
    assert [move.age_micros for move in listener.of("pause")] == [SECOND]


def test_what_is_rolled_back_was_never_heard_of(told, listener):
    job = told.job(1, 1)
    [leased] = told.lease(job)
    before = list(listener.moves)

    def half() -> None:
        with told.store.transaction() as tx:
            tx.apply([MoveAttempt(leased.attempt_id, AttemptEvent.REPORT, "", answer(1))], T0, "test")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert listener.moves == before


def test_a_failure_says_whose_it_is_and_a_late_answer_that_it_is_late(told, listener):
    job = told.job(2, 2)
    first, second = told.lease(job)
    failure = Answer(failure_class=FailureClass.WORKER, code="disk_full")
    told.apply(MoveAttempt(first.attempt_id, AttemptEvent.FAIL, "", failure))
    told.apply(MoveAttempt(second.attempt_id, AttemptEvent.REPORT, "", answer(2)))
    told.apply(MoveChunk(job.job_key, second.chunk_id, ChunkEvent.VERIFY))
    told.apply(MoveChunk(job.job_key, second.chunk_id, ChunkEvent.CANCEL))
    told.apply(MoveAttempt(AttemptId(second.attempt_id), AttemptEvent.AGREE))
    assert [move.word for move in (*listener.of("fail"), *listener.of("agree"))] == ["worker", "late"]
