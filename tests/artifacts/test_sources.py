"""Inputs: what every kind of source does, and what each refuses."""

import io
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fallow.artifacts.bucket import Bucket, access_from
from fallow.artifacts.filesystem import FilesystemStore
from fallow.artifacts.guard import Fetcher
from fallow.artifacts.local_files import find_beneath, path_of_uri
from fallow.artifacts.locations import SourceFile
from fallow.artifacts.port import Verb
from fallow.artifacts.served import Served
from fallow.artifacts.signing import Grant
from fallow.artifacts.uris import Locations, open_source
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros
from tests.artifacts.web_server import WebServer, web_server
from tests.servers.radosgw import S3Server

DATA = bytes(range(256)) * 20_000  # 5 MB: several pieces of each kind of source


class Place(Protocol):
    """Somewhere that files can be put, and where sources find them."""

    def put(self, name: str, data: bytes) -> str:
        """Put a file there; its URI."""
        ...


class Roots:
    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, name: str, data: bytes) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path.as_uri()


class InBucket:
    def __init__(self, server: S3Server) -> None:
        self.prefix = secrets.token_hex(8)
        self.bucket = Bucket(server.bucket, self.prefix, access_from(server.environment()), refuse_s3)
        self.server = server

    def put(self, name: str, data: bytes) -> str:
        self.bucket.put(name, data)
        return f"s3://{self.server.bucket}/{self.prefix}/{name}".replace(" ", "%20")


class InStore:
    def __init__(self, store: FilesystemStore) -> None:
        self.store = store

    def put(self, name: str, data: bytes) -> str:
        self.store.put(f"uploads/{name}", [data])
        return f"fallow:uploads/{name}"


class OnWeb:
    def __init__(self, web: WebServer, ranges: bool) -> None:
        self.web = web
        self.ranges = ranges

    def put(self, name: str, data: bytes) -> str:
        self.web.file(f"/{name}", data, self.ranges)
        return f"http://127.0.0.1:{self.web.port}/{name}"


def refuse_s3(why: str) -> Refusal:
    raise AssertionError(why)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "inputs"
    root.mkdir()
    return root


@pytest.fixture
def locations(files: FilesystemStore, root: Path) -> Locations:
    return Locations(files, Fetcher(allow_private=True), [root], [root])


PLACES = ["file", "fallow", "web", "web-without-ranges", pytest.param("s3", marks=pytest.mark.s3)]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, root: Path, files: FilesystemStore) -> Place:
    makes: dict[str, Callable[[], Place]] = {
        "file": lambda: Roots(root),
        "fallow": lambda: InStore(files),
        "web": lambda: OnWeb(request.getfixturevalue("web"), ranges=True),
        "web-without-ranges": lambda: OnWeb(request.getfixturevalue("web"), ranges=False),
        "s3": lambda: InBucket(request.getfixturevalue("s3_server")),
    }
    return makes[request.param]()


@pytest.fixture
def reachable(request: pytest.FixtureRequest, place: Place, locations: Locations) -> Locations:
    if isinstance(place, InBucket):
        return Locations(locations.store, locations.fetcher, s3=access_from(place.server.environment()))
    return locations


