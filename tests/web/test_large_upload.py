"""A large upload streams: the server's memory stays flat, and the bytes arrive as they were sent.

Some hundred megabytes; with FALLOW_LARGE_UPLOAD_BYTES=5368709120 (make test-large) the real 5 GB.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

SIZE = int(os.environ.get("FALLOW_LARGE_UPLOAD_BYTES", str(300 * 1024 * 1024)))
GROWTH_BYTES_MAX = 64 * 1024 * 1024
PIECE = 1024 * 1024
PROGRAM = """
import json, sys
from pathlib import Path
from fallow.settings import load_settings
from fallow.wiring import serve
given = json.loads(sys.argv[1])
given["data_dir"] = Path(given["data_dir"])
serve(load_settings(given), lambda url, key: print(json.dumps([url, key]), flush=True))
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, httpx2.Client]]:
    """(process id, its operator)"""
    given = {"data_dir": str(tmp_path / "data"), "listen": "127.0.0.1:0"}
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(given)], stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, (tmp_path / "server.log").read_text()
    url, key = json.loads(line)
    with httpx2.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=600) as client:
        yield process.pid, client
    process.terminate()
    process.wait(30)
    process.stdout.close()


def peak_bytes(pid: int) -> int:
    """The most memory the process ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel does not say")


def pieces(digest: "hashlib._Hash") -> Iterator[bytes]:
    for number in range(SIZE // PIECE):
        piece = number.to_bytes(8, "big") * (PIECE // 8)
        digest.update(piece)
        yield piece


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("said", [True, False] if SIZE <= 1024**3 else [True])  # 5 GB go once
def test_a_large_upload_takes_no_memory(server, said):
    pid, client = server
    assert client.put("/api/inputs/small.bin", content=b"x" * PIECE).status_code == 201  # everything is loaded now
    before = peak_bytes(pid)
    digest = hashlib.sha256()
    headers = {"content-length": str(SIZE)} if said else {}
    answer = client.put("/api/inputs/large.bin", content=pieces(digest), headers=headers)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["size_bytes"], answer.json()["sha256"]) == (SIZE, digest.hexdigest())
    assert peak_bytes(pid) - before < GROWTH_BYTES_MAX
