"""Outputs: whole or not there, in a directory, in a bucket, and in fallow's own store."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fallow.artifacts.bucket import access_from
from fallow.artifacts.filesystem import FilesystemStore
from fallow.artifacts.guard import Fetcher
from fallow.artifacts.locations import Target
from fallow.artifacts.uris import Locations, open_source, open_target, own_target
from fallow.core.refusals import Code, Refusal

LARGE = bytes(range(256)) * 4096 * 9  # 9 MiB: two parts of a multipart upload


def refusal(call: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as refused:
        call()
    return refused.value


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "outputs"
    root.mkdir()
    return root


@pytest.fixture
def locations(files: FilesystemStore, root: Path) -> Locations:
    return Locations(files, Fetcher(), [root], [root], reserve_bytes=0)


@pytest.fixture(params=["file", "fallow", pytest.param("s3", marks=pytest.mark.s3)])
def target(request: pytest.FixtureRequest, files: FilesystemStore, root: Path, locations: Locations) -> Target:
    if request.param == "file":
        return open_target((root / "job-1/out put").as_uri(), locations)
    if request.param == "fallow":
        return own_target("outputs/job-1", files)
    server = request.getfixturevalue("s3_server")
    reachable = Locations(files, Fetcher(), s3=access_from(server.environment()))
    return open_target(f"s3://{server.bucket}/{secrets.token_hex(8)}/out", reachable)


def test_an_output_appears_when_it_is_whole(target: Target):
    assert not target.exists()
    with target.stream_writer("output.jsonl") as writer:
        writer.write(LARGE)
        writer.write(b"end\n")
        assert not target.exists()
    assert target.exists()
    assert writer.stored.size_bytes == len(LARGE) + 4
    assert b"".join(target.stream("output.jsonl")) == LARGE + b"end\n"
    assert b"".join(target.stream("output.jsonl", len(LARGE), 3)) == b"end"


def test_an_output_is_replaced_and_removed(target: Target):
    target.put("manifest.json", b"{}")
    target.put("manifest.json", b'{"a": 1}')
    assert target.read("manifest.json") == b'{"a": 1}'
    target.delete("manifest.json")
    target.delete("manifest.json")
    assert not target.exists()
    assert refusal(lambda: target.read("manifest.json")).code is Code.NOT_FOUND


def test_an_exception_leaves_the_old_output(target: Target):
    target.put("output.jsonl", b"old")

    def breaks_off() -> None:
        with target.stream_writer("output.jsonl") as writer:
            writer.write(LARGE)
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        breaks_off()
    assert target.read("output.jsonl") == b"old"


def test_an_output_may_lie_deeper(target: Target):
    target.put("objects/a/1.json", b"1")
    assert target.read("objects/a/1.json") == b"1"
    assert target.exists()
    target.delete("objects/a/1.json")


def test_a_check_leaves_nothing(target: Target):
    target.check_writable()
    assert not target.exists()


@pytest.mark.parametrize("name", ["", "..", "a/../b", "/a", "a//b", "a/", ".", "x" * 1000])
def test_a_bad_name_is_refused(target: Target, name: str):
    assert refusal(lambda: target.put(name, b"")).code in (Code.OUTPUT_UNWRITABLE, Code.BAD_REQUEST)


def test_an_output_can_be_read_back_by_its_uri(root: Path, locations: Locations):
    target = open_target((root / "o%20#").as_uri(), locations)
    target.put("output 1.jsonl", b"x")
    assert open_source(target.uri_of("output 1.jsonl"), locations).read(0, 9) == b"x"


@pytest.mark.parametrize(
    "uri", ["file:///etc/x", "file:///ROOT/../x", "file:///ROOT/link/x", "/etc/x", "s3://b/x", "http://a/", "", "out"]
)
def test_nothing_outside_the_roots_is_written(root: Path, locations: Locations, uri: str):
    os.symlink("/tmp", root / "link")

    def write() -> None:
        open_target(uri.replace("/ROOT", str(root)), locations).put("x", b"")

    assert refusal(write).code is Code.OUTPUT_NOT_ALLOWED


def test_a_file_in_the_way_is_a_refusal(root: Path, locations: Locations):
    (root / "file").write_bytes(b"")
    target = open_target((root / "file/out").as_uri(), locations)
    assert refusal(target.check_writable).code is Code.OUTPUT_UNWRITABLE


def test_a_root_that_is_gone_is_a_refusal(root: Path, locations: Locations):
    target = open_target((root / "out").as_uri(), locations)
    root.rmdir()
    assert refusal(target.check_writable).code is Code.OUTPUT_UNWRITABLE


def test_a_nearly_full_disk_is_a_refusal(root: Path, files: FilesystemStore):
    locations = Locations(files, Fetcher(), [], [root], reserve_bytes=1 << 60)
    target = open_target(root.as_uri(), locations)
    assert refusal(target.check_writable).code is Code.STORAGE_FULL
    assert list(root.iterdir()) == []


WRITES_FOR_EVER = """
import sys
from pathlib import Path
from fallow.artifacts.local_files import FileTarget
target = FileTarget(sys.argv[1], [Path(sys.argv[2])], 0)
for n in range(10_000_000):
    target.put("output.jsonl", (b"%08d" % n) * 500_000)
    print(n, flush=True)
"""


def test_kill_9_half_way_leaves_a_whole_output(root: Path, locations: Locations):
    command = [sys.executable, "-c", WRITES_FOR_EVER, (root / "out").as_uri(), str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        confirmed = [int(child.stdout.readline()) for _ in range(3)][-1]
        child.send_signal(signal.SIGKILL)
    data = open_target((root / "out").as_uri(), locations).read("output.jsonl")
    assert data == data[:8] * 500_000
    assert int(data[:8]) >= confirmed