def refusal(call: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as refused:
        call()
    return refused.value


def test_a_source_has_a_size_a_version_and_bytes(place: Place, reachable: Locations):
    source = open_source(place.put("in.jsonl", DATA), reachable)
    assert source.head().size_bytes == len(DATA)
    assert source.head().etag == source.head().etag != ""
    assert b"".join(source.stream()) == DATA
    assert b"".join(source.stream(4_500_000)) == DATA[4_500_000:]
    assert b"".join(source.stream(100, 4_400_000)) == DATA[100:4_400_100]
    assert source.read(1_000_001, 70_000) == DATA[1_000_001:1_070_001]
    assert source.read(len(DATA) - 3, 10) == DATA[-3:]
    assert source.read(len(DATA) + 3, 10) == b""


def test_a_source_may_be_empty(place: Place, reachable: Locations):
    source = open_source(place.put("empty", b""), reachable)
    assert source.head().size_bytes == 0
    assert b"".join(source.stream()) == source.read(0, 10) == b""


def test_a_worker_gets_a_url_of_the_extent_where_the_place_can_make_one(place: Place, reachable: Locations):
    signed = open_source(place.put("in.jsonl", DATA), reachable).sign(60, 10, 5)
    if isinstance(place, InBucket):
        assert signed is not None
        asked = {"Range": f"bytes={signed.offset}-{signed.offset + signed.length - 1}"}
        assert httpx2.get(signed.url, headers=asked).content == DATA[10:15]
    elif isinstance(place, InStore):
        assert signed is not None
        assert signed.url.startswith("http://door.test/bytes/")
    else:
        assert signed is None


def test_what_is_missing_is_refused(place: Place, reachable: Locations):
    source = open_source(place.put("a", b"x") + "b", reachable)
    for asked in (source.head, lambda: source.read(0, 1), lambda: next(source.stream())):
        assert refusal(asked).code is Code.INPUT_MISSING


def test_a_version_changes_with_the_bytes(root: Path, locations: Locations):
    source = open_source(Roots(root).put("a", b"first"), locations)
    first = source.head().etag
    Roots(root).put("a", b"other")
    assert source.head().etag != first


@pytest.mark.parametrize("kind", ["file", "fallow", pytest.param("s3", marks=pytest.mark.s3)])
def test_a_directory_lists_its_objects_in_one_order(
    kind: str, request: pytest.FixtureRequest, root: Path, files: FilesystemStore, locations: Locations
):
    place: Place = Roots(root) if kind == "file" else InStore(files)
    if kind == "s3":
        server = request.getfixturevalue("s3_server")
        place, locations = InBucket(server), Locations(files, locations.fetcher, s3=access_from(server.environment()))
    names = ["set/a", "set/a.b", "set/a/c", "set/a/b/d", "set/a0", "set/B"]
    names = [each for each in names if each != "set/a"] if kind == "file" else names
    for name in [*names, "settle", "other"]:
        uri = place.put(name, name.encode())
    directory = uri.removesuffix("other") + "set"
    listed = list(open_source(directory, locations).list())
    assert [each.name for each in listed] == sorted(name.removeprefix("set/") for name in names)
    for each in listed:
        assert open_source(each.uri, locations).read(0, 99) == f"set/{each.name}".encode()
        head = open_source(each.uri, locations).head()
        assert (each.size_bytes, each.etag) == (head.size_bytes, head.etag)
    assert refusal(lambda: list(open_source(directory + "-not", locations).list())).code is Code.INPUT_MISSING


def test_a_directory_is_no_file(root: Path, locations: Locations):
    Roots(root).put("set/a", b"x")
    refused = refusal(open_source((root / "set").as_uri(), locations).head)
    assert refused.code is Code.INPUT_UNREADABLE
    assert "set of objects" in refused.remedy


@pytest.mark.s3
def test_a_prefix_is_no_object(s3_server: S3Server, locations: Locations):
    uri = InBucket(s3_server).put("set/a", b"x").removesuffix("/a")
    bucket = Locations(locations.store, locations.fetcher, s3=access_from(s3_server.environment()))
    refused = refusal(open_source(uri, bucket).head)
    assert refused.code is Code.INPUT_UNREADABLE
    assert "set of objects" in refused.remedy


@pytest.mark.s3
def test_names_of_any_kind_are_found_in_a_bucket(s3_server: S3Server, locations: Locations):
    place = InBucket(s3_server)
    names = ["a b.txt", "ä/ö.txt", "50%.txt", "q?x=1#y", ".hidden", "x/.hidden/y"]
    for name in names:
        place.put(name, name.encode())
    bucket = Locations(locations.store, locations.fetcher, s3=access_from(s3_server.environment()))
    listed = list(open_source(f"s3://{s3_server.bucket}/{place.prefix}", bucket).list())
    assert {each.name for each in listed} == set(names[:4])
    for each in listed:
        assert open_source(each.uri, bucket).read(0, 99) == each.name.encode()


def test_names_of_any_kind_are_found_in_a_directory(root: Path, locations: Locations):
    names = ["a b.txt", "ä/ö.txt", "50%.txt", "q?x=1#y", "new\nline", ".hidden", ".git/config"]
    for name in names:
        Roots(root).put(name, name.encode())
    os.symlink("/etc/hostname", root / "link")
    os.symlink("/etc", root / "directory")
    os.mkfifo(root / "pipe")
    listed = list(open_source(root.as_uri(), locations).list())
    assert {each.name for each in listed} == set(names[:5])
    for each in listed:
        assert open_source(each.uri, locations).read(0, 99) == each.name.encode()


@pytest.mark.parametrize(
    "uri",
    ["file:///etc/passwd", "/etc/passwd", "file:///", "file://host/ROOT/a", "file:ROOT/../../etc/passwd", "file:a",
     "file:///ROOT/%2e%2e/%2e%2e/outside", "file:///ROOT/link", "file:///ROOT/dir/hostname", "file:///ROOT/a%00b",
     "file:///ROOT/a?b", "file:///ROOT-not/a", "FILE:///etc/passwd"],
)  # fmt: skip
def test_nothing_outside_the_roots_is_read(root: Path, locations: Locations, uri: str):
    (root.parent / "outside").write_bytes(b"x")
    os.symlink("/etc/hostname", root / "link")
    os.symlink("/etc", root / "dir")
    source = open_source(uri.replace("/ROOT", str(root)), locations)
    for asked in (
        source.head,
        lambda: source.read(0, 1),
        source.stream,
        lambda: list(source.list()),
        source.local_path,
    ):
        assert refusal(asked).code is Code.INPUT_NOT_ALLOWED


def test_a_link_that_stays_below_a_root_is_followed(root: Path, locations: Locations):
    Roots(root).put("a", b"x")
    os.symlink(root / "a", root / "link")
    source = open_source((root / "link").as_uri(), locations)
    assert source.read(0, 9) == b"x"
    assert source.local_path() == root / "a"


def test_a_link_swapped_in_after_the_check_is_not_followed(
    root: Path, locations: Locations, monkeypatch: pytest.MonkeyPatch
):
    Roots(root).put("sub/a", b"x")
    real = os.path.realpath

    def swaps(path: Path) -> str:
        found = real(path)
        if path == root / "sub/a":
            (root / "sub").rename(root / "was")
            os.symlink("/etc", root / "sub")
        return found

    monkeypatch.setattr(os.path, "realpath", swaps)
    source = open_source((root / "sub/a").as_uri(), locations)
    assert refusal(lambda: source.read(0, 1)).code in (Code.INPUT_MISSING, Code.INPUT_UNREADABLE)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(["..", ".", "a", "%2e%2e", "%2F", "//", "etc", "~"]), max_size=8).map("/".join))
