"""The harness as the worker meets it: a real process, driven over its stdin and stdout."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fallow.harness

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str], list[str]]:
    """Writes a model program beside a copy of the harness, as an image holds them. Returns its command."""

    def write(source: str) -> list[str]:
        shutil.copy(fallow.harness.__file__, tmp_path / "harness.py")
        (tmp_path / "model.py").write_text("from harness import serve\nimport os, sys, json\n" + source)
        return [sys.executable, str(tmp_path / "model.py")]

    return write


def run(command: list[str], lines: bytes, harness: bool = False, **env: str) -> subprocess.CompletedProcess[bytes]:
    environ = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")} | env
    if harness:
        environ["FALLOW_HARNESS"] = "1"
    return subprocess.run(command, input=lines, capture_output=True, env=environ, timeout=60, check=False)


def chunk(chunk_id: int, items: list[Any], job_id: str = "job", start: int = 0) -> bytes:
    head = {
        "$fallow": "chunk",
        "job_id": job_id,
        "chunk_id": chunk_id,
        "start": start,
        "end": start + len(items) - 1,
        "count": len(items),
    }
    return b"".join(json.dumps(line).encode() + b"\n" for line in [head, *items])


def answers(done: subprocess.CompletedProcess[bytes]) -> list[Any]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def ready_then(*lines: Any) -> list[Any]:
    return [{"$fallow": "ready"}, *lines]


DOUBLE = "serve(lambda items: [2 * item for item in items], batch=4)\n"


def test_plain_mode_answers_each_line_in_order(model):
    done = run(model(DOUBLE), b"".join(b"%d\n" % n for n in range(1000)))
    assert answers(done) == [2 * n for n in range(1000)]
    assert done.returncode == 0


def test_a_last_line_without_a_line_feed_counts(model):
    assert answers(run(model(DOUBLE), b"1\n2")) == [2, 4]


def test_no_items_no_answers(model):
    done = run(model(DOUBLE), b"")
    assert (done.stdout, done.returncode) == (b"", 0)


def test_plain_mode_answers_before_the_input_ends(model):
    """A caller that waits for an answer before it sends the next item is not kept waiting for a full batch."""
    process = subprocess.Popen(model(DOUBLE), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    for n in (1, 2, 3):
        process.stdin.write(b"%d\n" % n)
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == 2 * n
    process.communicate()
    assert process.returncode == 0


def test_what_is_not_an_item_is_answered_in_its_place(model):
    done = run(model(DOUBLE), b'1\n{"a"\n\n\xff\nNaN\n' + b"[" * 100_000 + b"\n2\n")
    codes = [a["error"]["code"] if isinstance(a, dict) else a for a in answers(done)]
    assert codes == [2, "not_json", "not_json", "not_utf8", "not_json", "not_json", 4]


def test_prints_of_the_model_do_not_touch_the_stream(model):
    source = """
def f(items):
    print("printed")
    os.write(1, b"written\\n")
    os.system("echo shouted")
    assert sys.stdin.read() == ""
    return items
serve(f)
"""
    for harness, stream in ((False, b"1\n"), (True, chunk(1, [1]))):
        done = run(model(source), stream, harness)
        assert 1 in answers(done)
        assert all(word in done.stderr for word in (b"printed", b"written", b"shouted"))
        assert b"printed" not in done.stdout


def test_an_exception_is_answered_in_the_items_place(model):
    source = """
class Odd: pass
def f(items):
    for item in items:
        if item == 3: raise ValueError("no threes, %r" % Odd())
    return items
serve(f, batch=8)
"""
    first, second = (run(model(source), b"1\n2\n3\n4\n") for _ in range(2))
    assert first.stdout == second.stdout
    assert answers(first)[:2] == [1, 2]
    assert answers(first)[2] == {
        "error": {"code": "exception", "message": "ValueError: no threes, <__main__.Odd object at 0x...>"}
    }
    assert answers(first)[3] == 4
    assert b"Traceback" in first.stderr


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("items[:-1]", "the function returned 0 answers for 1 items"),
        ("items * 2", "the function returned 2 answers for 1 items"),
        ("None", "the function must return a list of answers, not NoneType"),
        ("'x' * len(items)", "the function must return a list of answers, not str"),
    ],
)
def test_a_wrong_number_of_answers_is_an_error_of_each_item(model, body, message):
    done = run(model(f"serve(lambda items: {body})"), b"1\n2\n")
    assert answers(done) == [{"error": {"code": "wrong_count", "message": message}}] * 2


def test_a_wrong_number_of_answers_blames_only_the_guilty_item(model):
    done = run(model("serve(lambda items: [i for i in items if i != 2])"), b"1\n2\n3\n")
    assert [a if isinstance(a, int) else a["error"]["code"] for a in answers(done)] == [1, "wrong_count", 3]


@pytest.mark.parametrize("answer", ["float('nan')", "float('inf')", "{1, 2}", "b'bytes'", "'\\ud800'", "object()"])
def test_an_answer_that_is_not_json_is_an_error_in_place(model, answer):
    done = run(model(f"serve(lambda items: [{answer} if i == 2 else i for i in items])"), b"1\n2\n3\n")
    one, bad, three = answers(done)
    assert (one, three) == (1, 3)
    assert bad["error"]["code"] == "not_json"


def test_out_of_memory_is_not_blamed_on_an_item(model):
    source = "def f(items): raise MemoryError\nserve(f)"
    assert run(model(source), b"1\n").returncode == 137
    assert run(model(source), chunk(1, [1]), harness=True).returncode == 137


def test_one_thread_unless_the_user_says_otherwise(model):
    source = """
