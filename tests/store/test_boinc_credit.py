"""Reputation, verdicts, credit and leaders, on both databases."""

from dataclasses import replace

import pytest

from fallow.core.credit import HALF_LIFE_SECONDS, add
from fallow.core.lifecycle import JobEvent
from fallow.core.words import AttemptId, ChunkId, JobKey, Micros, WorkerId
from fallow.store.port import BoincUserRow, ChunkRef, CreditRow, HostRow, ReputationRow, Store, Tx
from fallow.store.transaction import Transaction
from tests.store.yard import SECOND, T0, Yard

LATER = Micros(T0 + 86400 * SECOND)
WORKER = WorkerId("b-1.1")
IMAGE = "sha256:" + "ab" * 32


def volunteer(tx: Tx, account: str, number: int) -> tuple[BoincUserRow, HostRow]:
    """A user with a team and a host."""
    user = tx.add_boinc_user(account, f"{number:064x}", f"{number:032x}", T0)
    team = tx.team_by_name("owls") or tx.add_team("Owls", "owls", account, T0)
    assert team is not None
    tx.save_boinc_user(replace(user, team_id=team.team_id))
    made = tx.add_host(HostRow(0, WorkerId(""), account, 1, "c" * 32, "", 1, T0, T0, "{}"))
    return replace(user, team_id=team.team_id), made


def end(tx: Tx, rows: list[tuple[int, str]]) -> None:
    """As apply() does for attempts of volunteers."""
    assert isinstance(tx, Transaction)
    tx.session.many("insert_verdicts", ("attempt_id", "event"), rows)


def credit(attempt: int, host: HostRow, granted: float, at: Micros = LATER, job: int = 1) -> CreditRow:
    return CreditRow(AttemptId(attempt), JobKey(job), host.worker_id, host.account_id, at, granted + 1.0, granted)


def test_a_reputation_is_kept_and_todays_count_is_not_overwritten(store: Store) -> None:
    row = ReputationRow(WORKER, IMAGE, 64, 10, 1, 2, 3, day=7, sent_today=1, seconds_per_item=0.5)
    with store.transaction() as tx:
        tx.save_reputation(row)
        tx.save_reputation(replace(row, image="a"))
        assert tx.reputations(WORKER) == [replace(row, image="a"), row]
        assert tx.reputations(WorkerId("b-2.1")) == tx.reputations_of([]) == []
        tx.save_reputations([replace(row, worker_id=WorkerId("b-2.1"))])
        tx.save_reputations([])
        assert tx.reputations_of([WorkerId("b-2.1"), WORKER, WORKER, WorkerId("b-3.1")]) == [
            *tx.reputations(WORKER),
            replace(row, worker_id=WorkerId("b-2.1")),
        ]
        tx.count_sent(WORKER, IMAGE, 7, 4, quota=99)
        tx.save_reputation(replace(row, valid=11, quota=128, turnaround_seconds=60.0))
        [_, found] = tx.reputations(WORKER)
        assert found == replace(row, valid=11, quota=128, turnaround_seconds=60.0, sent_today=5)


def test_what_is_sent_is_counted_by_the_day(store: Store) -> None:
    with store.transaction() as tx:
        tx.count_sent(WORKER, IMAGE, 7, 4, quota=64)
        tx.count_sent(WORKER, IMAGE, 7, 2, quota=1)
        assert tx.reputations(WORKER) == [ReputationRow(WORKER, IMAGE, 64, day=7, sent_today=6)]
        tx.count_sent(WORKER, IMAGE, 8, 3, quota=1)
        assert tx.reputations(WORKER) == [ReputationRow(WORKER, IMAGE, 64, day=8, sent_today=3)]


