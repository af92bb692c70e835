"""Rows of people: accounts, grants, sessions, tries to sign in, and what each account has used."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from fallow.core.words import JobKey, Micros, Scope
from fallow.store.port import AccountRow, GrantRow, KeyRow, PlanCursor, SessionRow, Store, SubmitRight, Tx
from tests.store.yard import SECOND, T0, planned, spec

DAY = 86400.0
ALICE = AccountRow(
    "alice", "Alice Ada", T0, frozenset({Scope.SUBMIT}), "alice@example.org", None, "$argon2id$...", share=5.0
)
SESSION = SessionRow("ab" * 32, "alice", None, "cd" * 16, "Firefox", T0, T0, Micros(T0 + 100 * SECOND))


@pytest.fixture
def people(store: Store) -> Store:
    with store.transaction() as tx:
        assert tx.new_account(ALICE)
    return store


def test_an_account_is_kept_as_it_was_given_and_found_by_its_address(people: Store) -> None:
    with people.reading() as tx:
        assert tx.account("alice") == tx.account_by_email("alice@example.org") == ALICE
        assert tx.account("bob") is None
        assert tx.account_by_email("bob@example.org") is None


def test_an_id_and_an_address_belong_to_one_account(people: Store) -> None:
    bob = AccountRow("bob", "Bob", T0, email="bob@example.org")
    with people.transaction() as tx:
        assert not tx.new_account(replace(ALICE, email=None))
        assert not tx.new_account(replace(bob, email=ALICE.email))
        assert tx.new_account(bob)
        assert not tx.save_account(replace(bob, email=ALICE.email))
        assert [row.account_id for row in tx.accounts("", 10)] == ["alice", "bob"]
        assert [row.account_id for row in tx.accounts("alice", 10)] == ["bob"]
        assert len(tx.accounts("", 1)) == 1


def test_what_may_change_of_an_account_changes_and_the_rest_does_not(people: Store) -> None:
    changed = replace(
        ALICE,
        name="A.",
        scopes=frozenset({Scope.OPERATE, Scope.WORK}),
        email=None,
        email_confirmed_at=Micros(T0 + 2),
        share=0.5,
        submit_right=SubmitRight.GRANTED,
        disabled_at=Micros(T0 + 1),
    )
    with people.transaction() as tx:
        tx.charge("alice", 10.0, T0, DAY)
        assert tx.save_account(replace(changed, password="other", created_at=Micros(1), used=99.0))
        assert tx.account("alice") == replace(changed, used=10.0, used_at=T0)
        tx.set_password("alice", "new")
        found = tx.account("alice")
        assert found is not None
        assert found.password == "new"
        assert not tx.save_account(replace(changed, account_id="nobody"))


def test_what_was_used_fades_by_half_in_a_half_life(people: Store) -> None:
    with people.transaction() as tx:
        tx.charge("alice", 100.0, T0, 10.0)
        tx.charge("alice", 1.0, Micros(T0 + 10 * SECOND), 10.0)
        tx.charge("nobody", 5.0, T0, 10.0)
        assert tx.shares() == [("alice", 5.0, pytest.approx(51.0), T0 + 10 * SECOND)]
        tx.new_account(AccountRow("idle", "Idle", T0))
        assert [row[0] for row in tx.shares()] == ["alice"]


def test_two_doors_that_charge_at_once_both_count(people: Store) -> None:
    def charge(_number: int) -> None:
        with people.transaction() as tx:
            tx.charge("alice", 1.0, T0, DAY)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(charge, range(40)))
    with people.reading() as tx:
        assert tx.shares()[0][2] == pytest.approx(40.0)


def test_identities_lead_to_accounts(people: Store) -> None:
    with people.transaction() as tx:
        tx.add_identity("https://id.example", "4711", "alice", T0)
        assert tx.identity("https://id.example", "4711") == "alice"
        assert tx.identity("https://other.example", "4711") is None
        assert tx.identity("https://id.example", "4712") is None


def test_grants_are_given_once_and_taken_back(people: Store) -> None:
    first = GrantRow("alice", "ghcr.io/org/model", "operators", T0)
    with people.transaction() as tx:
        tx.add_grant(first)
        tx.add_grant(replace(first, granted_by="somebody else"))
        tx.add_grant(replace(first, application="another"))
        assert tx.grants("alice") == tx.grants() == [replace(first, application="another"), first]
        assert tx.grants("bob") == []
        assert tx.remove_grant("alice", "another")
        assert not tx.remove_grant("alice", "another")
        assert tx.grants("alice") == [first]


def test_sessions_are_seen_listed_and_ended(people: Store) -> None:
    other, third = (
        replace(SESSION, session_id=two * 32, created_at=Micros(T0 + n)) for n, two in ((1, "11"), (2, "22"))
    )
    with people.transaction() as tx:
        tx.add_key(KeyRow("k-1", "alice", "k", "ab" * 32, frozenset({Scope.SUBMIT}), T0))
        for row in (SESSION, other, replace(third, key_id="k-1")):
            tx.add_session(row)
        tx.session_seen(SESSION.session_id, Micros(T0 + 5))
        assert tx.session_row(SESSION.session_id) == replace(SESSION, seen_at=Micros(T0 + 5))
        assert [row.created_at for row in tx.session_rows("alice")] == [T0 + 2, T0 + 1, T0]
        assert tx.end_session(third.session_id)
        assert not tx.end_session(third.session_id)
        assert tx.end_sessions("alice", but=other.session_id) == 1
        assert tx.session_rows("alice") == [other]
        tx.forget_sessions(Micros(other.expires_at - 1))
        assert tx.session_row(other.session_id) == other
        tx.forget_sessions(other.expires_at)
        assert tx.session_row(other.session_id) is None


def test_tries_are_counted_blocked_forgiven_and_forgotten(store: Store) -> None:
    with store.transaction() as tx:
        assert [tx.count_signin("email a@b.example", Micros(T0 + n)) for n in range(3)] == [1, 2, 3]
        tx.block_signin("email a@b.example", Micros(T0 + 100))
        assert tx.count_signin("email a@b.example", Micros(T0 + 99)) == 0
        assert tx.count_signin("address 192.0.2.1", Micros(T0 + 99)) == 1
        assert tx.count_signin("email a@b.example", Micros(T0 + 100)) == 4
        tx.forgive_signin("email a@b.example", 1)
        found = tx.signin_failure("email a@b.example")
        assert found is not None
        assert (found.failures, found.at, found.blocked_until) == (3, T0 + 100, 0)
        tx.forgive_signin("email a@b.example", 3)
        assert tx.signin_failure("email a@b.example") is None
        tx.forget_signins(Micros(T0 + 99))
        assert tx.signin_failure("address 192.0.2.1") is not None
        tx.forget_signins(Micros(T0 + 100))
        assert tx.signin_failure("address 192.0.2.1") is None


def test_tries_at_the_same_moment_are_all_counted(store: Store) -> None:
    def count(_number: int) -> int:
        with store.transaction() as tx:
            return tx.count_signin("email a@b.example", T0)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(count, range(20))) == list(range(1, 21))


def test_one_accounts_many_jobs_hide_nobody_elses(store: Store) -> None:
    with store.transaction() as tx:
        for name in ("anna", "bob", "carl"):
            tx.add_account(name, name, T0)
        for number in range(100):
            add_job(tx, f"anna-{number}", "anna", priority=number % 7)
        add_job(tx, "bob-1", "bob", priority=-5)
        add_job(tx, "bob-2", "bob", priority=5)
        tx.add_job(spec("carl-1"), "carl", T0, "key k")  # nothing planned yet
    with store.reading() as tx:
        assert {job.account_id for job in tx.leasable_jobs(64)} == {"anna", "bob"}
        assert len(tx.leasable_jobs(64)) == 64
        assert tx.leasable_accounts() == ["anna", "bob"]
        assert [job.job_id for job in tx.leasable_jobs_of("bob", 9)] == ["bob-2", "bob-1"]
        assert [job.spec.priority for job in tx.leasable_jobs_of("anna", 15)] == [6] * 14 + [5]
        assert tx.leasable_jobs_of("carl", 9) == []


def add_job(rows: Tx, name: str, account: str, priority: int) -> JobKey:
    job = rows.add_job(spec(name, priority=priority), account, T0, "key k")
    claimed = rows.claim_job("plan", "planner", T0, Micros(T0 + 1))
    assert claimed is not None
    assert rows.add_chunks(job.job_key, "planner", planned(0, 1), PlanCursor(1, 1, True, ""), T0)
    rows.release_claim(job.job_key, "planner")
    return job.job_key


def test_without_anything_to_hand_out_there_are_no_accounts(store: Store) -> None:
    with store.reading() as tx:
        assert tx.leasable_accounts() == []
