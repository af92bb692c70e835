"""Planning one large file: the real planner on a fresh SQLite store, in a process of its own, against plain readers.

    python -m benchmarks plan [--quick]

The file has a thousand bytes a line, and chunks have a thousand items. The readers do less than the planner must: `wc`
counts lines, the Python loop cuts them, sha256sum hashes the bytes. Planning is all three, and rows.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.places import CACHE, ROOT
from benchmarks.tables import table

LINES = 1_000_000
LINES_QUICK = 100_000
LINE_BYTES = 1000
CHUNK_ITEMS = 1000
PYTHON_LOOP = "import sys; print(sum(1 for line in open(sys.argv[1], 'rb') if line.strip()))"


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took. peak_bytes: of its resident memory; 0: not known."""

    name: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int


def main(quick: bool) -> None:
    path = input_file(LINES_QUICK if quick else LINES)
    print(table(("plan", "wall s", "CPU s", "peak MB", "planner / this"), _rows(measure(path))), flush=True)


def measure(path: Path) -> list[Run]:
    """The planner first, then the peers; the file has been read once before, so that all find it in memory."""
    _watched("warm up", ["cat", str(path)])
    peers = (
        ("wc -l", ["wc", "-l", str(path)]),
        ("Python loop over lines", [sys.executable, "-c", PYTHON_LOOP, str(path)]),
        ("sha256sum", ["sha256sum", str(path)]),
    )
    return [planned(path), *(_watched(name, words) for name, words in peers)]


def planned(path: Path) -> Run:
    """As the child says: only the planner's own steps are on the clock, its peak is the whole process's."""
    words = [sys.executable, "-m", "benchmarks.plan", str(path)]
    said = json.loads(subprocess.run(words, check=True, capture_output=True, cwd=ROOT).stdout)
    size = path.stat().st_size / 1e9
    name = f"fallow's planner, {size:.1f} GB, {said['items']:,} items, {said['chunks']:,} chunks"
    return Run(name, said["seconds"], said["cpu_seconds"], said["peak_bytes"])


def input_file(lines: int) -> Path:
    """A JSONL file of `lines` lines of LINE_BYTES bytes, made once."""
    path = CACHE / f"plan-{lines}.jsonl"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    words = random.Random(7)
    filler = ["".join(words.choices("abcdefghij klmnop", k=LINE_BYTES)) for _ in range(64)]
    temporary = path.with_suffix(".part")
    with temporary.open("w") as file:
        for number in range(lines):
            head = f'{{"id": {number}, "text": "'
            file.write(head + filler[number % 64][: LINE_BYTES - len(head) - 3] + '"}\n')
    temporary.rename(path)
    return path


def _watched(name: str, words: list[str]) -> Run:
    started = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    # A child's peak includes what it had of us before it became the other program, so it says nothing here.
    return Run(name, seconds, used.ru_utime + used.ru_stime, 0)


def _rows(runs: list[Run]) -> list[tuple[str, ...]]:
    first = runs[0].seconds
    return [
        (run.name, f"{run.seconds:.2f}", f"{run.cpu_seconds:.2f}", _peak(run), f"{first / run.seconds:.2f}")
        for run in runs
    ]


def _peak(run: Run) -> str:
    return f"{run.peak_bytes / 1e6:.0f}" if run.peak_bytes else "-"


def plan_here(path: Path) -> dict[str, float]:
    """Submits the file as a job to a server that is not started, and plans it to the end in this thread."""
    from fallow.control.callers import OPERATORS, Caller
    from fallow.control.planner import Planner
    from fallow.control.plugins import Plugs
    from fallow.core.job import Chunking
    from fallow.core.submission import Submission
    from fallow.core.words import Scope
    from fallow.settings import load_settings
    from fallow.wiring.system import build

    with tempfile.TemporaryDirectory(prefix="fallow-bench-", dir=CACHE) as home:
        given = {"data_dir": home, "allowed_roots": (path.parent,), "plan_ahead": 10_000_000}
        settings = load_settings({**given, "allow_process_jobs": True}, {})
        system = build(settings)
        caller = Caller("", OPERATORS, frozenset(Scope))
        submission = Submission(input_uri=path.as_uri(), command=("cat",), chunking=Chunking(items=CHUNK_ITEMS))
        job = system.door.intake.submit(caller, submission)
        planner = Planner(system.store, system.places, Plugs(allow_exec=False), settings, "bench")
        before, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        while planner.step():
            continue
        seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
        with system.store.reading() as tx:
            row = tx.job_by_key(job.job_key)
        assert row is not None
        assert row.plan.done, row.plan
        chunks = row.counters.chunks_waiting
        system.close()
    return {
        "items": row.plan.next_item,
        "chunks": chunks,
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_bytes": after.ru_maxrss * 1024,
    }


if __name__ == "__main__":
    print(json.dumps(plan_here(Path(sys.argv[1]).resolve())))
