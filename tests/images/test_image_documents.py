"""The OCI translators: documents as registries send them, and what is refused."""

import json

import pytest

from fallow.core.refusals import Code, Refusal
from fallow.protocols.oci.documents import (
    MANIFEST,
    Config,
    Manifest,
    Platform,
    RootFs,
    parse_config,
    parse_index,
    parse_manifest,
    to_bytes,
)
from fallow.protocols.oci.platforms import fits, platform_of, select
from fallow.protocols.oci.reference import parse_reference

A, B, C = ("sha256:" + letter * 64 for letter in "abc")

# As Docker Hub answers for an official image, shortened: two platforms, and a build attestation for each.
HUB_INDEX = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": MANIFEST,
                "digest": A,
                "size": 1,
                "annotations": {"org.opencontainers.image.version": "3.12-slim"},
                "platform": {"architecture": "amd64", "os": "linux"},
            },
            {
                "mediaType": MANIFEST,
                "digest": C,
                "size": 1,
                "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
                "platform": {"architecture": "unknown", "os": "unknown"},
            },
            {
                "mediaType": MANIFEST,
                "digest": B,
                "size": 1,
                "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"},
            },
        ],
    }
).encode()


def manifest(**changes: object) -> bytes:
    """Docker's schema 2, as older registries send it."""
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 7, "digest": A},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 9, "digest": B}],
    }
    return json.dumps(document | changes).encode()


def test_select_finds_this_machines_image():
    index = parse_index(HUB_INDEX)
    assert select(index, Platform("linux", "amd64")).digest == A
    assert select(index, Platform("linux", "arm64")).digest == B
    assert select(index, Platform("linux", "arm64", "v8")).digest == B


def test_an_image_without_the_platform_says_which_it_has():
    with pytest.raises(Refusal) as refused:
        select(parse_index(HUB_INDEX), Platform("linux", "riscv64"))
    assert refused.value.code is Code.IMAGE_PLATFORM
    assert "it is for linux/amd64, linux/arm64/v8." in refused.value.message


def test_a_lone_manifest_without_a_platform_is_taken():
    index = json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": A, "size": 1}]})
    assert select(parse_index(index.encode()), Platform("linux", "amd64")).digest == A


@pytest.mark.parametrize(
    ("have", "want", "fit"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/amd64", "linux/arm64", False),
        ("windows/amd64", "linux/amd64", False),
    ],
)
def test_fits(have, want, fit):
    assert fits(platform_of(have), platform_of(want)) is fit


def test_a_manifest_of_dockers_kind_is_read():
    read = parse_manifest(manifest())
    assert read.config.digest == A
    assert [layer.size for layer in read.layers] == [9]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        manifest(config=7),
        manifest(config={"mediaType": "x", "size": 1, "digest": "sha256:../../etc/passwd"}),
        manifest(config={"mediaType": "x", "size": 1, "digest": "md5:00"}),
        manifest(layers=[{"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "size": 9, "digest": B}]),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(data):
    with pytest.raises(Refusal) as refused:
        parse_manifest(data)
    assert refused.value.code is Code.IMAGE_INVALID


def test_documents_round_trip_to_the_same_bytes():
    config = Config("linux", "amd64", RootFs("layers", (A,)))
    data = to_bytes(config)
    assert parse_config(data) == config
    assert to_bytes(parse_config(data)) == data
    parsed = parse_manifest(manifest())
    assert isinstance(parsed, Manifest)
    assert json.loads(to_bytes(parsed)) == json.loads(manifest())


@pytest.mark.parametrize(
    ("text", "host", "name", "wanted"),
    [
        ("python", "registry-1.docker.io", "library/python", "latest"),
        ("python:3.12-slim", "registry-1.docker.io", "library/python", "3.12-slim"),
        ("docker.io/python", "registry-1.docker.io", "library/python", "latest"),
        ("me/model:1", "registry-1.docker.io", "me/model", "1"),
        ("ghcr.io/me/model", "ghcr.io", "me/model", "latest"),
        ("127.0.0.1:5000/model:1", "127.0.0.1:5000", "model", "1"),
        ("localhost/model", "localhost", "model", "latest"),
        (f"ghcr.io/me/model:1@{A}", "ghcr.io", "me/model", A),
    ],
)
def test_references(text, host, name, wanted):
    reference = parse_reference(text)
    assert (reference.host, reference.name, reference.wanted) == (host, name, wanted)
    assert reference.is_local is host.startswith(("127.", "localhost"))


@pytest.mark.parametrize("text", ["", "UPPER", "a b", "a@sha256:00", "ghcr.io/../x", "a:b:c", "-a"])
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(Refusal) as refused:
        parse_reference(text)
    assert refused.value.code is Code.IMAGE_INVALID
