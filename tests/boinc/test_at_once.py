"""Several things at once: calls of one client, two machines' answers, roles that book and expire beside them."""

import threading
import time
from collections.abc import Callable, Sequence

import psycopg
import pytest

from fallow.core.words import AttemptState, JobState
from fallow.protocols.boinc.xml import parse
from fallow.sim.boinc_host import Finished, SimHost
from tests.boinc.project import Project
from tests.boinc.test_calls import finish_all


def at_once(doing: Sequence[Callable[[], object]]) -> None:
    """All of them, each in its thread; raises what the first of them raised."""
    wrong: list[BaseException] = []
    begin = threading.Barrier(len(doing))

    def run(what: Callable[[], object]) -> None:
        try:
            begin.wait(30)
            what()
        except BaseException as raised:  # noqa: BLE001 - raised again below
            wrong.append(raised)

    threads = [threading.Thread(target=run, args=(each,)) for each in doing]
    for each in threads:
        each.start()
    for each in threads:
        each.join(120)
    assert not any(each.is_alive() for each in threads)
    if wrong:
        raise wrong[0]


def test_a_task_that_is_reported_by_many_calls_at_once_earns_once(project: Project) -> None:
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    project.clock.advance(20)
    done = ada.finish(task, project.clock.now())
    body = ada.request(0, 0, [done])
    replies: list[bytes] = []

    def report() -> None:
        status, answer = project.ask("POST", "/boinc/cgi", body)
        assert status == 200
        replies.append(answer)

    at_once([report] * 6)
    ada.call()  # one that came second may have been told to call again
    project.settle()
    assert any(parse(each, "scheduler_reply").all("result_ack") for each in replies)
    assert project.counts("job-1") == {AttemptState.VALID: 1}
    [host] = project.read(lambda tx: tx.hosts_of("ada", 10))
    [credit] = project.read(lambda tx: tx.credit_of_chunk(1, 0))
    assert host.earned.total == credit.granted > 0
    assert (host.generation, host.worker_id) == (1, "b-1.1")
    assert project.state("job-1") is JobState.COMPLETED


def test_two_first_answers_with_different_keys_at_once(project: Project) -> None:
    """One of the keys is the machine's; what the other one signed is not taken as if it were."""
    project.submit("job-1", items=40)
    ada = project.host("laptop", "ada")
    ada.call(100_000.0, 2.0)
    first, second, *_ = list(ada.held.values())
    one = ada.finish(first, project.clock.now())
    ada.seed = b"another key of thirty-two bytes."
    two = ada.finish(second, project.clock.now())
    bodies = [ada.request(0, 0, [each]) for each in (one, two)]

    def send(body: bytes) -> None:
        status, _ = project.ask("POST", "/boinc/cgi", body)
        assert status == 200

    at_once([lambda: send(bodies[0]), lambda: send(bodies[1])])
    workers = project.read(lambda tx: [tx.worker("b-1.1"), tx.worker("b-1.2")])
    keys = [each.public_key for each in workers if each is not None and each.public_key]
    assert len(keys) == 1
    counts = project.counts("job-1")
    assert counts.get(AttemptState.REPORTED, 0) + counts.get(AttemptState.VALID, 0) <= 1
    project.pass_time(600)
    finish_all(ada, project)
    assert project.state("job-1") is JobState.COMPLETED


def test_machines_work_while_roles_book_and_expire(project: Project) -> None:
    """Nobody is locked out, nothing is counted twice."""
    project.account("bob")
    project.submit("job-1", items=240, chunk_items=10, verify="quorum:2", retry={"max_attempts": 100})
    machines = [project.host(f"machine-{n}", "ada" if n % 2 else "bob", seed=bytes([n]) * 32) for n in range(6)]
    over = threading.Event()

    def work(host: SimHost) -> None:
        for _ in range(12):
            host.call(2000.0, 2.0)
            for task in list(host.held.values())[:4]:
                done = host.run(task, project.clock.now())
                host.upload(done)
                host.done.append(done)
            host.call()

    def working() -> None:
        try:
            at_once([lambda each=each: work(each) for each in machines])  # type: ignore[misc]
        finally:
            over.set()

    def roles() -> None:
        while not over.is_set():
            project.system.roles.step_all()

    at_once([working, roles])
    project.settle()
    for host in machines:
        finish_all(host, project)
    assert project.state("job-1") is JobState.COMPLETED
    hosts = [each for account in ("ada", "bob") for each in project.read(lambda tx, a=account: tx.hosts_of(a, 100))]
    assert len(hosts) == 6
    granted = sum(
        row.granted for chunk in range(24) for row in project.read(lambda tx, c=chunk: tx.credit_of_chunk(1, c))
    )
    users = [project.read(lambda tx, a=account: tx.boinc_user(a)) for account in ("ada", "bob")]
    assert abs(sum(each.earned.total for each in hosts) - granted) < 1e-6
    assert abs(sum(each.earned.total for each in users) - granted) < 1e-6


def test_new_machines_at_once(project: Project) -> None:
    machines = [project.host("laptop", "ada", cpid=f"{n:032x}") for n in range(8)]
    at_once([each.call for each in machines])
    assert sorted(each.host_id for each in machines) == sorted({each.host_id for each in machines})
    assert len(project.read(lambda tx: tx.hosts_of("ada", 100))) == 8


def test_an_upload_beside_the_report_of_its_task(project: Project) -> None:
    """Whichever comes first: the report counts once, and nothing stays behind."""
    project.submit("job-1", items=40)
    ada = project.host("laptop", "ada", cpu_seconds=200.0)
    for _ in range(4):
        project.clock.advance(200)  # so slow is it that every task is one chunk
        ada.call(1.0, 1.0)
        [task] = ada.held.values()
        project.clock.advance(200)
        done: Finished = ada.finish(task, project.clock.now())
        at_once([ada.call, *[lambda done=done: ada.upload(done)] * 3])  # type: ignore[misc]
        project.settle()
    assert project.counts("job-1") == {AttemptState.VALID: 4}
    project.pass_time(2 * 86_400)
    project.settle()
    assert [each for n in range(1, 5) if (each := project.read(lambda tx, n=n: tx.answer_upload(n)))] == []
    assert list(project.system.places.artifacts.list("boinc/parts")) == []


def test_bookings_and_calls_lock_in_one_order(project: Project, database: str) -> None:
    """A call holds its host and then counts what it sent; who books must not hold the count and wait for the host."""
    if not database:
        pytest.skip("SQLite has one writer at a time")
    project.submit("job-1", items=10)
    ada = project.host("laptop", "ada")
    ada.call(1.0, 1.0)
    [task] = ada.held.values()
    ada.finish(task, project.clock.now())
    ada.call()
    roles = {role.name: role for role in project.system.roles._roles}
    creditor = roles.pop("creditor")
    while any(role.step() for role in roles.values()):
        continue
    [record] = project.read(lambda tx: tx.reputations("b-1.1"))
    booking = threading.Thread(target=creditor.step)
    with project.system.store.transaction() as tx:
        assert tx.held_host(1) is not None
        booking.start()
        with psycopg.connect(database) as looking:
            for _ in range(200):
                if looking.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchall() != [(0,)]:
                    break
                time.sleep(0.02)
            else:
                raise AssertionError("the booking does not wait for the host")
        tx.count_sent(record.worker_id, record.image, record.day, 1, record.quota)
    booking.join(30)
    assert not booking.is_alive()
    [after] = project.read(lambda tx: tx.reputations("b-1.1"))
    assert (after.valid, after.sent_today) == (1, record.sent_today + 1)