def test_any_path_that_is_found_is_beneath_its_root(root: Path, tail: str):
    path = path_of_uri(f"file://{root}/{tail}")
    beneath = find_beneath(path, [root]) if path else None
    assert beneath is None or (beneath.path.is_relative_to(root) and ".." not in beneath.components)


def test_what_is_no_file_is_not_opened(root: Path, locations: Locations):
    os.mkfifo(root / "pipe")
    for name in ("pipe", "."):
        source = open_source(f"{root.as_uri()}/{name}", locations)
        assert refusal(source.head).code is Code.INPUT_UNREADABLE
    file = open_source(Roots(root).put("a", b"x"), locations)
    assert refusal(lambda: list(file.list())).code is Code.INPUT_UNREADABLE


@pytest.mark.parametrize(
    "uri",
    ["", "in.jsonl", "ftp://x/y", "data:,x", "s3://b/x", "fallow:jobs/other/output", "fallow:../x", "fallow:uploads",
     "fallow:"],
)  # fmt: skip
def test_other_uris_are_refused(locations: Locations, uri: str):
    assert refusal(lambda: open_source(uri, locations)).code in (Code.INPUT_NOT_ALLOWED, Code.BAD_REQUEST)


@pytest.mark.s3
@pytest.mark.parametrize(
    "uri", ["s3://other/x", "s3://BUCKET/x?endpoint=http://127.0.0.1:1", "s3://BUCKET/../x", "s3://a:b@BUCKET/x"]
)
def test_buckets_and_endpoints_are_those_of_the_operator(s3_server: S3Server, locations: Locations, uri: str):
    allowed = Locations(
        locations.store,
        locations.fetcher,
        s3=access_from(s3_server.environment()),
        s3_buckets=[s3_server.bucket],
    )
    refused = refusal(lambda: open_source(uri.replace("BUCKET", s3_server.bucket), allowed))
    assert refused.code is Code.INPUT_NOT_ALLOWED
    open_source(s3_server.uri("x"), allowed)


