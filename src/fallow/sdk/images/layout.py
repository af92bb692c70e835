"""The OCI image layout on disk: blobs under their digests, and index.json that says which of them is the image.

Source: OCI image-spec 1.1, image-layout.md. `podman pull oci:DIR` and `skopeo copy oci:DIR` read it.
"""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from fallow.core.refusals import Code, Refusal
from fallow.protocols.oci.documents import (
    CONFIG,
    INDEXES,
    LAYOUT_VERSION,
    MANIFEST,
    REF_NAME,
    Config,
    Descriptor,
    Index,
    Manifest,
    Platform,
    media_type_of,
    parse_config,
    parse_index,
    parse_manifest,
    to_bytes,
)
from fallow.protocols.oci.platforms import fits, select


@dataclass(frozen=True, slots=True)
class Image:
    """An image whose blobs are at hand. digest: the manifest's. blobs: the folder that holds them by hex digest."""

    digest: str
    manifest: Manifest
    config: Config
    blobs: Path

    @property
    def size_bytes(self) -> int:
        return self.manifest.config.size + sum(layer.size for layer in self.manifest.layers)


def blob_path(blobs: Path, digest: str) -> Path:
    return blobs / digest.removeprefix("sha256:")


def put(blobs: Path, data: bytes) -> str:
    """Writes a small blob; returns its digest."""
    digest = hashlib.sha256(data).hexdigest()
    partial = blobs / f".{digest}.part"
    partial.write_bytes(data)
    partial.replace(blobs / digest)
    return f"sha256:{digest}"


def add_blob(blobs: Path, digest: str, source: Path) -> None:
    """Puts a file under its digest, without a copy where the file system can share it."""
    target = blob_path(blobs, digest)
    if target.exists():
        return
    partial = blobs / f".{target.name}.part"
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
    partial.replace(target)


def write_image(layout: Path, config: Config, layers: tuple[Descriptor, ...], name: str) -> Image:
    """Writes config, manifest and, last, index.json; drops the blobs of what was there before."""
    blobs = layout / "blobs" / "sha256"
    config_bytes = to_bytes(config)
    config_at = Descriptor(CONFIG, put(blobs, config_bytes), len(config_bytes))
    manifest = Manifest(config_at, layers, media_type=MANIFEST)
    manifest_bytes = to_bytes(manifest)
    digest = put(blobs, manifest_bytes)
    entry = Descriptor(MANIFEST, digest, len(manifest_bytes), {REF_NAME: name}, config.platform)
    _replace(layout / "oci-layout", LAYOUT_VERSION)
    _replace(layout / "index.json", to_bytes(Index((entry,))))
    keep = {d.digest.removeprefix("sha256:") for d in (entry, config_at, *layers)}
    for blob in blobs.iterdir():
        if blob.name not in keep:
            blob.unlink()
    return Image(digest, manifest, config, blobs)


def read_image(layout: Path, platform: Platform, reference: str = "") -> Image:
    """The layout's image for this platform, with every blob there and of the right size.

    reference: the name in index.json, for a layout that holds several images.
    Raises Refusal IMAGE_UNKNOWN, IMAGE_INVALID or IMAGE_PLATFORM.
    """
    try:
        index = parse_index((layout / "index.json").read_bytes())
    except OSError:
        raise Refusal(
            Code.IMAGE_UNKNOWN,
            f"There is no OCI image layout at {layout}.",
            "Give a folder that holds index.json and blobs/.",
        ) from None
    if reference:
        named = tuple(d for d in index.manifests if d.annotations.get(REF_NAME) == reference)
        if not named:
            raise Refusal(Code.IMAGE_UNKNOWN, f"{layout} holds no image named {reference!r}.", "Check the name.")
        index = Index(named)
    blobs = layout / "blobs" / "sha256"
    while len(index.manifests) == 1 and index.manifests[0].media_type in INDEXES:
        index = parse_index(checked_blob(blobs, index.manifests[0].digest))
    digest = select(index, platform).digest
    manifest = parse_manifest(checked_blob(blobs, digest))
    config = parse_config(checked_blob(blobs, manifest.config.digest))
    check_image(manifest, config, platform)
    for layer in manifest.layers:
        at = blob_path(blobs, layer.digest)
        if not at.is_file() or at.stat().st_size != layer.size:
            raise Refusal(
                Code.IMAGE_INVALID, f"The layer {layer.digest} is missing or cut short in {layout}.", "Build it again."
            )
    return Image(digest, manifest, config, blobs)


def check_image(manifest: Manifest, config: Config, platform: Platform) -> None:
    """Raises Refusal IMAGE_PLATFORM, or IMAGE_INVALID when config and manifest do not belong together."""
    if not fits(config.platform, platform):
        raise Refusal(
            Code.IMAGE_PLATFORM,
            f"The image is for {config.platform}, not for {platform}.",
            f"Build it for {platform}.",
        )
    if len(config.rootfs.diff_ids) != len(manifest.layers):
        raise Refusal(Code.IMAGE_INVALID, "The image's config and manifest count different layers.", "Build it again.")


def checked_blob(blobs: Path, digest: str) -> bytes:
    """A small blob whose bytes match its digest. Raises Refusal IMAGE_INVALID."""
    try:
        data = blob_path(blobs, digest).read_bytes()
    except OSError:
        data = b""
    if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
        raise Refusal(Code.IMAGE_INVALID, f"The blob {digest} is missing or damaged.", "Build the image again.")
    return data


def is_index(data: bytes, content_type: str) -> bool:
    """Whether a registry's answer is an index; its Content-Type says so, or the document itself."""
    return content_type.partition(";")[0].strip() in INDEXES or media_type_of(data) in INDEXES


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(data)
    partial.replace(path)
