"""What only the filesystem store promises: its layout, its durability, and what it does when the disk is full."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fallow.artifacts.filesystem import FilesystemStore, fan
from fallow.artifacts.port import Verb
from fallow.artifacts.signing import Grant, Signer
from fallow.clock import ManualClock
from fallow.core.refusals import Code, Refusal


@pytest.mark.parametrize(
    ("name", "directory"),
    [("foo", "db"), ("a.txt", "11f"), ("in_s1_1", "115"), ("in_s1_11", "60"), ("in_u1_11", "3b8")],
)
def test_the_fan_out_is_that_of_boinc(name: str, directory: str):
    """Recorded from a live BOINC server."""
    assert fan(name) == directory


def test_an_object_is_a_file_where_the_layout_says(files: FilesystemStore):
    files.put("jobs/job-1/foo", [b"x"])
    path = files.path_of("jobs/job-1/foo")
    assert path == files.root / "objects/jobs+/job-1+/db/foo"
    assert path.read_bytes() == b"x"


def test_a_thousand_objects_spread_over_the_directories(files: FilesystemStore):
    for n in range(300):
        files.put(f"p/{n}", [b""])
    assert len(list((files.root / "objects/p+").iterdir())) > 200
    assert {each.key for each in files.list("p")} == {f"p/{n}" for n in range(300)}


def test_empty_directories_go_with_the_last_object(files: FilesystemStore):
    files.put("a/b/c", [b"x"])
    files.delete(["a/b/c"])
    assert list((files.root / "objects").iterdir()) == []


def test_a_write_is_refused_before_the_disk_is_full(tmp_path: Path, signer: Signer, clock: ManualClock):
    store = FilesystemStore(tmp_path, signer, clock.now, reserve_bytes=1 << 60)
    with pytest.raises(Refusal) as refused:
        store.put("a", [b"x"])
    assert refused.value.code is Code.STORAGE_FULL
    assert list(store.list()) == []


WRITES_TOO_MUCH = """
import resource, sys
from pathlib import Path
from fallow.artifacts.filesystem import FilesystemStore
from fallow.artifacts.signing import Signer
from fallow.core.refusals import Refusal
store = FilesystemStore(Path(sys.argv[1]), Signer(bytes(32), "http://door.test"), lambda: 0, reserve_bytes=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))  # the kernel stops the write half-way
try:
    store.put("a", [bytes(1_000_000)] * 9)
except Refusal as refused:
    print(refused.code.value)
"""


def test_a_full_disk_leaves_nothing_behind(files: FilesystemStore):
    done = subprocess.run(
        [sys.executable, "-c", WRITES_TOO_MUCH, str(files.root)], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "storage_full"
    assert list(files.list()) == []
    assert list((files.root / "tmp").iterdir()) == []


PUTS_FOR_EVER = """
import sys
from pathlib import Path
from fallow.artifacts.filesystem import FilesystemStore
from fallow.artifacts.signing import Signer
store = FilesystemStore(Path(sys.argv[1]), Signer(bytes(32), "http://door.test"), lambda: 0, reserve_bytes=0)
for n in range(10_000_000):
    store.put("a", [b"%08d" % n] * 50_000)
    print(n, flush=True)
"""


def test_kill_9_half_way_through_a_put_leaves_the_old_object(files: FilesystemStore):
    """Whatever was confirmed before the kill, or something newer, is there, and whole."""
    for kills_after in range(3, 6):
        with subprocess.Popen([sys.executable, "-c", PUTS_FOR_EVER, str(files.root)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            confirmed = [int(child.stdout.readline()) for _ in range(kills_after)][-1]
            child.send_signal(signal.SIGKILL)
        data = b"".join(files.get("a"))
        assert data == data[:8] * 50_000
        assert int(data[:8]) >= confirmed


def test_what_a_dead_process_left_is_swept(files: FilesystemStore):
    left = files.root / "tmp/left"
    left.write_bytes(b"half")
    assert files.sweep(older_than_seconds=3600) == 0
    os.utime(left, (1, 1))
    assert files.sweep(older_than_seconds=3600) == 1
    assert not left.exists()


def test_a_directory_that_cannot_be_used_is_a_refusal(tmp_path: Path, signer: Signer, clock: ManualClock):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Refusal) as refused:
        FilesystemStore(tmp_path / "file/data", signer, clock.now)
    assert refused.value.code is Code.STORAGE_UNREACHABLE


def test_a_disk_that_went_away_is_not_an_empty_store(files: FilesystemStore):
    files.put("a", [b"x"])
    files.root.rename(files.root.with_name("elsewhere"))
    for asked in (
        lambda: files.head("a"),
        lambda: files.get("a"),
        lambda: list(files.list()),
        lambda: files.put("b", []),
        files.ping,
    ):
        with pytest.raises(Refusal) as refused:
            asked()
        assert refused.value.code is Code.STORAGE_UNREACHABLE


def test_the_signed_url_is_a_grant_of_the_extent(files: FilesystemStore, signer: Signer, clock: ManualClock):
    signed = files.sign("a/b", Verb.GET, 60, offset=10, length=5)
    assert (signed.offset, signed.length) == (0, 0)
    token = signed.url.removeprefix("http://door.test/bytes/")
    expires = clock.now() + 60_000_000
    assert signer.open(token, clock.now(), "GET") == Grant(Verb.GET, "a/b", expires, 10, 5)


def test_reading_needs_no_more_memory_than_a_piece(files: FilesystemStore):
    files.put("large", [bytes(1 << 20)] * 200)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(map(len, files.get("large"))) == 200 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
