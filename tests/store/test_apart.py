"""Leasing under terms: classes of machines, one account's machines, more answers; and what is kept for volunteers."""

from dataclasses import replace
from threading import Thread

import pytest

from fallow.control.replication import want_quorum
from fallow.core.changes import CutChunk, MoveAttempt, MoveChunk, QueueAttempts
from fallow.core.chunk import Answer, Extent
from fallow.core.job import Homogeneous, Requirements, VerifyMethod, VerifyPolicy
from fallow.core.lifecycle import AttemptEvent, ChunkEvent
from fallow.core.refusals import Refusal
from fallow.core.words import ChunkId, ChunkState, FailureClass, JobId, WorkerId
from fallow.store.opening import open_store
from fallow.store.port import ChunkRef, JobRow, Leased, Terms, WorkerRow
from tests.servers.postgresql import PostgresServer
from tests.store.conftest import migrate
from tests.store.yard import LEASE, NEVER, T0, Yard, answer, spec

INTEL, AMD = Terms(class_name="linux/amd64/intel"), Terms(class_name="linux/amd64/amd")


def lease(yard: Yard, job: JobRow, worker: str, terms: Terms, limit: int = 10) -> list[Leased]:
    with yard.store.transaction() as tx:
        return tx.lease(job.job_key, WorkerId(worker), limit, T0, LEASE, NEVER, terms)


def answered(yard: Yard, leased: Leased) -> None:
    yard.apply(MoveAttempt(leased.attempt_id, AttemptEvent.REPORT, "", answer(leased.attempt_id)))


def classes(yard: Yard, job: JobRow) -> dict[ChunkId, str]:
    with yard.store.reading() as tx:
        return dict(tx.chunk_classes(job.job_key, [ChunkId(number) for number in range(10)]))


def test_the_first_lease_fixes_the_class(yard: Yard) -> None:
    job = yard.job(2, 2, quorum=2)
    assert len(lease(yard, job, "a", INTEL, 1)) == 1
    assert [each.chunk_id for each in lease(yard, job, "b", AMD)] == [1]
    assert classes(yard, job) == {0: INTEL.class_name, 1: AMD.class_name}
    assert lease(yard, job, "b", AMD) == []
    assert [each.chunk_id for each in lease(yard, job, "c", INTEL)] == [0]


def test_an_answer_keeps_the_class(yard: Yard) -> None:
    job = yard.job(1, 1, quorum=2)
    [leased] = lease(yard, job, "a", INTEL)
    answered(yard, leased)
    assert lease(yard, job, "b", AMD) == []
    assert len(lease(yard, job, "c", INTEL)) == 1


@pytest.mark.parametrize("event", [AttemptEvent.EXPIRE, AttemptEvent.FAIL, AttemptEvent.ABORT])
def test_the_class_is_forgotten_when_nothing_of_it_is_left(yard: Yard, event: AttemptEvent) -> None:
    job = yard.job(1, 1)
    [leased] = lease(yard, job, "a", INTEL)
    brought = Answer(failure_class=FailureClass.WORKER, code="x") if event is AttemptEvent.FAIL else None
    yard.apply(MoveAttempt(leased.attempt_id, event, "", brought), QueueAttempts(job.job_key, leased.chunk_id, 1))
    assert len(lease(yard, job, "b", AMD)) == 1
    assert classes(yard, job) == {0: AMD.class_name}


def test_two_machines_of_one_account_never_share_a_chunk(yard: Yard) -> None:
    job = yard.job(2, 2, quorum=2)
    with yard.store.transaction() as tx:
        tx.add_account("other", "Other", T0)
        for name, account in (("a", "acme"), ("b", "acme"), ("c", "other")):
            tx.save_worker(WorkerRow(WorkerId(name), account, name, None, b"k", "{}", "s", T0, T0))
    acme, other = Terms(account_id="acme"), Terms(account_id="other")
    first = lease(yard, job, "a", acme, 1)
    assert [each.chunk_id for each in lease(yard, job, "b", acme)] == [1]
    answered(yard, first[0])
    assert lease(yard, job, "b", acme) == []
    assert [each.chunk_id for each in lease(yard, job, "c", other)] == [0, 1]


def test_without_terms_a_class_is_neither_kept_nor_asked(yard: Yard) -> None:
    job = yard.job(2, 2, quorum=2)
    lease(yard, job, "a", INTEL, 1)
    assert len(yard.lease(job, "b")) == 2
    assert classes(yard, job) == {0: INTEL.class_name}


def test_answers_are_raised_once_and_only_while_they_are_asked_for(yard: Yard) -> None:
    job = yard.job(2, 2)
    [leased, done] = yard.lease(job, "a")
    yard.report(job, done)
    with yard.store.transaction() as tx:
        [case] = tx.raise_answers(job.job_key, [leased.chunk_id, done.chunk_id], 2)
    assert (case.chunk.chunk_id, case.chunk.answers_wanted) == (leased.chunk_id, 2)
    with yard.store.transaction() as tx:
        assert tx.raise_answers(job.job_key, [leased.chunk_id], 2) == []
        [again] = tx.cases([ChunkRef(job.job_key, leased.chunk_id)])
    assert (again.chunk.state, again.chunk.answers_wanted) == (ChunkState.OPEN, 2)


