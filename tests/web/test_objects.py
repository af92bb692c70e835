"""Signed URLs and uploads: ranges, pieces, cuts."""

import hashlib
import socket
import time
from urllib.parse import urlsplit

import httpx2
import pytest

from fallow.artifacts.port import Verb
from fallow.artifacts.signing import Grant
from fallow.core.words import Micros

BIG = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture
def signed(house):
    def url(verb: Verb, key: str, seconds: float = 60, **more) -> str:
        places = house.server.system.places
        expires = Micros(places.clock.now() + int(seconds * 1e6))
        return places.signer.url(Grant(verb, key, expires, **more))

    return url


def test_put_then_get_and_ranges(signed):
    put = httpx2.put(signed(Verb.PUT, "tests/one"), content=b"hello world")
    assert put.status_code == 201
    assert put.json() == {"size_bytes": 11, "sha256": hashlib.sha256(b"hello world").hexdigest()}
    url = signed(Verb.GET, "tests/one")
    assert httpx2.get(url).content == b"hello world"
    part = httpx2.get(url, headers={"range": "bytes=6-"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"world", "bytes 6-10/11")
    assert httpx2.head(url).headers["content-length"] == "11"
    extent = signed(Verb.GET, "tests/one", offset=2, length=3)
    assert httpx2.get(extent).content == b"llo"


def test_a_url_opens_one_verb_of_one_object_for_a_while(signed):
    url = signed(Verb.GET, "tests/one")
    assert httpx2.put(url, content=b"x").json()["error"]["code"] == "url_invalid"
    assert httpx2.get(url[:-1] + ("A" if url[-1] != "A" else "B")).json()["error"]["code"] == "url_invalid"
    assert httpx2.get(signed(Verb.GET, "tests/one", seconds=-1)).json()["error"]["code"] == "url_expired"
    assert httpx2.get(signed(Verb.GET, "tests/none")).status_code == 404
    small = signed(Verb.PUT, "tests/small", size_bytes_max=3)
    assert httpx2.put(small, content=b"four").json()["error"]["code"] == "too_large"


def test_a_prefix_takes_names_below_it(signed):
    prefix = signed(Verb.PUT, "tests/out", prefix=True)
    assert httpx2.post(f"{prefix}/a.txt", content=b"A").status_code == 201
    assert httpx2.get(f"{prefix}/a.txt").content == b"A"
    assert httpx2.put(f"{prefix}/..%2fa", content=b"A").status_code in (403, 404)
    assert httpx2.put(prefix, content=b"A").status_code == 403


def test_pieces_and_a_wrong_offset(signed):
    url = signed(Verb.PUT, "tests/pieces")
    first = httpx2.put(url, content=b"abc", headers={"content-range": "bytes 0-2/6"})
    assert (first.status_code, first.headers["upload-offset"]) == (202, "3")
    assert httpx2.head(url).headers["upload-offset"] == "3"
    wrong = httpx2.put(url, content=b"f", headers={"content-range": "bytes 5-5/6"})
    assert (wrong.status_code, wrong.headers["upload-offset"]) == (409, "3")
    assert wrong.json()["error"]["details"]["offset"] == 3
    assert httpx2.put(url, content=b"def", headers={"content-range": "bytes 3-5/6"}).status_code == 201
    assert httpx2.get(signed(Verb.GET, "tests/pieces")).content == b"abcdef"


def test_a_cut_upload_goes_on_where_it_stopped(signed):
    url = signed(Verb.PUT, "tests/cut")
    parts = urlsplit(url)
    half = len(BIG) // 2
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        head = f"PUT {parts.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BIG)}\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(BIG[:half])
    offset = _until_stable(url)
    assert 0 < offset <= half
    rest = {"content-range": f"bytes {offset}-{len(BIG) - 1}/{len(BIG)}"}
    done = httpx2.put(url, content=BIG[offset:], headers=rest)
    assert (done.status_code, done.json()["sha256"]) == (201, hashlib.sha256(BIG).hexdigest())


def _until_stable(url: str) -> int:
    """The offset once the server has let go of the broken connection's part."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        offset = int(httpx2.head(url).headers["upload-offset"])
        probe = httpx2.put(url, content=b"", headers={"content-range": f"bytes */{len(BIG)}"})
        if offset and probe.status_code == 202 and int(probe.headers["upload-offset"]) == offset:
            return offset
        time.sleep(0.02)
    raise AssertionError("the server never let go of the cut upload")


def test_an_input_is_uploaded_whole_or_in_pieces(admin):
    digest = hashlib.sha256(BIG).hexdigest()
    whole = admin.put("/api/inputs/whole.jsonl", content=BIG)
    assert whole.status_code == 201
    assert whole.json() == {"uri": f"fallow:blobs/{digest}", "sha256": digest, "size_bytes": len(BIG)}
    cut = 1_000_000
    first = admin.put(
        "/api/inputs/part.jsonl", content=BIG[:cut], headers={"content-range": f"bytes 0-{cut - 1}/{len(BIG)}"}
    )
    assert first.status_code == 202
    assert admin.head("/api/inputs/part.jsonl").headers["upload-offset"] == str(cut)
    rest = {"content-range": f"bytes {cut}-{len(BIG) - 1}/{len(BIG)}"}
    assert admin.put("/api/inputs/part.jsonl", content=BIG[cut:], headers=rest).json() == whole.json()
    assert admin.head("/api/inputs/part.jsonl").headers["upload-offset"] == "0"
    empty = admin.put("/api/inputs/empty.jsonl", content=b"")
    assert (empty.status_code, empty.json()["size_bytes"]) == (201, 0)
    for name in ("..", ".hidden", "a%2Fb", "a%00b"):
        assert admin.put(f"/api/inputs/{name}", content=b"x").status_code in (400, 404), name


def test_an_uploaded_input_can_be_submitted(admin):
    uri = admin.put("/api/inputs/three.jsonl", content=b"1\n2\n3\n").json()["uri"]
    job = {"input_uri": uri, "input_format": "jsonl", "command": ["cat"], "worker_label": "cloud"}
    made = admin.post("/api/jobs", json=job)
    assert made.status_code == 201, made.text
    admin.post(f"/api/jobs/{made.json()['job_id']}/cancel")
    theirs = admin.post("/api/jobs", json=job | {"input_uri": "fallow:jobs/x/attempts/1/artifact"})
    assert theirs.json()["error"]["code"] == "input_not_allowed"
