"""The shelf: images whose parts fallow keeps itself, so that a worker needs no registry."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fallow.artifacts.port import READ_BYTES, ArtifactStore, Verb, blob_key
from fallow.control.callers import Caller
from fallow.control.places import Places
from fallow.core.job import Image
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Scope
from fallow.protocols.oci.documents import MANIFEST, Config, Descriptor, Manifest, parse_manifest

_MANIFEST_BYTES_MAX: Final = 4 * 1024 * 1024  # distribution-spec 1.1, "Pushing Manifests"


@dataclass(frozen=True, slots=True)
class Part:
    """One blob. digest: "sha256:..."."""

    digest: str
    size_bytes: int
    url: str


@dataclass(frozen=True, slots=True)
class Parts:
    """manifest: its own bytes. blobs: the config and the layers."""

    digest: str
    manifest: bytes
    media_type: str
    blobs: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """An image at hand. digest: the manifest's. blobs: a folder with every blob under its hexadecimal digest."""

    digest: str
    manifest: Manifest
    config: Config
    blobs: Path


class Shelf:
    """Keeps images under the digests of their parts; the same layer twice is kept once."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def keep(self, reference: str, layout: Layout) -> Image:
        """Copies what is not there yet. Raises Refusal IMAGE_INVALID for a blob that is not what its digest says."""
        for descriptor in (layout.manifest.config, *layout.manifest.layers):
            _keep_blob(self._places.artifacts, layout.blobs, descriptor.digest, descriptor.size)
        _keep_blob(self._places.artifacts, layout.blobs, layout.digest, None)
        return Image(
            reference=reference,
            digest=layout.digest,
            image_id=layout.manifest.config.digest,
            source="layout",
            platforms=(str(layout.config.platform),),
            labels=dict(layout.config.run.labels or {}),
        )

    def parts(self, caller: Caller, digest: str) -> Parts:
        """Where a worker gets the image with this manifest. Raises Refusal NOT_FOUND."""
        caller.needs(Scope.WORK)
        manifest = self._manifest(digest)
        parsed = parse_manifest(manifest)
        blobs = tuple(self._part(each) for each in (parsed.config, *parsed.layers))
        return Parts(digest, manifest, parsed.media_type or MANIFEST, blobs)

    def _manifest(self, digest: str) -> bytes:
        key = blob_key(_hexadecimal(digest))
        head = self._places.artifacts.head(key)
        if head is not None and head.size_bytes <= _MANIFEST_BYTES_MAX:
            data = self._places.artifacts.read(key, 0, head.size_bytes)
            if _is_manifest(data):
                return data
        raise _no_such_image(digest)

    def _part(self, descriptor: Descriptor) -> Part:
        key = blob_key(_hexadecimal(descriptor.digest))
        signed = self._places.artifacts.sign(key, Verb.GET, self._places.url_seconds)
        return Part(descriptor.digest, descriptor.size, signed.url)


def _keep_blob(artifacts: ArtifactStore, blobs: Path, digest: str, size_bytes: int | None) -> None:
    sha256 = _hexadecimal(digest)
    head = artifacts.head(blob_key(sha256))
    if head is not None and size_bytes in (None, head.size_bytes):
        return
    try:
        artifacts.put_blob(_pieces(blobs / sha256), sha256)
    except Refusal as refusal:
        if refusal.code is not Code.DIGEST_MISMATCH:
            raise
        raise _damaged(digest) from None
    except OSError:
        raise _damaged(digest) from None


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            yield piece


def _hexadecimal(digest: str) -> str:
    algorithm, _, sha256 = digest.partition(":")
    if algorithm != "sha256" or len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise _no_such_image(digest)
    return sha256


def _is_manifest(data: bytes) -> bool:
    """Whether these bytes are an image's manifest: on the shelf lie other things as well."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("config"), dict) and isinstance(found.get("layers"), list)


def _no_such_image(digest: str) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"No image {digest[:80]!r} is kept here.", "Submit a job that names it first.")


def _damaged(digest: str) -> Refusal:
    return Refusal(
        Code.IMAGE_INVALID, f"The image's part {digest} is missing or not what its digest says.", "Build it again."
    )
