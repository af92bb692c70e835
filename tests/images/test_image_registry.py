"""A base from a registry: a small server speaks the pull side of the distribution API, and breaks as real ones do."""

import gzip
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fallow.core.refusals import Code, Refusal
from fallow.protocols.oci.documents import (
    CONFIG,
    INDEX,
    LAYER_GZIP,
    MANIFEST,
    Config,
    Descriptor,
    Index,
    Manifest,
    Platform,
    RootFs,
    RunConfig,
    to_bytes,
)
from fallow.protocols.oci.platforms import host
from fallow.sdk.images import build_image, registry
from fallow.sdk.images.layers import write_layer
from fallow.sdk.images.layout import blob_path, read_image

NAME = "team/model"


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry(ThreadingHTTPServer):
    """Holds one image under NAME:1, as an index of one platform. Faults are switched on by the attributes."""

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[str] = []
        self.token_wanted = False
        self.cuts = 0  # how many blob answers are still to break off
        self.cut_at = 1000
        self.ranges = True
        self.corrupt = False
        self.token_answer = json.dumps({"token": "open-sesame"}).encode()
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        root.mkdir()
        (root / "weights.txt").write_text("".join(f"{n * n * 7919 % 1009}\n" for n in range(20_000)))
        store = root.parent / "store"
        store.mkdir()
        layer = write_layer(root, store, "base", compress=True)
        self.layer = (store / layer.digest[7:]).read_bytes()
        config = to_bytes(Config("linux", host().architecture, RootFs("layers", (layer.diff_id,)), config=RunConfig()))
        manifest = to_bytes(
            Manifest(
                Descriptor(CONFIG, digest_of(config), len(config)),
                (Descriptor(LAYER_GZIP, layer.digest, layer.size_bytes),),
                media_type=MANIFEST,
            )
        )
        entry = Descriptor(MANIFEST, digest_of(manifest), len(manifest), platform=host())
        index = to_bytes(Index((entry,), media_type=INDEX))
        self.digest = digest_of(manifest)
        self.blobs = {digest_of(config): config, layer.digest: self.layer}
        self.manifests = {"1": (INDEX, index), self.digest: (MANIFEST, manifest)}
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def reference(self) -> str:
        return f"127.0.0.1:{self.server_port}/{NAME}"


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.startswith("/token?"):
            self.answer(200, self.server.token_answer, "application/json")
        elif self.server.token_wanted and self.headers.get("Authorization") != "Bearer open-sesame":
            realm = f"http://127.0.0.1:{self.server.server_port}/token"
            challenge = f'Bearer realm="{realm}",service="here",scope="repository:{NAME}:pull"'
            self.answer(401, b"{}", "application/json", {"WWW-Authenticate": challenge})
        elif found := re.fullmatch(rf"/v2/{NAME}/manifests/(.+)", self.path):
            kind, data = self.server.manifests.get(found[1], ("application/json", b""))
            self.answer(200 if data else 404, data, kind)
        elif found := re.fullmatch(rf"/v2/{NAME}/blobs/(.+)", self.path):
            self.blob(self.server.blobs[found[1]])
        else:
            self.answer(404, b"", "text/plain")

    def blob(self, data: bytes) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and self.server.ranges else 0
        data = data[start:]
        if self.server.corrupt:
            data = bytes(len(data))
        cut = self.server.cuts > 0 and len(data) > self.server.cut_at
        self.server.cuts -= cut
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: self.server.cut_at] if cut else data)
        self.close_connection = cut

    def answer(self, code: int, data: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Silence: pytest shows what is asserted."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setattr(registry, "PAUSE_SECONDS", 0)
    server = Registry(tmp_path / "root")
    yield server
    server.shutdown()
    server.server_close()


def pull(server: Registry, cache: Path, tag: str = ":1", platform: Platform | None = None):
    return registry.pull(server.reference + tag, platform or host(), cache, lambda _: None)


def blobs_asked(server: Registry) -> int:
    return sum("/blobs/" in path for path in server.asked)


def test_an_image_is_pulled_whole(server, tmp_path):
    image = pull(server, tmp_path / "cache")
    assert image.digest == server.digest
    layer = blob_path(image.blobs, image.manifest.layers[0].digest).read_bytes()
    assert gzip.decompress(layer) == gzip.decompress(server.layer)
    assert image.config.platform == host()


def test_a_second_pull_fetches_no_blob(server, tmp_path):
    pull(server, tmp_path / "cache")
    asked = blobs_asked(server)
    pull(server, tmp_path / "cache")
    assert blobs_asked(server) == asked == 2


def test_an_image_named_by_digest_needs_no_registry_the_second_time(server, tmp_path):
    pull(server, tmp_path / "cache", f"@{server.digest}")
    server.asked.clear()
    assert pull(server, tmp_path / "cache", f"@{server.digest}").digest == server.digest
    assert server.asked == []


def test_an_anonymous_token_is_fetched_where_one_is_wanted(server, tmp_path):
    server.token_wanted = True
    assert pull(server, tmp_path / "cache").digest == server.digest
    tokens = [path for path in server.asked if path.startswith("/token")]
    assert tokens == ["/token?scope=repository%3Ateam%2Fmodel%3Apull&service=here"]


@pytest.mark.parametrize("answer", [b"", b"[]", b"<html>", b'{"token": 7}', b'{"token": "wrong"}'])
def test_a_registry_that_gives_no_good_token_is_a_refusal(server, tmp_path, answer):
    server.token_wanted, server.token_answer = True, answer
    with pytest.raises(Refusal) as refused:
        pull(server, tmp_path / "cache")
    assert refused.value.code is Code.IMAGE_UNKNOWN
    assert "HTTP 401" in refused.value.message


def test_a_blob_longer_than_said_is_refused(server, tmp_path):
    digest = digest_of(server.layer)
    server.blobs[digest] = server.layer + bytes(1000)
    with pytest.raises(Refusal) as refused:
        pull(server, tmp_path / "cache")
    assert refused.value.code is Code.FETCH_FAILED


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_connection_goes_on_where_it_was(server, tmp_path, ranges):
    server.ranges, server.cuts, server.cut_at = ranges, 3, len(server.layer) // 3
    image = pull(server, tmp_path / "cache")
    assert blob_path(image.blobs, image.manifest.layers[0].digest).read_bytes() == server.layer


def test_a_pull_that_gave_up_goes_on_the_next_time(server, tmp_path):
    server.cuts, server.cut_at = 100, 0
    with pytest.raises(Refusal) as refused:
        pull(server, tmp_path / "cache")
    assert refused.value.code is Code.FETCH_FAILED
    server.cuts = 0
    assert pull(server, tmp_path / "cache").digest == server.digest


def test_other_bytes_than_the_digest_are_refused_and_not_kept(server, tmp_path):
    server.corrupt = True
    with pytest.raises(Refusal) as refused:
        pull(server, tmp_path / "cache")
    assert refused.value.code is Code.FETCH_FAILED
    server.corrupt = False
    assert pull(server, tmp_path / "cache").digest == server.digest


def test_an_unknown_tag_and_an_unknown_host_are_refusals(server, tmp_path):
    with pytest.raises(Refusal) as refused:
        pull(server, tmp_path / "cache", ":gone")
    assert refused.value.code is Code.IMAGE_UNKNOWN
    with pytest.raises(Refusal) as refused:
        registry.pull("127.0.0.1:1/model:1", host(), tmp_path / "cache", lambda _: None)
    assert refused.value.code is Code.FETCH_FAILED
    assert "127.0.0.1:1" in refused.value.message


def test_another_platform_is_refused(server, tmp_path):
    with pytest.raises(Refusal) as refused:
        pull(server, tmp_path / "cache", platform=Platform("linux", "riscv64"))
    assert refused.value.code is Code.IMAGE_PLATFORM


def test_an_image_is_built_upon_it(server, tmp_path, spec_file):
    spec = spec_file('name = "m"\nbase = "set by the caller"\n[[copy]]\nfrom = "spec.toml"\nto = "/app/"\n')
    built = build_image(
        spec, tmp_path / "out", base=server.reference + ":1", progress=lambda _: None, cache=tmp_path / "cache"
    )
    image = read_image(tmp_path / "out", host())
    assert image.digest == built.digest
    assert blob_path(image.blobs, image.manifest.layers[0].digest).read_bytes() == server.layer
    assert len(image.manifest.layers) == 2
