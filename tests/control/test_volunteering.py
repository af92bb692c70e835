"""What volunteers' machines are leased, and when they count as there."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from fallow.clock import ManualClock
from fallow.control.replication import check_replication
from fallow.control.scheduler import Offer, Scheduler, capability_of
from fallow.control.volunteering import Volunteer, heard_first, heard_since
from fallow.core.job import Distinct, Homogeneous, Image, Requirements, VerifyMethod, VerifyPolicy
from fallow.core.matching import explain
from fallow.core.refusals import Refusal
from fallow.core.words import AttemptState, JobState, Micros, WorkerId
from fallow.settings import Settings
from fallow.store.port import JobRow, WorkerRow
from fallow.store.sqlite import SqliteStore
from tests.store.yard import SECOND, T0, Yard, spec

SETTINGS = Settings()
HOUR = 3600 * SECOND
FAR = Micros(T0 + 24 * HOUR)
CAPABILITY = msgspec.json.encode(
    {"platform": "linux/amd64", "cores": 4, "memory_bytes": 1 << 33, "slots": 1, "engines": ["podman", "process"]}
).decode()


class Place:
    """A store with jobs of three accounts, and a scheduler."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.yard = Yard(store)
        self.scheduler = Scheduler(store, ManualClock(T0), SETTINGS)
        with store.transaction() as tx:
            for name in ("beta", "vera"):
                tx.add_account(name, name, T0)

    def job(self, name: str, chunks: int, account: str = "acme", volunteers: bool = True, **policy: object) -> JobRow:
        image = Image("model:1", "sha256:m", "sha256:m", "layout", ("linux/amd64",))
        asked = replace(spec(name), command=(), image=image, requirements=Requirements(volunteers=volunteers))
        asked = replace(asked, verify=replace(asked.verify, **policy))  # type: ignore[arg-type]
        return self.yard.job(chunks, chunks, name, asked=asked, account=account)

    def machine(self, name: str, account: str = "vera", **more: object) -> WorkerRow:
        row = WorkerRow(WorkerId(name), account, name, None, b"", CAPABILITY, "boinc", T0, T0)
        row = replace(row, **more)  # type: ignore[arg-type]
        with self.store.transaction() as tx:
            tx.save_worker(row)
        return row

    def lease(self, worker: WorkerRow, tasks: int, bundle: int = 1, **more: object) -> list[Offer]:
        asking = Volunteer(worker.account_id, lambda _: bundle, lambda _: FAR, lambda _: True)
        asking = replace(asking, **more)  # type: ignore[arg-type]
        with self.store.transaction() as tx:
            return self.scheduler.lease(tx, worker, tasks, T0, 0, asking)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    store = SqliteStore(tmp_path / "rows.db")
    store.migrate()
    made = Place(store)
    yield made
    made.yard.check()
    store.close()


def taken(offers: list[Offer]) -> list[tuple[str, int]]:
    """(job, chunk), in order."""
    return [(offer.job.job_id, offer.leased.chunk_id) for offer in offers]


def test_a_stranger_gets_jobs_that_are_for_volunteers(place: Place) -> None:
    place.job("kept", 3, volunteers=False)
    place.job("open", 2)
    assert taken(place.lease(place.machine("b-1.1"), 10)) == [("open", 0), ("open", 1)]


def test_many_jobs_of_the_fleet_hide_none_that_is_for_volunteers(place: Place) -> None:
    for number in range(70):
        place.job(f"kept-{number}", 1, volunteers=False, account="beta")
    place.job("hers", 1, account="vera", volunteers=False)
    place.job("open", 1, account="beta")
    assert set(taken(place.lease(place.machine("b-1.1"), 10))) == {("hers", 0), ("open", 0)}


def test_its_own_accounts_jobs_it_gets_in_any_case(place: Place) -> None:
    place.job("hers", 1, account="vera", volunteers=False)
    place.job("open", 1)
    assert taken(place.lease(place.machine("b-1.1"), 10, own_only=True)) == [("hers", 0)]


def test_a_job_that_the_machine_cannot_finish_in_time_is_passed_over(place: Place) -> None:
    place.job("slow", 1)
    place.job("quick", 1)
    offers = place.lease(place.machine("b-1.1"), 10, admits=lambda job: job.job_id != "slow")
    assert taken(offers) == [("quick", 0)]


def test_tasks_are_counted_and_each_is_a_bundle_of_one_job(place: Place) -> None:
    first = place.job("first", 5)
    second = place.job("second", 9)
    offers = place.lease(place.machine("b-1.1"), 4, bundle=3)
    assert taken(offers) == [("first", n) for n in range(5)] + [("second", n) for n in range(6)]
    with place.store.reading() as tx:
        rows = tx.attempts_of_job(first.job_key, offers[0].leased.attempt_id - 1, 99)  # type: ignore[arg-type]
        assert {row.attempt.deadline for row in rows} == {FAR}
        assert second.state is JobState.RUNNING


def test_attempts_of_one_job_follow_each_other_between_accounts_too(place: Place) -> None:
    place.job("acmes", 8)
    place.job("betas", 8, account="beta")
    offers = place.lease(place.machine("b-1.1"), 6, bundle=2)
    names = [name for name, _ in taken(offers)]
    assert len(names) == 12
    assert names == sorted(names, key=names.index)
    assert set(names) == {"acmes", "betas"}