seen = []
serve(lambda items: [[os.environ.get(i), seen] for i in items], load=lambda: seen.append(os.environ["OMP_NUM_THREADS"]))
"""
    lines = b'"OMP_NUM_THREADS"\n"MKL_NUM_THREADS"\n'
    assert answers(run(model(source), lines)) == [["1", ["1"]], ["1", ["1"]]]
    assert answers(run(model(source), lines, MKL_NUM_THREADS="3")) == [["1", ["1"]], ["3", ["1"]]]


def test_load_that_fails_ends_the_process_with_its_reason_in_the_log(model):
    done = run(model("serve(lambda i: i, load=lambda: 1/0)"), b"1\n")
    assert done.returncode == 1
    assert b"ZeroDivisionError" in done.stderr
    assert done.stdout == b""


def test_harness_mode_speaks_the_control_lines(model):
    done = run(model(DOUBLE), chunk(7, [1, 2, 3, 4, 5]) + chunk(8, []) + chunk(9, [6]), harness=True)
    assert done.stdout.splitlines()[0] == b'{"$fallow":"ready"}'
    assert answers(done) == ready_then(
        2,
        4,
        6,
        8,
        10,
        {"$fallow": "done", "chunk_id": 7},
        {"$fallow": "done", "chunk_id": 8},
        12,
        {"$fallow": "done", "chunk_id": 9},
    )
    assert done.returncode == 0


def test_an_answer_is_never_taken_for_a_control_line(model):
    answer = {"$fallow": "done", "chunk_id": 1}
    done = run(model("serve(lambda items: items)"), chunk(1, [answer, 2]), harness=True)
    assert answers(done) == ready_then(answer, 2, answer)
    control = [line for line in done.stdout.splitlines() if line.startswith(b'{"$fallow"')]
    assert len(control) == 2


@pytest.mark.parametrize("fork", [True, False])
def test_each_chunk_sees_its_own_names(model, fork):
    names = ["AI_JOB_ID", "AI_CHUNK_ID", "AI_RANGE_START", "AI_RANGE_END"]
    source = f"serve(lambda items: [os.environ[i] for i in items], fork={fork})"
    done = run(model(source), chunk(7, names, "a", 70) + chunk(8, names, "b", 80), harness=True)
    assert answers(done)[1:5] == ["a", "7", "70", "73"]
    assert answers(done)[6:10] == ["b", "8", "80", "83"]


def test_each_chunk_starts_from_the_same_clean_memory(model):
    source = """
seen = []
def load(): seen.append("loaded")
def f(items):
    seen.extend(items)
    return [list(seen) for _ in items]
serve(f, load=load)
"""
    done = run(model(source), chunk(1, ["a"]) + chunk(2, ["b"]), harness=True)
    given = [a for a in answers(done) if isinstance(a, list)]
    assert given == [["loaded", "a"], ["loaded", "b"]]


def test_a_worker_that_writes_everything_before_it_reads_is_served(model):
    """10 MB in, 10 MB out: far more than the pipes hold on either side."""
    items = ["x" * 10_000] * 500
    process = subprocess.Popen(
        model("serve(lambda items: items, batch=3)"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"FALLOW_HARNESS": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for number in (1, 2):
        process.stdin.write(chunk(number, items))
        process.stdin.flush()
        if number == 1:
            assert json.loads(process.stdout.readline()) == {"$fallow": "ready"}
        assert [json.loads(process.stdout.readline()) for _ in items] == items
        assert json.loads(process.stdout.readline())["chunk_id"] == number
    process.communicate()
    assert process.returncode == 0


def test_answers_stream_out_while_the_chunk_is_running(model, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    source = f"""
def f(items):
    if items[0] == 2: open({str(gate)!r}).read()
    return items
serve(f, batch=2)
"""
    process = subprocess.Popen(
        model(source), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"FALLOW_HARNESS": "1"}
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(chunk(1, [0, 1, 2, 3]))
    process.stdin.flush()
    first = [process.stdout.readline() for _ in range(3)]
    assert first[1:] == [b"0\n", b"1\n"]
    threading.Thread(target=lambda: gate.open("w").close(), daemon=True).start()
    assert [process.stdout.readline() for _ in range(2)] == [b"2\n", b"3\n"]
    process.communicate()


@pytest.mark.parametrize(
    ("death", "how"),
    [
        ("os.kill(os.getpid(), 11)", "signal 11"),
        ("os._exit(5)", "exit code 5"),
        ("sys.exit(6)", "exit code 6"),
        ("sys.exit()", "exit code 0"),
        ("os.abort()", "signal 6"),
    ],
)
def test_an_item_that_kills_the_model_is_named_and_the_rest_go_on(model, death, how):
    source = f"""
