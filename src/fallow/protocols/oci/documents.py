"""The three JSON documents of an OCI image, bytes to values and back: index, manifest, config.

Source: OCI image-spec 1.1 (image-index.md, manifest.md, config.md, descriptor.md, image-layout.md), and Docker's image
manifest version 2, schema 2, which registries still answer with and which has the same members.
No I/O: a digest is compared by whoever fetched the bytes.
"""

import re
from typing import TypeVar

import msgspec

from fallow.core.refusals import Code, Refusal

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = LAYER_TAR + "+gzip"
LAYER_ZSTD = LAYER_TAR + "+zstd"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"

INDEXES = frozenset({INDEX, DOCKER_INDEX})
MANIFESTS = frozenset({MANIFEST, DOCKER_MANIFEST})
# Docker 20.10 cannot read zstd layers, and podman 4.3 unpacks them with a root directory that only root may enter.
LAYERS = frozenset({LAYER_TAR, LAYER_GZIP, DOCKER_LAYER_GZIP})

REF_NAME = "org.opencontainers.image.ref.name"
LAYOUT_VERSION = b'{"imageLayoutVersion":"1.0.0"}'
T = TypeVar("T")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Names bytes. digest: "sha256:" and 64 hex digits, checked by the parsers. size: bytes."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = {}
    platform: Platform | None = None


class Index(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    manifests: tuple[Descriptor, ...]
    schema_version: int = msgspec.field(default=2)
    media_type: str = ""
    annotations: dict[str, str] = {}


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """config's digest is the image id that engines show."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    schema_version: int = 2
    media_type: str = ""
    annotations: dict[str, str] = {}


class RunConfig(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """How the image is run. env: "NAME=value" strings."""

    user: str = ""
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None


class RootFs(msgspec.Struct, frozen=True):
    """diff_ids: the digests of the layers before compression, lowest first."""

    type: str
    diff_ids: tuple[str, ...]


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    created_by: str = ""
    created: str = ""
    comment: str = ""
    empty_layer: bool = False


class Config(msgspec.Struct, frozen=True, omit_defaults=True):
    os: str
    architecture: str
    rootfs: RootFs
    variant: str = ""
    config: RunConfig | None = None
    history: tuple[History, ...] | None = None

    @property
    def platform(self) -> Platform:
        return Platform(self.os, self.architecture, self.variant)

    @property
    def run(self) -> RunConfig:
        return self.config or RunConfig()


def parse_index(data: bytes) -> Index:
    """Raises Refusal IMAGE_INVALID."""
    index = _decode(data, Index, "index")
    _check_digests(index.manifests)
    return index


def parse_manifest(data: bytes) -> Manifest:
    """Raises Refusal IMAGE_INVALID; also for a layer that not every engine can unpack."""
    manifest = _decode(data, Manifest, "manifest")
    _check_digests((manifest.config, *manifest.layers))
    for layer in manifest.layers:
        if layer.media_type not in LAYERS:
            raise Refusal(
                Code.IMAGE_INVALID,
                f"The image has a layer of the type {layer.media_type}, which not every engine can unpack.",
                "Build it with gzip layers or plain tar layers.",
            )
    return manifest


def parse_config(data: bytes) -> Config:
    """Raises Refusal IMAGE_INVALID."""
    return _decode(data, Config, "config")


def media_type_of(data: bytes) -> str:
    """What a manifest or index says it is; "" for one that says nothing. Raises Refusal IMAGE_INVALID."""
    return _decode(data, _Typed, "manifest").media_type


def to_bytes(document: Index | Manifest | Config) -> bytes:
    """The same value is always the same bytes, so that it has one digest."""
    schema = (
        {} if isinstance(document, Config) else {"schemaVersion": 2}
    )  # omitted by omit_defaults, required by the spec
    return msgspec.json.encode(schema | msgspec.to_builtins(document), order="sorted")


class _Typed(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str = ""


def _decode(data: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as problem:
        raise Refusal(Code.IMAGE_INVALID, f"The image's {what} cannot be read: {problem}.", "Build it again.") from None


def _check_digests(descriptors: tuple[Descriptor, ...]) -> None:
    for descriptor in descriptors:
        if not _DIGEST.fullmatch(descriptor.digest):
            raise Refusal(
                Code.IMAGE_INVALID,
                f"The image names a part by {descriptor.digest!r}, which is not a SHA-256 digest.",
                "Build it again with SHA-256 digests.",
            )
