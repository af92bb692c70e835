"""kill -9 in the middle of commits: what was acknowledged is there, and the rest never was."""

import subprocess
import sys
from pathlib import Path

from tests.store.yard import Yard

REPOSITORY = Path(__file__).parents[2]


def test_a_killed_writer_loses_nothing_that_it_acknowledged(yard: Yard, store_url: str) -> None:
    job = yard.job(2000)
    command = [sys.executable, "-m", "tests.store.crash_child", store_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as child:
        assert child.stdout is not None
        acknowledged = 0
        for line in child.stdout:
            acknowledged = int(line)
            if acknowledged >= 25:
                child.kill()
                break
        acknowledged = max([acknowledged, *(int(line) for line in child.stdout if line.endswith("\n"))])
    assert child.returncode == -9
    counters = yard.counters(job)  # yard.check() replays the story and counts again
    assert counters.chunks_done >= 2 * acknowledged
    assert counters.chunks_done % 2 == 0
    assert counters.attempts_leased == 0