def f(items):
    if 13 in items: {death}
    return items
serve(f, batch=4)
"""
    done = run(model(source), chunk(1, list(range(10, 30))) + chunk(2, [1]), harness=True)
    wanted: list[Any] = list(range(10, 30))
    wanted[3] = {"error": {"code": "crashed", "message": f"the model process ended with {how} on this item"}}
    assert answers(done) == ready_then(
        *wanted, {"$fallow": "done", "chunk_id": 1}, 1, {"$fallow": "done", "chunk_id": 2}
    )
    assert done.returncode == 0


def test_several_killers_in_one_chunk(model):
    source = "def f(items):\n    if any(i % 7 == 0 for i in items): os._exit(9)\n    return items\nserve(f, batch=3)"
    done = run(model(source), chunk(1, list(range(1, 51))), harness=True)
    given = answers(done)[1:-1]
    assert [i for i, a in enumerate(given, 1) if isinstance(a, dict)] == [7, 14, 21, 28, 35, 42, 49]
    assert [a for a in given if isinstance(a, int)] == [i for i in range(1, 51) if i % 7]


def test_a_death_that_does_not_come_again_costs_no_item(model, tmp_path):
    source = f"""
mark = {str(tmp_path / "mark")!r}
def f(items):
    if not os.path.exists(mark):
        open(mark, "w").close()
        os._exit(1)
    return items
serve(f, batch=4)
"""
    assert answers(run(model(source), chunk(1, [1, 2, 3]), harness=True))[1:4] == [1, 2, 3]


@pytest.mark.parametrize(("number", "code"), [(9, 137), (15, 143)])
def test_a_child_killed_from_outside_is_never_blamed_on_an_item(model, number, code):
    source = f"def f(items):\n    if 3 in items: os.kill(os.getpid(), {number})\n    return items\nserve(f, batch=2)"
    done = run(model(source), chunk(1, [1, 2, 3, 4]), harness=True)
    assert done.returncode == code
    assert answers(done) == ready_then(1, 2)


def test_a_half_written_answer_of_a_dead_child_is_not_passed_on(model):
    source = """
import harness
whole = harness._writer
def writer(fd):
    write = whole(fd)
    def half(data):
        if b"13" in data: write(data[:1]); os._exit(1)
        write(data)
    return half
harness._writer = writer
serve(lambda items: items, batch=1)
"""
    given = answers(run(model(source), chunk(1, [12, 13, 14]), harness=True))
    assert given[1] == 12
    assert given[3] == 14


def test_a_grandchild_that_stays_does_not_hold_the_chunk(model, tmp_path):
    """It keeps the pipe open after the child has died: the end of the child must be seen all the same."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    source = f"""
def f(items):
    if os.fork() == 0:
        open({str(gate)!r}).read()
        os._exit(0)
    os._exit(3)
serve(f)
"""
    process = subprocess.Popen(
        model(source), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"FALLOW_HARNESS": "1"}
    )
    stdout, _ = process.communicate(chunk(1, [1]), timeout=60)
    assert json.loads(stdout.splitlines()[1])["error"]["code"] == "crashed"
    os.close(os.open(gate, os.O_RDWR))  # lets the grandchildren go


def test_input_that_ends_within_a_chunk_is_said(model):
    done = run(model(DOUBLE), chunk(1, [1, 2, 3]).rsplit(b"\n", 2)[0], harness=True)
    assert done.returncode == 1
    assert b"ended after 2 of 3 items" in done.stderr


@pytest.mark.parametrize("line", [b"1\n", b"x\n", b'{"$fallow":"chunk"}\n', b'{"$fallow":"chunk","count":-1}\n'])
def test_a_stream_that_cannot_be_followed_is_refused(model, line):
    done = run(model(DOUBLE), line, harness=True)
    assert done.returncode == 2
    assert b"expected a chunk line" in done.stderr


def test_without_forks_a_chunk_is_answered_in_the_process_that_loaded(model):
    source = "me = os.getpid()\nserve(lambda items: [me == os.getpid() for _ in items], fork=False)"
    assert answers(run(model(source), chunk(1, [1, 2]), harness=True))[1:3] == [True, True]
    forked = source.replace("fork=False", "fork=True")
    assert answers(run(model(forked), chunk(1, [1, 2]), harness=True))[1:3] == [False, False]


def test_threads_before_the_fork_are_warned_of(model):
    source = """
import threading
gate = threading.Event()
threading.Thread(target=gate.wait, daemon=True).start()
serve(lambda items: items)
"""
    done = run(model(source), chunk(1, [1]), harness=True)
    assert answers(done)[1] == 1
    assert b"2 threads run" in done.stderr


def test_it_stands_alone():
    """The file is copied into images: it may import the standard library only."""
    text = Path(fallow.harness.__file__).read_text()
    done = subprocess.run([sys.executable, "-I", "-S", "-c", text], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "fallow." not in "".join(line for line in text.splitlines() if "import" in line)
