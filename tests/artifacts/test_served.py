"""What the holder of a signed URL gets: ranges of the extent it names, and uploads that survive a broken connection."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fallow.artifacts.filesystem import FilesystemStore
from fallow.artifacts.locations import Source
from fallow.artifacts.port import ArtifactStore, Verb
from fallow.artifacts.ranges import span_of
from fallow.artifacts.served import Received, Served
from fallow.artifacts.signing import Grant
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros

LATER = Micros(2**60)
ALPHABET = b"abcdefghijklmnopqrstuvwxyz"


def opens_nothing(uri: str) -> Source:
    raise AssertionError(uri)


@pytest.fixture
def served(store: ArtifactStore, tmp_path: Path) -> Served:
    return Served(store, tmp_path / "uploads", opens_nothing)


def put(key: str = "up", **more: object) -> Grant:
    return Grant(Verb.PUT, key, LATER, **more)  # type: ignore[arg-type]


def refusal(call: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as refused:
        call()
    return refused.value


@pytest.mark.parametrize(
    ("header", "status", "body", "content_range"),
    [
        (None, 200, b"cdefg", None),
        ("bytes=0-1", 206, b"cd", "bytes 0-1/5"),
        ("bytes=3-", 206, b"fg", "bytes 3-4/5"),
        ("bytes=3-900", 206, b"fg", "bytes 3-4/5"),
        ("bytes=-2", 206, b"fg", "bytes 3-4/5"),
        ("bytes=-900", 206, b"cdefg", "bytes 0-4/5"),
        ("bytes=0-1,3-4", 200, b"cdefg", None),
        ("lines=0-1", 200, b"cdefg", None),
        ("bytes=3-1", 200, b"cdefg", None),
        ("bytes=-", 200, b"cdefg", None),
    ],
)
def test_a_range_is_counted_within_the_extent(
    store: ArtifactStore, served: Served, header: str | None, status: int, body: bytes, content_range: str | None
):
    store.put("in", [ALPHABET])
    reply = served.read_range(Grant(Verb.GET, "in", LATER, offset=2, length=5), header)
    assert (reply.status, b"".join(reply.body)) == (status, body)
    assert reply.headers["Content-Length"] == str(len(body))
    assert reply.headers.get("Content-Range") == content_range


@pytest.mark.parametrize("header", ["bytes=5-", "bytes=5-9", "bytes=-0"])
def test_a_range_outside_the_extent_is_refused(store: ArtifactStore, served: Served, header: str):
    store.put("in", [ALPHABET])
    refused = refusal(lambda: served.read_range(Grant(Verb.GET, "in", LATER, offset=2, length=5), header))
    assert (refused.code, refused.details) == (Code.RANGE_NOT_SATISFIABLE, {"size_bytes": 5})


@given(st.one_of(st.none(), st.text(max_size=20), st.from_regex(r"bytes=[0-9]{0,3}-[0-9]{0,3}\Z")), st.integers(0, 300))
def test_any_range_header_stays_within_the_object(header: str | None, size: int):
    try:
        span = span_of(header, size)
    except Refusal:
        return
    assert span is None or (0 <= span.start < span.start + span.length <= size)


def test_an_extent_never_reaches_past_the_object(store: ArtifactStore, served: Served):
    store.put("in", [ALPHABET])
    assert b"".join(served.read_range(Grant(Verb.GET, "in", LATER, offset=24, length=100)).body) == b"yz"
    assert b"".join(served.read_range(Grant(Verb.GET, "in", LATER, offset=99)).body) == b""
    assert refusal(lambda: served.read_range(Grant(Verb.GET, "no", LATER))).code is Code.NOT_FOUND


def test_a_whole_upload(store: ArtifactStore, served: Served):
    received = served.receive(put(), [b"one", b"two"])
    assert received.complete
    assert received.sha256 == hashlib.sha256(b"onetwo").hexdigest()
    assert store.read("up", 0, 9) == b"onetwo"
    assert served.upload_size(put()).size_bytes == 6


def test_a_prefix_grant_puts_and_gets_back(store: ArtifactStore, served: Served):
    grant = put("jobs/1/out", prefix=True, size_bytes_max=10)
    served.receive(grant, [b"{}"], name="receipt.json")
    assert b"".join(served.read_range(grant, name="receipt.json").body) == b"{}"
    assert store.head("jobs/1/out/receipt.json") is not None
    assert refusal(lambda: served.receive(grant, [], name="../x")).code is Code.URL_INVALID


@pytest.mark.parametrize("content_range", [None, "bytes 0-10/11", "bytes 0-10/*"])
def test_too_much_is_refused_and_gone(store: ArtifactStore, served: Served, content_range: str | None):
    grant = put(size_bytes_max=10)
    assert refusal(lambda: served.receive(grant, [b"12345", b"678901"], content_range)).code is Code.TOO_LARGE
    assert store.head("up") is None
    assert refusal(lambda: served.receive(grant, [], "bytes 0-9/11")).code is Code.TOO_LARGE


def test_an_upload_in_pieces(store: ArtifactStore, served: Served):
    assert served.receive(put(), [b"abc"], "bytes 0-2/6") == Received(3)
    assert served.upload_size(put()) == Received(3)
    assert store.head("up") is None
    received = served.receive(put(), [b"def"], "bytes 3-5/6", expected_sha256=hashlib.sha256(b"abcdef").hexdigest())
    assert received.complete
    assert store.read("up", 0, 9) == b"abcdef"
    assert list(served._uploads.iterdir()) == []


def test_a_broken_connection_keeps_what_arrived(store: ArtifactStore, served: Served):
    def breaks_off() -> Iterator[bytes]:
        yield b"abcd"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        served.receive(put(), breaks_off(), "bytes 0-9/10")
    refused = refusal(lambda: served.receive(put(), [b"x"], "bytes 6-9/10"))
    assert (refused.code, refused.details) == (Code.OFFSET_CONFLICT, {"offset": 4})
    assert served.receive(put(), [b"efghij"], "bytes 4-9/10").complete
    assert store.read("up", 0, 20) == b"abcdefghij"


def test_a_repeated_last_piece_is_answered_as_done(store: ArtifactStore, served: Served):
    served.receive(put(), [b"abc"], "bytes 0-2/6")
    served.receive(put(), [b"def"], "bytes 3-5/6")
    assert served.receive(put(), [b"def"], "bytes 3-5/6").complete
    assert served.receive(put(), [], "bytes */6").complete
    assert store.read("up", 0, 9) == b"abcdef"


def test_a_piece_at_0_starts_over(store: ArtifactStore, served: Served):
    served.receive(put(), [b"old"], "bytes 0-2/6")
    served.receive(put(), [b"new"], "bytes 0-2/6")
    served.receive(put(), [b"er!"], "bytes 3-5/6")
    assert store.read("up", 0, 9) == b"newer!"


def test_a_total_may_come_last(store: ArtifactStore, served: Served):
    served.receive(put(), [b"abc"], "bytes 0-2/*")
    assert served.receive(put(), [], "bytes */3").complete
    assert store.read("up", 0, 9) == b"abc"


def test_a_wrong_digest_is_refused_and_gone(store: ArtifactStore, served: Served):
    wrong = hashlib.sha256(b"other").hexdigest()
    assert refusal(lambda: served.receive(put(), [b"abc"], None, "", wrong)).code is Code.DIGEST_MISMATCH
    assert refusal(lambda: served.receive(put(), [b"abc"], "bytes 0-2/3", "", wrong)).code is Code.DIGEST_MISMATCH
    assert store.head("up") is None
    assert served.upload_size(put()) == Received(0)


def test_a_piece_longer_than_it_said_is_refused(served: Served):
    served.receive(put(), [b"abc"], "bytes 0-2/9")
    assert refusal(lambda: served.receive(put(), [b"defgh"], "bytes 3-5/9")).code is Code.BAD_REQUEST
    assert served.upload_size(put()) == Received(3)


@pytest.mark.parametrize("header", ["bytes 3-1/9", "bytes 0-9/9", "bytes=0-9", "0-9/10", "bytes a-b/c", ""])
def test_nonsense_content_ranges_are_refused(served: Served, header: str):
    assert refusal(lambda: served.receive(put(), [], header)).code is Code.BAD_REQUEST


def test_two_requests_cannot_send_one_upload(served: Served):
    def meanwhile() -> Iterator[bytes]:
        yield b"abc"
        assert refusal(lambda: served.receive(put(), [b"xyz"], "bytes 0-2/6")).code is Code.OFFSET_CONFLICT
        yield b"def"

    assert served.receive(put(), meanwhile(), "bytes 0-5/6").complete


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=60), cuts=st.lists(st.integers(1, 59)))
def test_any_cuts_give_the_same_object(store: ArtifactStore, served: Served, data: bytes, cuts: list[int]):
    at = [0, *sorted({each for each in cuts if each < len(data)}), len(data)]
    for start, end in itertools.pairwise(at):
        received = served.receive(put(), [data[start:end]], f"bytes {start}-{end - 1}/{len(data)}")
    assert received.complete
    assert received.sha256 == hashlib.sha256(data).hexdigest()
    assert store.read("up", 0, 100) == data


def test_threads_uploading_different_objects(store: ArtifactStore, served: Served):
    def upload(n: int) -> bytes:
        for at in range(0, 6, 2):
            served.receive(put(f"up/{n}"), [b"%02d" % n], f"bytes {at}-{at + 1}/6")
        return store.read(f"up/{n}", 0, 9)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(upload, range(8))) == [b"%02d" % n * 3 for n in range(8)]


def test_a_full_disk_is_a_refusal(files: FilesystemStore, tmp_path: Path):
    files.reserve_bytes = 1 << 60
    served = Served(files, tmp_path / "uploads", opens_nothing)
    assert refusal(lambda: served.receive(put(), [b"abc"])).code is Code.STORAGE_FULL
