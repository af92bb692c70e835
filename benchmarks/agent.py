"""Tiny chunks through everything: `fallow run` with one worker, a bare program and many chunks.

    python -m benchmarks agent [--quick]

What a chunk costs end to end when its work is nothing: lease, fetch, run, receipt, report, verify, merge.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.places import CACHE
from benchmarks.tables import table


def main(quick: bool) -> None:
    chunks = 50 if quick else 200
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="agent-", dir=CACHE) as directory:
        few, many = (_seconds(Path(directory, str(count)), count) for count in (1, chunks))
    each = 1000 * (many - few) / (chunks - 1)
    row = (f"fallow run, one worker, {chunks} chunks of 10 items", f"{few:.2f}", f"{many:.2f}", f"{each:.1f}")
    print(table(("tiny chunks", "wall s, 1 chunk", "wall s, all", "ms for each more"), [row]), flush=True)


def _seconds(directory: Path, chunks: int) -> float:
    directory.mkdir()
    items = directory / "items.jsonl"
    items.write_bytes(b"".join(b'{"n":%d}\n' % number for number in range(10 * chunks)))
    words = [sys.executable, "-m", "fallow", "run", str(items), "--engine", "process", "--allow-process"]
    words += ["--output", str(directory / "out"), "--workers", "1", "--chunk-items", "10", "--", "/bin/cat"]
    started = time.monotonic()
    subprocess.run(words, check=True, capture_output=True)
    took = time.monotonic() - started
    assert (directory / "out" / "output.jsonl").read_bytes() == items.read_bytes()
    return took
