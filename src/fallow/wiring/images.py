"""Where the server finds what an image reference means: a layout on its disk, an engine beside it, or a registry."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from fallow.core.job import Image
from fallow.core.refusals import Code, Refusal
from fallow.protocols.oci.platforms import host
from fallow.protocols.oci.reference import parse_reference
from fallow.sdk.images.layout import Image as Found
from fallow.sdk.images.layout import read_image
from fallow.sdk.images.registry import pull
from fallow.web.shelf import Layout, Shelf

_INSPECT_SECONDS = 30
_ENGINES = ("podman", "docker")
_log = structlog.get_logger("fallow.images")


@dataclass(frozen=True, slots=True)
class Finder:
    """roots: directories that "oci:DIR" may be under; None: any. engines_shared: the workers use this machine's engine,
    so that an image in it needs no copy. cache: for what a registry gave."""

    shelf: Shelf
    cache: Path
    roots: Sequence[Path] | None
    engines_shared: bool

    def resolve(self, reference: str) -> Image:
        """Raises Refusal IMAGE_INVALID, IMAGE_UNKNOWN or IMAGE_PLATFORM."""
        if reference.startswith("oci:"):
            return self._layout(reference)
        parse_reference(reference)
        if self.engines_shared and (image := in_engine(reference)) is not None:
            return image
        try:
            found = pull(reference, host(), self.cache, lambda said: _log.info("image.pull", step=said))
        except Refusal as refusal:
            if refusal.code is not Code.FETCH_FAILED:
                raise
            raise Refusal(
                Code.IMAGE_UNKNOWN,
                f"The image {reference} is not here. {refusal.message}",
                "Check the name, or give the folder of a built image: oci:DIR.",
            ) from None
        return self.shelf.keep(reference, _layout_of(found))

    def _layout(self, reference: str) -> Image:
        folder = Path(reference.removeprefix("oci:")).resolve()
        if self.roots is not None and not any(folder.is_relative_to(root.resolve()) for root in self.roots):
            raise Refusal(
                Code.IMAGE_UNKNOWN,
                f"This server reads no images under {folder}.",
                "Put it under a directory that the server was started with (--allow-root).",
            )
        return self.shelf.keep(reference, _layout_of(read_image(folder, host())))


def _layout_of(found: Found) -> Layout:
    return Layout(found.digest, found.manifest, found.config, found.blobs)


def in_engine(reference: str) -> Image | None:
    """The image as podman or docker on this machine has it; None when neither does."""
    for engine in _ENGINES:
        if shutil.which(engine) and (facts := _inspected(engine, reference)) is not None:
            return _image(reference, facts)
    return None


def _inspected(engine: str, reference: str) -> dict[str, object] | None:
    command = [engine, "image", "inspect", "--", reference]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_INSPECT_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
        found = json.loads(done.stdout) if done.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    return found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else None


def _image(reference: str, facts: dict[str, object]) -> Image:
    """Both engines have these members. An image that was never pushed may have no digest: its id stands for it."""
    image_id = "sha256:" + str(facts["Id"]).removeprefix("sha256:")
    config = facts.get("Config")
    labels = config.get("Labels") if isinstance(config, dict) else None
    return Image(
        reference=reference,
        digest=str(facts.get("Digest") or image_id),
        image_id=image_id,
        source="engine",
        platforms=(f"{facts.get('Os', 'linux')}/{facts.get('Architecture', '')}",),
        labels={str(name): str(value) for name, value in (labels or {}).items()},
    )