def adaptive(place: Place, chunks: int = 3, account: str = "acme") -> JobRow:
    return place.job("adaptive", chunks, account, adaptive=True, method=VerifyMethod.QUORUM, quorum=3)


def wanted(place: Place, job: JobRow) -> list[tuple[int, list[AttemptState]]]:
    """Of each chunk: answers wanted, states of attempts."""
    cases = [place.yard.case(job, n) for n in range(3)]
    return [(case.chunk.answers_wanted, [each.state for each in case.attempts]) for case in cases]


def test_a_doubted_machine_raises_the_chunk_to_the_quorum_at_once(place: Place) -> None:
    job = adaptive(place)
    draws = iter([True, False, True])
    place.lease(place.machine("b-1.1"), 3, counts_alone=lambda _: next(draws))
    leased, queued = AttemptState.LEASED, AttemptState.QUEUED
    assert wanted(place, job) == [(1, [leased]), (3, [leased, queued, queued]), (1, [leased])]
    other = place.lease(place.machine("b-2.1", account="beta"), 9, counts_alone=lambda _: False)
    assert taken(other) == [("adaptive", 1)], "it has the next attempt, and is not counted twice"
    assert wanted(place, job)[1] == (3, [leased, leased, queued])


def test_workers_of_our_own_and_the_accounts_own_machines_are_not_doubted(place: Place) -> None:
    job = adaptive(place, account="vera")
    place.lease(place.machine("b-1.1"), 1, counts_alone=lambda _: False)
    native = place.machine("w-1", account="beta")
    with place.store.transaction() as tx:
        assert len(place.scheduler.lease(tx, native, 1, T0)) == 1
    leased, queued = AttemptState.LEASED, AttemptState.QUEUED
    assert wanted(place, job) == [(1, [leased]), (1, [leased]), (1, [queued])]


def test_a_machine_of_no_known_class_gets_nothing_that_asks_for_one(place: Place) -> None:
    place.job("alike", 2, method=VerifyMethod.QUORUM, quorum=2, homogeneous=Homogeneous.VENDOR)
    machine = place.machine("b-1.1")
    assert place.lease(machine, 5) == []
    assert len(place.lease(machine, 5, classes={Homogeneous.VENDOR: "linux/amd64/amd"})) == 2
    assert place.lease(place.machine("b-2.1"), 5, classes={Homogeneous.VENDOR: "linux/amd64/intel"}) == []


def test_workers_of_our_own_have_a_class_by_their_platform(place: Place) -> None:
    place.job("alike", 2, method=VerifyMethod.QUORUM, quorum=2, homogeneous=Homogeneous.MODEL)
    arm = CAPABILITY.replace("linux/amd64", "linux/arm64")
    workers = [place.machine("w-1"), place.machine("w-2", capability=arm), place.machine("w-3")]
    with place.store.transaction() as tx:
        assert [len(place.scheduler.lease(tx, each, 5, T0)) for each in workers] == [2, 0, 2]


def test_a_volunteer_is_there_between_its_calls_and_while_it_computes(place: Place) -> None:
    idle, busy = place.machine("b-1.1"), replace(place.machine("b-2.1"), attempts_leased=1)
    ours = place.machine("w-1")

    def there(row: WorkerRow, seconds: float) -> bool:
        return capability_of(row, Micros(T0 + int(seconds * SECOND)), SETTINGS, "vera").alive

    assert [there(row, 50) for row in (idle, busy, ours)] == [True, True, True]
    assert [there(row, 100) for row in (idle, busy, ours)] == [True, True, False]
    assert [there(row, 600) for row in (idle, busy, ours)] == [False, True, False]
    assert there(busy, SETTINGS.boinc_deadline_seconds_min + 1) is False
    later = Micros(T0 + 9 * HOUR)
    assert heard_first(later, SETTINGS) <= min(heard_since(row, later, SETTINGS) for row in (idle, busy, ours))


def test_why_a_job_waits_is_told_of_strangers(place: Place) -> None:
    kept, given = spec("kept"), replace(spec("given"), requirements=Requirements(volunteers=True))
    row = place.machine("b-1.1")
    only = replace(SETTINGS, boinc_own_only=True)
    assert explain(kept, [capability_of(row, T0, SETTINGS, "acme")]) == ["volunteers=false excludes 1 of 1 workers"]
    assert explain(kept, [capability_of(row, T0, SETTINGS, "vera")]) == []
    assert explain(given, [capability_of(row, T0, SETTINGS, "acme")]) == []
    assert explain(given, [capability_of(row, T0, only, "acme")]) == ["boinc_own_only=true excludes 1 of 1 workers"]


@pytest.mark.parametrize(
    "policy",
    [
        VerifyPolicy(adaptive=True),
        VerifyPolicy(VerifyMethod.QUORUM, 1, adaptive=True),
        VerifyPolicy(homogeneous=Homogeneous.MODEL),
        VerifyPolicy(distinct=Distinct.ACCOUNT),
    ],
)
def test_rules_between_answers_need_answers(policy: VerifyPolicy) -> None:
    with pytest.raises(Refusal, match="a rule between several answers"):
        check_replication(policy)
    check_replication(replace(policy, method=VerifyMethod.QUORUM, quorum=2))
