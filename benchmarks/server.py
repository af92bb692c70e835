"""A real `fallow server` for a benchmark: its own process, data directory and port."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. pid: of the process, for its memory and processor time."""

    url: str
    key: str
    process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        """Processor time the process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(data_dir: Path, *, database: str = "", objects: str = "", settings: dict[str, str] | None = None) -> Running:
    """Starts `fallow server` on a free port and waits until it is ready."""
    log = (data_dir / "server.log").open("wb")
    words = ["server", "--data-dir", str(data_dir / "data"), "--listen", "127.0.0.1:0", "--allow-root", str(data_dir)]
    words += ["--database", database] if database else []
    words += ["--objects", objects] if objects else []
    environment = {**os.environ, "FALLOW_ALLOW_PROCESS_JOBS": "1", "FALLOW_PLAN_AHEAD": "1000000", **(settings or {})}
    process = subprocess.Popen(
        [sys.executable, "-m", "fallow", *words], stdout=subprocess.PIPE, stderr=log, env=environment
    )
    assert process.stdout is not None
    url = key = ""
    until = time.monotonic() + 60
    while time.monotonic() < until and not (url and key):
        line = process.stdout.readline().decode()
        if not line and process.poll() is not None:
            raise RuntimeError(Path(log.name).read_text()[-2000:])
        url = m.group() if (m := re.search(r"http://[0-9.:]+", line)) else url
        key = m.group() if (m := re.search(r"flw_[0-9a-f]+_[0-9a-f]+", line)) else key
    return Running(url, key, process)


def api(running: Running, method: str, path: str, body: object = None) -> dict[str, object]:
    """One call of the REST door."""
    answer = httpx2.request(
        method,
        running.url + path,
        headers={"Authorization": f"Bearer {running.key}"},
        content=json.dumps(body).encode() if body is not None else None,
        timeout=120,
    )
    answer.raise_for_status()
    return answer.json() if answer.content else {}