def test_credit_goes_to_host_user_and_team_once(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        tx.add_account("other", "Other", T0)
        (mine, host), (theirs, their_host) = volunteer(tx, "acme", 1), volunteer(tx, "other", 2)
        rows = [credit(1, host, 10.0), credit(2, host, 5.0), credit(3, their_host, 2.0)]
        tx.grant_credit(rows, HALF_LIFE_SECONDS)
        tx.grant_credit([*rows, credit(1, host, 99.0)], HALF_LIFE_SECONDS)
        tx.grant_credit([], HALF_LIFE_SECONDS)
        found, other = tx.host(host.host_id), tx.host(their_host.host_id)
        assert found is not None
        assert other is not None
        assert (found.earned.total, other.earned.total) == (15.0, 2.0)
        assert found.earned.average == pytest.approx(add(0.0, 0.0, 15.0, LATER / 1e6))
        assert found.earned.at == LATER
        assert [(user.user_id, user.earned.total, name) for user, name in tx.user_leaders(9)] == [
            (mine.user_id, 15.0, "Acme"),
            (theirs.user_id, 2.0, "Other"),
        ]
        [team] = tx.team_leaders(9)
        assert (team.team_id, team.earned.total) == (mine.team_id, 17.0)


def test_a_batch_that_names_an_attempt_twice_earns_once(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        _, host = volunteer(tx, "acme", 1)
        tx.grant_credit([credit(1, host, 4.0), credit(1, host, 4.0)], HALF_LIFE_SECONDS)
        found = tx.host(host.host_id)
        assert found is not None
        assert found.earned.total == 4.0


def test_an_average_fades_between_grants(yard: Yard) -> None:
    week = Micros(LATER + 7 * 86400 * SECOND)
    with yard.store.transaction() as tx:
        user, host = volunteer(tx, "acme", 1)
        tx.grant_credit([credit(1, host, 10.0)], HALF_LIFE_SECONDS)
        tx.grant_credit([credit(2, host, 0.0, week)], HALF_LIFE_SECONDS)
        found = tx.boinc_user_by_id(user.user_id)
        assert found is not None
        assert found.earned.average == pytest.approx(add(0.0, 0.0, 10.0, 0.0) / 2)
        assert (found.earned.total, found.earned.at) == (10.0, week)


def test_credit_of_a_worker_of_earlier_generation_or_without_user_is_not_lost(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        made = tx.add_host(HostRow(0, WorkerId(""), "acme", 1, "c" * 32, "", 1, T0, T0, "{}"))
        tx.save_host(replace(made, generation=2, worker_id=WorkerId(f"b-{made.host_id}.2")))
        tx.grant_credit([credit(1, made, 3.0)], HALF_LIFE_SECONDS)
        found = tx.host(made.host_id)
        assert found is not None
        assert found.earned.total == 3.0
        assert tx.user_leaders(9) == []


def test_leaders_are_listed_best_first_unless_they_hide_or_are_disabled(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        for number, name in enumerate("abcd", start=1):
            tx.add_account(name, name.upper(), T0)
            user, host = volunteer(tx, name, number)
            tx.grant_credit([credit(number, host, float(number))], HALF_LIFE_SECONDS)
            if name == "d":
                tx.save_boinc_user(replace(user, listed=False))
        tx.add_boinc_user("acme", "e" * 64, "e" * 32, T0)
        assert [name for _, name in tx.user_leaders(9)] == ["C", "B", "A"]
        assert [name for _, name in tx.user_leaders(1)] == ["C"]


def test_verdicts_come_oldest_first_and_go(yard: Yard) -> None:
    job = yard.job(chunks=3, opened=3)
    leased = yard.lease(job, "b-1.1")
    with yard.store.transaction() as tx:
        assert not tx.has_verdicts()
        end(tx, [(each.attempt_id, "agree") for each in leased])
    with yard.store.transaction() as tx:
        assert tx.has_verdicts()
        rows = tx.verdicts(2)
        assert [row.attempt_id for row in rows] == [each.attempt_id for each in leased[:2]]
        [first, _] = rows
        assert (first.event, first.job_key, first.chunk_id, first.worker_id) == (
            "agree",
            job.job_key,
            leased[0].chunk_id,
            "b-1.1",
        )
        assert (first.item_count, first.failure_class, first.leased_at) == (leased[0].item_count, "", T0)
        tx.forget_verdicts([row.verdict_id for row in rows])
        assert [row.attempt_id for row in tx.verdicts(9)] == [leased[2].attempt_id]


def test_verdicts_of_an_erased_job_are_forgotten(yard: Yard) -> None:
    job = yard.job(chunks=1, opened=1)
    leased = yard.lease(job, "b-1.1")
    with yard.store.transaction() as tx:
        end(tx, [(leased[0].attempt_id, "abort"), (AttemptId(999_999), "abort")])
        assert [row.attempt_id for row in tx.verdicts(9)] == [leased[0].attempt_id]
        assert [row.attempt_id for row in tx.verdicts(1)] == [leased[0].attempt_id]


def test_verdicts_are_one_transactions_at_a_time(yard: Yard) -> None:
    job = yard.job(chunks=3, opened=3)
    leased = yard.lease(job, "b-1.1")
    with yard.store.transaction() as tx:
        end(tx, [(each.attempt_id, "agree") for each in leased])
    with yard.store.transaction() as one:
        assert len(one.verdicts(1)) == 1
        if yard.store.dialect != "sqlite":  # which has one writer at a time anyway
            with yard.store.transaction() as other:
                assert other.verdicts(9) == []
    with yard.store.transaction() as tx:
        assert len(tx.verdicts(9)) == 3


def test_what_a_chunks_attempts_earned_goes_with_the_job_and_the_totals_stay(yard: Yard) -> None:
    job = yard.job(chunks=2, opened=2)
    leased = yard.lease(job, "b-1.1")
    with yard.store.transaction() as tx:
        _, host = volunteer(tx, "acme", 1)
        rows = [credit(each.attempt_id, host, 4.0, job=job.job_key) for each in leased]
        tx.grant_credit(rows, HALF_LIFE_SECONDS)
        assert tx.credit_of_chunk(job.job_key, leased[0].chunk_id) == [rows[0]]
        ref = ChunkRef(job.job_key, leased[0].chunk_id)
        assert tx.granted_in([ref, ChunkRef(job.job_key, ChunkId(99))]) == {ref: 4.0}
        assert tx.granted_in([]) == {}
        tx.move_job(job.job_key, JobEvent.FAIL, "", "test", LATER)
        tx.cancel_chunks(job.job_key, 9, LATER, "test")
    with yard.store.transaction() as tx:
        tx.retire_job(job.job_key)
        assert tx.delete_job(job.job_key, 1000)
        assert tx.credit_of_chunk(job.job_key, leased[0].chunk_id) == []
        found = tx.host(host.host_id)
        assert found is not None
        assert found.earned.total == 8.0


def test_a_verdict_brings_the_receipt_of_an_answer_that_agreed(yard: Yard) -> None:
    job = yard.job(chunks=1, opened=1)
    [leased] = yard.lease(job, "b-1.1")
    yard.report(job, leased)
    with yard.store.transaction() as tx:
        [row] = tx.verdicts(9)
    assert (row.event, row.envelope, row.over_at) == ("agree", b"envelope %d" % leased.attempt_id, T0)
