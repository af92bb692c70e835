"""The worker's calls, byte for byte."""

import hashlib
import json
import secrets

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fallow.protocols.oci.documents import Config, Descriptor, Manifest, RootFs, RunConfig, parse_config, parse_manifest
from fallow.protocols.oci.documents import to_bytes as oci_bytes
from fallow.protocols.rest import work as wire
from fallow.web.shelf import Layout

CAPABILITY = wire.CapabilityMessage("linux/amd64", 2.0, 1 << 30, 1 << 30, 1, ("process",), ("stream",))


@pytest.fixture
def worker(house):
    with house.client(house.key("work", account="owner")) as client:
        yield client


def hello(client: httpx2.Client, **more: object) -> httpx2.Response:
    key = Ed25519PrivateKey.generate()
    session = secrets.token_hex(8)
    message = wire.Hello(
        public_key=key.public_key().public_bytes_raw(),
        session=session,
        name="w",
        capability=CAPABILITY,
        time=1,
        signature=key.sign(b"fallow-hello:" + session.encode()),
    )
    fields = msgspec.to_builtins(message) | {"unknown": "member"} | more
    return client.post("/api/work/hello", content=json.dumps(fields))


def test_hello_and_an_ask_that_finds_nothing(worker):
    answer = hello(worker, label="edge")
    assert answer.status_code == 200, answer.text
    welcome = msgspec.json.decode(answer.content, type=wire.Welcome)
    assert welcome.worker_id.startswith("w-")
    assert "clock" in welcome.message
    session = json.loads(answer.request.content)["session"]
    ask = wire.Ask(welcome.worker_id, session, holding=(wire.Holding(999_999),))
    said = msgspec.json.decode(worker.post("/api/work", content=msgspec.json.encode(ask)).content, type=wire.Answer)
    assert said.leases == ()
    assert said.stop == (999_999,)


def test_a_report_of_an_attempt_that_is_not_held_is_refused_alone(worker):
    answer = hello(worker)
    worker_id, session = answer.json()["worker_id"], json.loads(answer.request.content)["session"]
    failure = wire.Failure("worker", "disk_full", "NUL \0 inside", log_tail="\0\0")
    ask = wire.Ask(worker_id, session, reports=(wire.Report(1, failure=failure), wire.Report(2**53, b"{}")))
    said = worker.post("/api/work", content=msgspec.json.encode(ask))
    assert said.status_code == 200, said.text
    acks = msgspec.json.decode(said.content, type=wire.Answer).acks
    assert [(each.verdict, each.code) for each in acks] == [("refused", "attempt_not_held")] * 2


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"protocol": 99}, "bad_request"),
        ({"label": "moon"}, "bad_request"),
        ({"signature": "AAAA"}, "bad_request"),
        ({"public_key": "AAAA"}, "bad_request"),
        ({"time": 10**30}, "bad_request"),
        ({"session": ""}, "bad_request"),
    ],
)
def test_a_hello_that_cannot_be_taken(worker, fields, code):
    answer = hello(worker, **fields)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_a_worker_that_is_not_known_is_told_to_say_hello(worker):
    ask = wire.Ask("w-0000000000000000", "s")
    answer = worker.post("/api/work", content=msgspec.json.encode(ask))
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "worker_unknown")


@pytest.mark.parametrize("number", [2**63, -(2**63), 10**40])
@pytest.mark.parametrize("member", ["holding", "reports"])
def test_numbers_that_no_column_holds(worker, member, number):
    body = {"worker_id": "w", "session": "s", member: [{"attempt_id": number}]}
    answer = worker.post("/api/work", content=json.dumps(body))
    assert answer.status_code == 400


def test_the_parts_of_an_image_that_is_kept(house, worker, tmp_path):
    layer, config = b"layer" * 100, oci_bytes(Config("linux", "amd64", RootFs("layers", ()), config=RunConfig()))
    parts = {hashlib.sha256(each).hexdigest(): each for each in (layer, config)}
    layer_id, config_id = parts
    manifest = oci_bytes(
        Manifest(
            Descriptor("application/vnd.oci.image.config.v1+json", f"sha256:{config_id}", len(config)),
            (Descriptor("application/vnd.oci.image.layer.v1.tar", f"sha256:{layer_id}", len(layer)),),
        )
    )
    digest = hashlib.sha256(manifest).hexdigest()
    for name, data in (parts | {digest: manifest}).items():
        (tmp_path / name).write_bytes(data)
    layout = Layout(f"sha256:{digest}", parse_manifest(manifest), parse_config(config), tmp_path)
    image = house.server.system.door.shelf.keep("oci:here", layout)
    assert (image.digest, image.image_id, image.source) == (f"sha256:{digest}", f"sha256:{config_id}", "layout")
    answer = worker.get(f"/api/work/images/{image.digest}")
    blobs = msgspec.json.decode(answer.content, type=wire.ImageBlobs)
    assert blobs.manifest == manifest
    fetched = [httpx2.get(blob.url).content for blob in blobs.blobs]
    assert fetched == [config, layer]
    for other in (f"sha256:{layer_id}", "sha256:" + "0" * 64, "sha256:x", "md5:1"):
        assert worker.get(f"/api/work/images/{other}").status_code == 404, other
