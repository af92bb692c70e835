"""The stream contract with good and bad programs: each ends with the right blame, a clean slot and nothing running."""

import json
import threading
import time

import pytest

from fallow.protocols.rest.work import LimitsMessage
from fallow.worker.contracts.contract import Ceiling

MIB = 1 << 20


def lines(count):
    return b"".join(b'{"n":%d}\n' % n for n in range(count))


def blame(ended):
    return (str(ended.fault.failure_class), ended.fault.code, ended.fault.bad_item)


def test_each_line_answers_its_item(any_rig):
    ended = any_rig.sh("cat", items=lines(1000))
    assert ended.fault is None
    assert ended.answers == lines(1000)
    assert ended.receipt.item_count == 1000


def test_items_that_cannot_be_sent_are_answered_in_their_place(any_rig):
    good = b'{"n":1}'
    items = b"\n".join(
        [b"\xef\xbb\xbf" + good, b"", b"no json", b'{"a":"' + b"x" * 100 + b'"}', b'"\xff"', good + b"\r"]
    )
    ended = any_rig.sh("cat", items=items, item_count=5, limits=LimitsMessage(item_bytes=50))
    answers = [json.loads(line) for line in ended.answers.splitlines()]
    codes = [answer.get("error", {}).get("code") for answer in answers]
    assert codes == [None, "not_json", "item_too_large", "not_utf8", None]
    assert ended.receipt.item_errors == 3


def test_more_input_and_output_than_pipes_hold(any_rig):
    items = b"".join(b'{"x":"%s"}\n' % (b"y" * 50_000) for _ in range(200))
    ended = any_rig.sh("cat", items=items)
    assert ended.fault is None
    assert ended.answers == items


def test_a_program_that_buffers_gets_the_end_of_its_input(any_rig):
    """It would never answer while its input stays open; the next chunk of the job knows it."""
    script = 'x=$(cat); echo "$x"'
    for _ in range(2):
        ended = any_rig.sh(script, items=lines(3), reuse="job", job_id="buffers")
        assert ended.fault is None
        assert ended.answers == lines(3)
    assert "buffers" in any_rig.memory.ends_at_eof


def test_a_warm_program_that_died_between_chunks_is_restarted(any_rig):
    script = 'read a; echo "$a"; read b; exit 7'
    first = any_rig.sh(script, items=lines(1), reuse="job")
    second = any_rig.sh(script, items=lines(1), reuse="job")
    assert first.fault is None
    assert second.fault is None


def test_too_few_lines(any_rig):
    ended = any_rig.sh("head -n 3", items=lines(10), item_start=100)
    assert blame(ended) == ("submitter", "too_few_lines", 103)
    assert ended.answers == lines(3)
    assert (ended.receipt.item_start, ended.receipt.item_end) == (100, 102)


@pytest.mark.parametrize("reuse", ["job", "never"])
def test_too_many_lines(any_rig, reuse):
    ended = any_rig.sh("while read a; do echo 1; echo 2; done", items=lines(3), reuse=reuse)
    assert blame(ended) == ("submitter", "too_many_lines", None)
    assert ended.receipt is None


def test_a_warm_program_that_answers_one_item_twice_is_found_though_it_lags(any_rig):
    """It has written enough lines before it has seen the last item; its surplus line comes an item later."""
    slow = "i=0; while read a; do sleep 0.2; i=$((i+1)); echo $i; [ $i -eq 5 ] && echo 0; done"
    first = any_rig.sh(slow, items=lines(3), reuse="job")
    second = any_rig.sh(slow, items=lines(4), reuse="job")
    assert first.fault is None
    assert blame(second) == ("submitter", "too_many_lines", None)


def test_not_json(any_rig):
    ended = any_rig.sh("read a; echo '{}'; read b; echo hello; cat", items=lines(5))
    assert blame(ended) == ("submitter", "not_json", 1)
    assert ended.answers == b"{}\n"


@pytest.mark.parametrize("answer", ["NaN", '{"x":Infinity}', "", "{} {}"])
def test_nearly_json(any_rig, answer):
    ended = any_rig.sh(f"read a; echo '{answer}'; cat", items=lines(2))
    assert blame(ended) == ("submitter", "not_json", 0)


@pytest.mark.parametrize("code", [1, 125, 126, 127, 137, 255])
def test_exit_codes_are_the_programs_own(any_rig, code):
    """125 to 127 are also what engines say about themselves."""
    ended = any_rig.sh(f'read a; echo "$a"; read b; exit {code}', items=lines(3))
    assert blame(ended) == ("submitter", "exit_code", 1)
    assert ended.fault.exit_code == code
    assert ended.fault.message == f"The program ended with exit code {code}."


def test_a_hanging_item_is_cut_off(any_rig):
    script = 'read a; echo "$a"; read b; sleep 1000'
    limits = LimitsMessage(item_timeout_seconds=1, start_timeout_seconds=1)
    ended = any_rig.sh(script, items=lines(3), limits=limits)
    assert blame(ended) == ("limits", "item_timeout", 1)
    assert ended.fault.message == "The item took longer than the item timeout of 1 s."
    assert ended.answers == lines(1)


def test_a_program_that_ignores_sigterm_ends_all_the_same(any_rig):
    script = "trap '' TERM INT HUP; while :; do sleep 1; done"
    limits = LimitsMessage(chunk_timeout_seconds=1)
    ended = any_rig.sh(script, items=lines(1), limits=limits)
    assert blame(ended) == ("limits", "chunk_timeout", None)


