"""What every object store does, on each one that there is."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fallow.artifacts.port import READ_BYTES, ArtifactStore, Verb, checked_key
from fallow.core.refusals import Code, Refusal

LARGE = bytes(range(256)) * 4096 * 13  # 13 MiB: three parts of a multipart upload


def test_what_was_put_comes_back(store: ArtifactStore):
    stored = store.put("jobs/job-1/attempts/31", [b"one\n", b"", b"two\n"])
    assert (stored.key, stored.size_bytes) == ("jobs/job-1/attempts/31", 8)
    assert stored.sha256 == hashlib.sha256(b"one\ntwo\n").hexdigest()
    assert b"".join(store.get(stored.key)) == b"one\ntwo\n"
    head = store.head(stored.key)
    assert head is not None
    assert (head.size_bytes, head.etag) == (8, stored.etag)


def test_an_object_may_be_empty(store: ArtifactStore):
    assert store.put("a", []).size_bytes == 0
    assert list(store.get("a")) == []
    assert store.read("a", 0, 10) == b""


def test_a_large_object_comes_back_in_pieces(store: ArtifactStore):
    stored = store.put("large", (LARGE[i : i + 100_000] for i in range(0, len(LARGE), 100_000)))
    assert stored.sha256 == hashlib.sha256(LARGE).hexdigest()
    pieces = list(store.get("large"))
    assert b"".join(pieces) == LARGE
    assert max(map(len, pieces)) <= 4 * READ_BYTES
    assert b"".join(store.get("large", 5_000_000, 6_000_000)) == LARGE[5_000_000:11_000_000]


def test_a_put_replaces_and_changes_the_etag(store: ArtifactStore):
    first = store.put("a", [b"first"])
    second = store.put("a", [b"other"])
    assert first.etag != second.etag
    assert store.read("a", 0, 5) == b"other"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 40), length=st.none() | st.integers(0, 40))
def test_a_range_is_a_slice(store: ArtifactStore, start: int, length: int | None):
    data = b"abcdefghijklmnopqrstuvwxyz"
    if store.head("alphabet") is None:
        store.put("alphabet", [data])
    expected = data[start:] if length is None else data[start : start + length]
    assert b"".join(store.get("alphabet", start, length)) == expected
    if length is not None:
        assert store.read("alphabet", start, length) == expected


def test_what_is_not_there_is_refused_at_once(store: ArtifactStore):
    for asked in (lambda: store.get("no"), lambda: store.get("no", 3, 0), lambda: store.read("no", 0, 1)):
        with pytest.raises(Refusal) as refused:
            asked()
        assert refused.value.code is Code.NOT_FOUND
    assert store.head("no") is None
    assert store.path_of("no") is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "..",
        "a/../b",
        ".",
        ".hidden",
        "a b",
        "a\n",
        "a\0",
        "ä",
        "+",
        "x" * 201,
        "a/" * 500 + "a",
    ],
)
def test_a_bad_key_is_refused(store: ArtifactStore, key: str):
    for asked in (
        lambda: store.put(key, []),
        lambda: store.get(key),
        lambda: store.head(key),
        lambda: store.delete([key]),
    ):
        with pytest.raises(Refusal) as refused:
            asked()
        assert refused.value.code is Code.BAD_REQUEST


@given(st.text(max_size=30))
def test_a_good_key_stays_below_its_root(text: str):
    try:
        key = checked_key(text)
    except Refusal:
        return
    assert ".." not in key.split("/")
    assert Path("/root", key).is_relative_to("/root")
    assert key.isascii()


def test_an_exception_leaves_nothing_behind(store: ArtifactStore):
    def breaks_off() -> Iterator[bytes]:
        yield LARGE
        raise ConnectionResetError("the sender went away")

    def writes_and_breaks_off() -> None:
        with store.stream_writer("b") as writer:
            writer.write(LARGE)
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.put("a", breaks_off())
    with pytest.raises(ConnectionResetError):
        writes_and_breaks_off()
    assert list(store.list()) == []


def test_a_streamed_object_appears_when_it_is_whole(store: ArtifactStore):
    with store.stream_writer("out") as writer:
        for _ in range(5):
            writer.write(LARGE[: 2 * READ_BYTES])
        assert store.head("out") is None
        assert writer.size_bytes == 10 * READ_BYTES
    assert writer.stored.sha256 == hashlib.sha256(LARGE[: 2 * READ_BYTES] * 5).hexdigest()
    head = store.head("out")
    assert head is not None
    assert (head.size_bytes, head.etag) == (10 * READ_BYTES, writer.stored.etag)


def test_a_blob_is_named_by_its_bytes(store: ArtifactStore):
    digest = hashlib.sha256(b"blob").hexdigest()
    first = store.put_blob([b"bl", b"ob"])
    again = store.put_blob([b"blob"], digest)
    assert first.key == again.key == f"blobs/{digest}"
    assert [each.key for each in store.list("blobs")] == [first.key]


@pytest.mark.parametrize("data", [b"other", LARGE])
def test_a_blob_with_other_bytes_is_refused_and_gone(store: ArtifactStore, data: bytes):
    with pytest.raises(Refusal) as refused:
        store.put_blob([data], hashlib.sha256(b"blob").hexdigest())
    assert refused.value.code is Code.DIGEST_MISMATCH
    assert list(store.list()) == []


def test_a_file_is_taken_over(store: ArtifactStore, tmp_path: Path):
    path = tmp_path / "upload"
    path.write_bytes(LARGE)
    stored = store.put_file("a/b", path)
    assert (stored.size_bytes, stored.sha256) == (len(LARGE), hashlib.sha256(LARGE).hexdigest())
    assert not path.exists()
    head = store.head("a/b")
    assert head is not None
    assert (head.size_bytes, head.etag) == (stored.size_bytes, stored.etag)


def test_only_the_first_is_put_if_absent(store: ArtifactStore):
    with ThreadPoolExecutor(4) as threads:
        won = list(threads.map(lambda n: store.put_if_absent("one", b"%d" % n), range(4)))
    assert won.count(True) == 1
    assert store.read("one", 0, 9) == b"%d" % won.index(True)


def test_a_prefix_lists_whole_components_only(store: ArtifactStore):
    for key in ("a", "a/b", "a/b/c", "a/1f/x", "ab", "b/c"):
        store.put(key, [key.encode()])
    assert {each.key for each in store.list()} == {"a", "a/b", "a/b/c", "a/1f/x", "ab", "b/c"}
    assert {each.key: each.size_bytes for each in store.list("a")} == {"a/b": 3, "a/b/c": 5, "a/1f/x": 6}
    assert {each.key for each in store.list("a/b")} == {"a/b/c"}
    assert list(store.list("c")) == []
    listed = next(store.list("b"))
    assert listed == store.head("b/c")


def test_deleting_twice_is_no_error(store: ArtifactStore):
    for key in ("a/b", "a/c", "d"):
        store.put(key, [b"x"])
    store.delete(["a/b", "d", "never"])
    store.delete(["a/b"])
    store.delete([])
    assert [each.key for each in store.list()] == ["a/c"]
    store.put("a/b", [b"again"])
    assert store.read("a/b", 0, 9) == b"again"


def test_many_threads_put_and_delete_under_one_prefix(store: ArtifactStore):
    def come_and_go(n: int) -> bytes:
        key = f"p/q/{n}"
        for _ in range(5):
            store.put(key, [b"%d" % n])
            store.delete([key])
        store.put(key, [b"%d" % n])
        return store.read(key, 0, 9)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(come_and_go, range(8))) == [b"%d" % n for n in range(8)]


def test_ping(store: ArtifactStore):
    store.ping()


def test_a_signed_url_names_one_object(store: ArtifactStore):
    store.put("a", [b"x"])
    assert store.sign("a", Verb.GET, 60).url.startswith("http")
    with pytest.raises(Refusal):
        store.sign("../a", Verb.GET, 60)
