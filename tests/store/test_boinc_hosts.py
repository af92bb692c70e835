"""Hosts, what each was sent, and classes of machines, on both databases."""

from dataclasses import replace

from fallow.core.lifecycle import JobEvent
from fallow.core.words import AttemptId, ChunkId, JobKey, Micros, WorkerId
from fallow.store.port import BoincResultRow, HostRow, Store
from tests.store.yard import SECOND, T0, Yard

LATER = Micros(T0 + 60 * SECOND)
NOBODY = WorkerId("")


def host(account: str = "acme", cpid: str = "c" * 32) -> HostRow:
    return HostRow(0, NOBODY, account, 1, cpid, "x86|8 cores", 1, T0, T0, '{"os": "Linux"}', venue="home")


def result(host_id: int = 1, job_key: int = 1, *attempts: int) -> BoincResultRow:
    ids = tuple(AttemptId(each) for each in attempts)
    return BoincResultRow(0, host_id, WorkerId(f"b-{host_id}.1"), JobKey(job_key), ids, T0, LATER, 90.5)


def test_a_hosts_worker_is_named_after_its_number(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        first, second = tx.add_host(host()), tx.add_host(host())
        assert first == replace(host(), host_id=first.host_id, worker_id=WorkerId(f"b-{first.host_id}.1"))
        assert second.host_id > first.host_id
        assert tx.host(first.host_id) == first
        assert tx.host(999) is None
        assert tx.host_of_worker(second.worker_id) == second
        assert tx.host_of_worker(WorkerId("w-1")) is tx.host_of_worker(WorkerId("b-999.1")) is None
        assert tx.hosts_by_id([second.host_id, 999, first.host_id, first.host_id]) == [first, second]
        assert tx.hosts_by_id([]) == []


def test_a_host_changes_all_but_whose_it_is_since_when_and_what_it_earned(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        made = tx.add_host(host())
        changed = replace(
            made,
            worker_id=WorkerId(f"b-{made.host_id}.2"),
            generation=2,
            cpid="d" * 32,
            likeness="\0nul",
            rpc_seqno=9,
            rpc_at=LATER,
            facts="{}",
            venue="work",
            merged_into=4,
            label_said="edge",
            label_set="cloud",
            label_at=LATER,
            no_engine_count=3,
            no_engine_until=LATER,
        )
        tx.save_host(replace(changed, account_id="other", created_at=LATER, label_set="edge"))
        tx.set_host_label(made.host_id, "cloud", LATER)
        assert tx.host(made.host_id) == replace(changed, likeness="\N{REPLACEMENT CHARACTER}nul")
        assert tx.host_of_worker(made.worker_id) == tx.host(made.host_id), "by the name it had before, too"
        tx.touch_host(made.host_id, 10, Micros(LATER + 1))
        found = tx.host(made.host_id)
        assert found is not None
        assert (found.rpc_seqno, found.rpc_at, found.venue) == (10, LATER + 1, "work")


def test_hosts_are_found_by_account_and_likeness_unless_merged(yard: Yard) -> None:
    with yard.store.transaction() as tx:
        tx.add_account("other", "Other", T0)
        mine, twin, third = (tx.add_host(host(cpid=cpid)) for cpid in ("c" * 32, "c" * 32, "d" * 32))
        tx.add_host(host(account="other"))
        assert tx.hosts_like("acme", "c" * 32) == [twin, mine]
        assert tx.hosts_of("acme", 9) == [third, twin, mine]
        assert tx.hosts_of("acme", 1) == [third]
        tx.save_host(replace(twin, merged_into=mine.host_id))
        assert tx.hosts_like("acme", "c" * 32) == [mine]
        assert tx.hosts_of("acme", 9) == [third, mine]


def test_results_are_sent_moved_and_ended(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.add_results([]) == []
        sent = tx.add_results([result(1, 1, 5, 6), result(1, 2, 7), result(2, 1, 8)])
        number = tx.add_result(1, WorkerId("b-1.1"), JobKey(1), [AttemptId(9)], T0, LATER, 3.0)
        numbers = [each.result_id for each in sent] + [number]
        assert numbers == sorted(set(numbers))
        assert sent == [
            replace(each, result_id=numbers[place])
            for place, each in enumerate([result(1, 1, 5, 6), result(1, 2, 7), result(2, 1, 8)])
        ]
        assert tx.boinc_result(numbers[0]) == sent[0]
        assert tx.boinc_result(999) is None
        assert tx.boinc_results([numbers[1], 999, numbers[0]]) == {numbers[0]: sent[0], numbers[1]: sent[1]}
        assert tx.boinc_results([]) == {}
        assert tx.keep_upload(numbers[0], b"one")
        assert tx.answer_uploads([numbers[1], numbers[0]]) == {numbers[0]: b"one"}
        assert tx.answer_uploads([]) == {}
        assert [each.result_id for each in tx.results_sent(1)] == [numbers[0], numbers[1], number]
        tx.move_deadline(numbers[1], Micros(LATER + 5))
        ended = replace(sent[0], over_at=LATER, exit_status=-177, client_state=3, elapsed_seconds=12.5)
        tx.end_results([ended, replace(sent[2], over_at=LATER)])
        tx.end_results([])
        assert tx.boinc_result(numbers[0]) == ended
        assert ended.is_over
        assert tx.results_sent(2) == []
        [moved, _] = tx.results_sent(1)
        assert (moved.deadline, moved.is_over) == (LATER + 5, False)


def test_results_that_are_long_over_are_forgotten_in_portions(store: Store) -> None:
    with store.transaction() as tx:
        sent = tx.add_results([result(1, 1, number) for number in range(5)])
        tx.end_results([replace(each, over_at=Micros(T0 + each.result_id)) for each in sent[:4]])
        assert tx.forget_results(Micros(T0 + sent[3].result_id), 2) == 2
        assert tx.forget_results(Micros(T0 + sent[3].result_id), 2) == 1
        assert [each.result_id for each in sent if tx.boinc_result(each.result_id)] == [
            sent[3].result_id,
            sent[4].result_id,
        ]


def test_chunks_are_kept_to_a_class_and_let_go(store: Store) -> None:
    job = JobKey(3)
    with store.transaction() as tx:
        tx.set_chunk_class(job, [ChunkId(1), ChunkId(2), ChunkId(1)], "linux/amd64/AMD")
        tx.set_chunk_class(job, [ChunkId(2)], "linux/amd64/Intel")
        tx.set_chunk_class(job, [], "x")
        wanted = [ChunkId(1), ChunkId(2), ChunkId(3)]
        assert tx.chunk_classes(job, wanted) == {1: "linux/amd64/AMD", 2: "linux/amd64/Intel"}
        assert tx.chunk_classes(JobKey(4), wanted) == tx.chunk_classes(job, []) == {}
        tx.set_chunk_class(job, [ChunkId(1), ChunkId(3)], "")
        assert tx.chunk_classes(job, wanted) == {2: "linux/amd64/Intel"}


def test_what_the_door_knows_of_a_job_goes_with_it(yard: Yard) -> None:
    job, other = yard.job(), yard.job(name="job-2")
    with yard.store.transaction() as tx:
        sent = tx.add_results([result(1, job.job_key, 5), result(1, other.job_key, 6)])
        tx.set_chunk_class(job.job_key, [ChunkId(0)], "a")
        tx.set_chunk_class(other.job_key, [ChunkId(0)], "a")
        tx.move_job(job.job_key, JobEvent.FAIL, "", "test", LATER)
    with yard.store.transaction() as tx:
        tx.retire_job(job.job_key)
        assert not tx.delete_job(job.job_key, 1), "a portion"
        assert tx.delete_job(job.job_key, 1000)
        assert [each.job_key for each in tx.results_sent(1)] == [other.job_key]
        assert tx.boinc_result(sent[0].result_id) is None
        assert tx.chunk_classes(job.job_key, [ChunkId(0)]) == {}
        assert tx.chunk_classes(other.job_key, [ChunkId(0)]) == {0: "a"}