def test_out_of_memory_under_the_jobs_limit(any_rig):
    eat = 'read a; echo "$a"; read b; x=$(yes | head -c 300000000); echo "$b"'
    ended = any_rig.sh(eat, items=lines(2), limits=LimitsMessage(memory_bytes=64 * MIB))
    assert blame(ended) == ("limits", "out_of_memory", 1)
    assert ended.answers == lines(1)


def test_out_of_memory_without_a_stated_limit_is_the_workers(any_rig):
    any_rig.ceiling = Ceiling(memory_bytes=64 * MIB)
    ended = any_rig.sh("x=$(yes | head -c 300000000); cat", items=lines(2))
    assert blame(ended)[:2] == ("worker", "out_of_memory")


def test_a_log_without_end_is_capped_and_stalls_nothing(any_rig):
    script = "echo first >&2; yes | head -c 300000000 >&2; echo last >&2; cat"
    ended = any_rig.sh(script, items=lines(2), limits=LimitsMessage(log_bytes=MIB))
    assert ended.fault is None
    assert ended.log.startswith(b"first\n")
    assert ended.log.endswith(b"y\nlast\n")
    assert len(ended.log) < MIB + 200
    [marker] = [line for line in ended.log.splitlines() if b"fallow" in line]
    dropped = int(marker.split()[1])
    assert len(ended.log) - len(marker) - 2 + dropped == 300_000_000 + len(b"first\nlast\n")


def test_the_log_of_a_crash_is_whole(any_rig):
    ended = any_rig.sh("echo why >&2; exit 3", items=lines(1))
    assert ended.log == b"why\n"
    assert ended.finished.log_tail == "why\n"


def test_an_answer_without_end_is_cut_off(any_rig):
    ended = any_rig.sh("read a; yes | tr -d '\\n'", items=lines(1), limits=LimitsMessage(item_output_bytes=MIB))
    assert blame(ended) == ("limits", "output_too_large", 0)


def test_answers_that_are_too_much_together(any_rig):
    script = "while read a; do echo '\"'$(yes | head -c 10000 | tr -d '\\n')'\"'; done"
    ended = any_rig.sh(script, items=lines(20), limits=LimitsMessage(output_bytes=50_000))
    assert blame(ended) == ("limits", "output_too_large", None)


def test_a_fork_bomb_ends(rig):
    script = "f() { f | f & }; f; sleep 1000"
    limits = LimitsMessage(pids=32, chunk_timeout_seconds=1)
    ended = rig.sh(script, items=lines(1), limits=limits)
    assert str(ended.fault.failure_class) in {"limits", "submitter"}
    assert rig.sh("cat", items=lines(1)).fault is None


def test_too_many_processes_are_ended(any_rig):
    """A bounded bomb: without a container, nothing but the watcher stands between it and the machine."""
    script = "i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done; wait"
    ended = any_rig.sh(script, items=lines(1), limits=LimitsMessage(pids=32, chunk_timeout_seconds=5))
    assert str(ended.fault.failure_class) in {"limits", "submitter"}


def test_the_owner_may_stop_it(any_rig):
    threading.Timer(0.5, any_rig.control.stop, ["Enough."]).start()
    ended = any_rig.sh("sleep 1000", items=lines(1))
    assert blame(ended) == ("aborted", "stopped", None)


def test_the_seeds_variables_and_the_jobs_own(any_rig):
    script = 'read a; echo "{\\"v\\":\\"$AI_JOB_ID $AI_CHUNK_ID $AI_RANGE_START $AI_RANGE_END $AI_INPUT_URI $MINE\\"}"'
    ended = any_rig.sh(
        script, items=lines(1), job_id="j", chunk_id=7, item_start=70, env={"MINE": "my own", "AI_JOB_ID": "x"}
    )
    assert json.loads(ended.answers) == {"v": "j 7 70 70 - my own"}


def test_harness_mode_keeps_one_program_for_all_chunks(any_rig):
    script = """
    echo '{"$fallow":"ready"}'
    while read head; do
      id=$(echo "$head" | sed 's/.*chunk_id"://; s/,.*//'); n=$(echo "$head" | sed 's/.*count"://; s/}.*//')
      while [ $n -gt 0 ]; do read item; echo "{\\"pid\\":$$}"; n=$((n-1)); done
      echo "{\\"\\$fallow\\":\\"done\\",\\"chunk_id\\":$id}"
    done"""
    answers = [any_rig.sh(script, items=lines(3), reuse="job", harness=True) for _ in range(3)]
    assert [each.fault for each in answers] == [None] * 3
    assert len({each.answers for each in answers}) == 1


def test_a_harness_that_never_gets_ready(any_rig):
    limits = LimitsMessage(start_timeout_seconds=1)
    ended = any_rig.sh("sleep 1000", items=lines(1), limits=limits, harness=True)
    assert blame(ended) == ("limits", "start_timeout", None)


def test_a_command_that_is_not_there(any_rig):
    ended = any_rig.run("/no/such/program", items=lines(1))
    assert ended.fault is not None
    assert ended.receipt is None


def test_reuse_after_a_fault_starts_fresh(any_rig):
    bad = any_rig.sh("cat", items=lines(1), reuse="job", limits=LimitsMessage(item_output_bytes=2))
    assert bad.fault.code == "output_too_large"
    assert any_rig.sh("cat", items=lines(1), reuse="job").fault is None


def test_time_is_measured(any_rig):
    ended = any_rig.sh("cat", items=lines(1))
    assert ended.receipt.started_at <= ended.receipt.finished_at
    assert time.strptime(ended.receipt.started_at[:19], "%Y-%m-%dT%H:%M:%S")
