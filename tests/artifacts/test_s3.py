"""What only the S3 store promises, on a real server."""

import secrets
from dataclasses import replace

import httpx2
import pytest

from fallow.artifacts.bucket import FETCH_BYTES, S3Access, access_from, place_of
from fallow.artifacts.port import Verb
from fallow.artifacts.s3 import S3Store, open_s3
from fallow.core.refusals import Code, Refusal
from tests.servers.radosgw import S3Server
from tests.servers.shared import free_ports

pytestmark = pytest.mark.s3


def test_a_presigned_url_gets_and_puts_one_object(s3: S3Store):
    url = s3.sign("a/b", Verb.PUT, 60).url
    assert httpx2.put(url, content=b"0123456789").status_code == 200
    assert s3.read("a/b", 0, 99) == b"0123456789"
    signed = s3.sign("a/b", Verb.GET, 60, offset=2, length=5)
    assert (signed.offset, signed.length) == (2, 5)
    assert httpx2.get(signed.url, headers={"Range": "bytes=2-6"}).content == b"23456"
    assert s3.sign("a/b", Verb.GET, 60, offset=4).length == 6


def test_a_presigned_url_opens_nothing_else(s3: S3Store):
    s3.put("a", [b"x"])
    s3.put("b", [b"y"])
    url = s3.sign("a", Verb.GET, 60).url
    assert httpx2.get(url.replace("/a?", "/b?")).status_code == 403
    assert httpx2.put(url, content=b"z").status_code == 403
    assert httpx2.get(url.replace("X-Amz-Expires=60", "X-Amz-Expires=61")).status_code == 403


def test_an_object_that_is_replaced_under_a_reader_is_noticed(s3: S3Store):
    s3.put("a", [bytes(2 * FETCH_BYTES)])
    pieces = s3.get("a")
    next(pieces)
    s3.put("a", [b"\x01" * 2 * FETCH_BYTES])
    with pytest.raises(Refusal) as refused:
        next(pieces)
    assert refused.value.code is Code.INPUT_CHANGED


def test_wrong_credentials_are_named(s3_server: S3Server):
    store = S3Store(s3_server.bucket, "x", replace(access_from(s3_server.environment()), secret_access_key="wrong"))
    for asked in (store.ping, lambda: store.head("a"), lambda: store.get("a"), lambda: list(store.list())):
        with pytest.raises(Refusal, match="credentials") as refused:
            asked()
        assert refused.value.code is Code.STORAGE_UNREACHABLE
        assert "wrong" not in str(refused.value)


def test_a_missing_bucket_is_named(s3_server: S3Server):
    store = S3Store("no-such-bucket", "", access_from(s3_server.environment()))
    for asked in (store.ping, lambda: list(store.list()), lambda: store.put("a", [bytes(9 << 20)])):
        with pytest.raises(Refusal, match="no such bucket") as refused:
            asked()
        assert refused.value.code is Code.STORAGE_UNREACHABLE


def test_a_server_that_is_down_is_unreachable():
    [port] = free_ports(1)
    store = S3Store("b", "", S3Access(f"http://127.0.0.1:{port}", "a", "b"))
    with pytest.raises(Refusal) as refused:
        store.head("a")
    assert refused.value.code is Code.STORAGE_UNREACHABLE
    assert "\n" not in str(refused.value)


def test_two_prefixes_are_two_stores(s3_server: S3Server):
    one, two = (open_s3(s3_server.uri(secrets.token_hex(8)), s3_server.environment()) for _ in range(2))
    one.put("a", [b"x"])
    assert two.head("a") is None
    assert [each.key for each in one.list()] == ["a"]
    assert list(two.list()) == []


@pytest.mark.parametrize(
    "uri",
    [
        "s3://",
        "s3:///x",
        "file:///x",
        "s3://u:p@b/x",
        "s3://b/x?endpiont=y",
        "s3://b/../x",
        "s3://b/a//b",
        "s3://b/x#y",
    ],
)
def test_a_wrong_uri_is_refused(uri: str):
    with pytest.raises(Refusal) as refused:
        open_s3(uri, {})
    assert refused.value.code is Code.SETTING_INVALID


def test_the_parts_of_a_uri():
    place = place_of("s3://b/in%20put/x?endpoint=http://h:1&region=eu")
    assert (place.bucket, place.path, place.endpoint, place.region) == ("b", "in put/x", "http://h:1", "eu")


def test_a_secret_is_not_shown():
    assert "hidden" not in repr(S3Access(secret_access_key="hidden", session_token="hidden"))