def test_a_private_address_is_refused_unless_allowed(files: FilesystemStore, web: WebServer):
    source = open_source(OnWeb(web, ranges=True).put("a", b"x"), Locations(files, Fetcher()))
    assert refusal(source.head).code is Code.ADDRESS_FORBIDDEN
    assert refusal(source.stream).code is Code.ADDRESS_FORBIDDEN
    assert web.seen == []


@pytest.mark.parametrize(
    ("status", "headers", "code"),
    [
        (404, {}, Code.INPUT_MISSING),
        (403, {}, Code.INPUT_UNREADABLE),
        (500, {}, Code.INPUT_UNREADABLE),
        (200, {"Content-Encoding": "gzip"}, Code.INPUT_UNREADABLE),
        (206, {"Content-Range": "bytes 7-8/9"}, Code.INPUT_UNREADABLE),
        (206, {}, Code.INPUT_UNREADABLE),
    ],
)
def test_a_web_server_that_answers_otherwise(
    web: WebServer, locations: Locations, status: int, headers: dict[str, str], code: Code
):
    web.answers["/a"] = lambda _: (status, headers, b"x")
    source = open_source(f"http://127.0.0.1:{web.port}/a", locations)
    assert refusal(lambda: source.read(1, 1)).code is code


def test_a_web_server_that_does_not_say_the_size_can_still_be_read(web: WebServer, locations: Locations):
    web.answers["/a"] = lambda _: (200, {"Transfer-Encoding": "chunked"}, b"xyz")
    source = open_source(f"http://127.0.0.1:{web.port}/a", locations)
    assert refusal(source.head).code is Code.INPUT_UNREADABLE
    assert b"".join(source.stream()) == b"xyz"


def test_a_source_is_a_seekable_file(root: Path, locations: Locations):
    file = io.BufferedReader(SourceFile(open_source(Roots(root).put("a", DATA), locations)))
    assert file.seek(-10, io.SEEK_END) == len(DATA) - 10
    assert file.read() == DATA[-10:]
    file.seek(5)
    assert file.read(3) == DATA[5:8]
    file.seek(0)
    assert file.read() == DATA


def test_a_grant_opens_an_input_where_it_lies(root: Path, files: FilesystemStore, locations: Locations, tmp_path: Path):
    uri = Roots(root).put("in.jsonl", b"0123456789")
    served = Served(files, tmp_path / "up", lambda asked: open_source(asked, locations))
    etag = open_source(uri, locations).head().etag
    grant = Grant(Verb.GET, "", Micros(2**60), offset=2, length=5, uri=uri, etag=etag)
    assert b"".join(served.read_range(grant, "bytes=1-2").body) == b"34"
    Roots(root).put("in.jsonl", b"0123456789")
    assert refusal(lambda: served.read_range(grant)).code is Code.INPUT_CHANGED
    (root / "in.jsonl").unlink()
    assert refusal(lambda: served.read_range(grant)).code is Code.INPUT_MISSING