def test_what_became_of_a_volunteers_attempts_is_kept_for_its_judges(yard: Yard) -> None:
    job = yard.job(4, 4)
    ours = yard.lease(job, "w-1", 1)
    [good, bad, lost] = lease(yard, job, "b-7.1", Terms())
    for one in (*ours, good, bad):
        answered(yard, one)
    yard.apply(
        MoveAttempt(ours[0].attempt_id, AttemptEvent.AGREE),
        MoveAttempt(good.attempt_id, AttemptEvent.AGREE),
        MoveAttempt(bad.attempt_id, AttemptEvent.DISAGREE),
        MoveAttempt(lost.attempt_id, AttemptEvent.EXPIRE),
    )
    with yard.store.transaction() as tx:
        told = [(each.attempt_id, each.event, each.worker_id) for each in tx.verdicts(10)]
    volunteer = WorkerId("b-7.1")
    assert told == [
        (good.attempt_id, AttemptEvent.AGREE, volunteer),
        (bad.attempt_id, AttemptEvent.DISAGREE, volunteer),
        (lost.attempt_id, AttemptEvent.EXPIRE, volunteer),
    ]


def test_a_finished_head_keeps_the_class_of_the_whole(yard: Yard) -> None:
    apart = VerifyPolicy(VerifyMethod.QUORUM, 2, homogeneous=Homogeneous.MODEL)
    job = yard.job(1, 1, quorum=2, verify=apart)
    [leased] = lease(yard, job, "a", INTEL)
    failed = replace(answer(leased.attempt_id), failure_class=FailureClass.SUBMITTER, code="x", items_done=4)
    yard.apply(
        MoveAttempt(leased.attempt_id, AttemptEvent.FAIL, "", failed),
        MoveChunk(job.job_key, leased.chunk_id, ChunkEvent.SPLIT, ""),
        CutChunk(job.job_key, leased.chunk_id, 0, 4, Extent(0, 200, 0), 0, 2, leased.attempt_id),
        CutChunk(job.job_key, leased.chunk_id, 4, 6, Extent(0, 200, 4), 0, 2, None),
    )
    assert classes(yard, job) == {0: INTEL.class_name, 1: INTEL.class_name}
    assert [each.chunk_id for each in lease(yard, job, "b", AMD)] == [2]
    assert 1 in [each.chunk_id for each in lease(yard, job, "c", INTEL)]


def test_what_volunteers_may_have_is_found_among_all_that_there_is(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        tx.add_account("vera", "Vera", T0)
    given = replace(spec("given"), requirements=Requirements(volunteers=True))
    named = replace(spec("named"), env={"volunteers": "true", "x": '"volunteers":true'})
    for asked in (spec("kept"), given, named):
        yard.job(1, 1, asked.job_id, asked=asked)
    yard.job(1, 1, "hers", asked=spec("hers"), account="vera")
    yard.job(0, 0, "empty", asked=replace(given, job_id=JobId("empty")))

    def found(account: str, others: bool = True, limit: int = 9) -> list[str]:
        with yard.store.reading() as tx:
            return [job.job_id for job in tx.leasable_jobs_for_volunteers(account, others, limit)]

    assert found("vera") == ["given", "hers"]
    assert found("vera", limit=1) == ["given"]
    assert found("vera", others=False) == ["hers"]
    assert found("acme", others=False) == ["kept", "given", "named"]


@pytest.mark.postgres
def test_leases_under_terms_at_once_never_mix_and_never_wait_for_each_other(
    postgres_server: PostgresServer,
) -> None:
    """Machines of two classes and of three accounts take, doubt and report the same few chunks."""
    with postgres_server.database(migrate) as url:
        store = open_store(url)
        yard = Yard(store)
        with store.transaction() as tx:
            for account in ("one", "two", "three"):
                tx.add_account(account, account, T0)
        job = yard.job(40, 40)
        refused: list[Exception] = []

        def run(number: int) -> None:
            account, name = ("one", "two", "three")[number % 3], WorkerId(f"b-{number}.1")
            terms = Terms(("amd", "intel")[number % 2], account)
            with store.transaction() as tx:
                tx.save_worker(WorkerRow(name, account, name, None, b"k", "{}", "s", T0, T0))
            for _ in range(30):
                try:
                    with store.transaction() as tx:
                        taken = tx.lease(job.job_key, name, 5, T0, LEASE, NEVER, terms)
                        want_quorum(tx, replace(job, spec=doubted), [each.chunk_id for each in taken], T0)
                    for each in taken[::2]:
                        answered(yard, each)
                except Refusal as refusal:
                    refused.append(refusal)

        doubted = spec("job-1", quorum=2)
        threads = [Thread(target=run, args=(number,)) for number in range(6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert refused == []
        held = [[(row.worker_id or "") for row in yard.case(job, n).attempts if row.worker_id] for n in range(40)]
        numbers = [[int(name[2:].partition(".")[0]) for name in names] for names in held]
        assert sum(len(each) == 2 for each in numbers) > 0
        assert all(len({number % 2 for number in each}) <= 1 for each in numbers), "classes mixed"
        assert all(len({number % 3 for number in each}) == len(each) for each in numbers), "an account twice"
        yard.check()
        store.close()
