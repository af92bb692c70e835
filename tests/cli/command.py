"""The real command as a process, without the environment's own server."""

import os
import subprocess
import sys
from pathlib import Path

PROCESS = ("--engine", "process", "--allow-process")


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FALLOW_")} | more


def fallow(*argv: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fallow", *map(str, argv)],
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def lines_file(path: Path, count: int) -> Path:
    path.write_text("".join(f'{{"n":{number}}}\n' for number in range(count)))
    return path
