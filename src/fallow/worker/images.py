"""Makes an image present in the engine before its chunk runs: outside the chunk's clock, with a clock of its own."""

import errno
import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from fallow.worker.assignment import ImageNeed
from fallow.worker.control import Control
from fallow.worker.engines.oci_engine import OciEngine
from fallow.worker.faults import Fault, aborted, disk_full, workers
from fallow.worker.transfer import TRIES, TransferFailed, fetch

PREPARE_SECONDS = 3600.0
CACHE_BYTES_MAX = 20 << 30
DIGEST = "sha256:"
KEPT_MAX = 100
_OUR_NAME = re.compile(r"(?:localhost/fallow:|(?:docker\.io/library/)?fallow-)([0-9a-f]{16})(?::latest)?")


@dataclass(frozen=True, slots=True)
class Blob:
    """digest: "sha256:..."."""

    digest: str
    size_bytes: int
    url: str


@dataclass(frozen=True, slots=True)
class Layout:
    """An image's parts at the server: the manifest's own bytes, then config and layers in its order."""

    digest: str
    manifest: bytes
    media_type: str
    blobs: Sequence[Blob]


class LayoutUnavailable(Exception):
    """The server does not have the image, or cannot be asked. The message is one sentence."""


class Images:
    """The images of one engine. Blobs are cached on disk by digest, so that a sister image fetches only what is new."""

    def __init__(
        self,
        directory: Path,
        engine: OciEngine,
        server: str,
        find: Callable[[str], Layout],
        cache_bytes_max: int = CACHE_BYTES_MAX,
        unreachable: Callable[[TransferFailed], None] = lambda _: None,
        tries_max: int = TRIES,
    ) -> None:
        """unreachable: hears of each failed transfer first, and may raise instead of having it made a fault."""
        self._directory = directory
        self._blobs = directory / "blobs" / "sha256"
        self._engine = engine
        self._server = server
        self._find = find
        self._cache_bytes_max = cache_bytes_max
        self._unreachable = unreachable
        self._tries_max = tries_max
        self._present: dict[str, str] = {}
        self._lock = threading.Lock()  # one image at a time: two slots want the same one, and the disk is one

    def ensure(self, need: ImageNeed, control: Control) -> str | Fault:
        """The id by which the engine runs the image, once it is there."""
        known = self._present.get(need.image_id or need.reference)
        if known:
            return known
        with self._lock:
            found = self._present.get(need.image_id or need.reference) or self._made(need, control)
        if isinstance(found, str):
            self._present[need.image_id or need.reference] = found
        return found

    def forget(self) -> None:
        """The engine may have lost images: look again."""
        self._present.clear()

    def _made(self, need: ImageNeed, control: Control) -> str | Fault:
        name = need.image_id or need.reference
        if name and (found := self._engine.image_id(name)):
            return found
        try:
            return self._fetched(need, control)
        except LayoutUnavailable as gone:
            return _missing(need, str(gone))
        except TransferFailed as failed:
            if control.stopped:
                return aborted(control.reason)
            self._unreachable(failed)
            return _missing(need, f"{failed}.")
        except OSError as wrong:
            if wrong.errno in {errno.ENOSPC, errno.EDQUOT}:
                return disk_full()
            return _missing(need, f"{wrong.strerror}.")

    def _fetched(self, need: ImageNeed, control: Control) -> str | Fault:
        if need.source == "layout":
            layout = self._find(need.digest)
            self._fetch_blobs(layout, control)
            found = self._load_podman(layout) if self._engine.flavour.podman else self._load_docker(layout)
        elif need.source == "registry":
            name = _pinned(need)
            answer = self._engine.command("pull", "--quiet", name, seconds=PREPARE_SECONDS)
            found = self._engine.image_id(name) if answer.returncode == 0 else _engine_fault(need, answer.stderr)
        else:
            return _missing(need, "It must be loaded into this worker's engine by hand.")
        if isinstance(found, Fault):
            return found
        if need.image_id and found != need.image_id and self._engine.flavour.podman:
            return _missing(need, "What came is another image.")
        return found or _missing(need, "The engine did not keep it.")

    def _fetch_blobs(self, layout: Layout, control: Control) -> None:
        """Every part that is not in the cache, resumed where a try before was cut. Raises TransferFailed, OSError."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        if DIGEST + hashlib.sha256(layout.manifest).hexdigest() != layout.digest:
            raise LayoutUnavailable("The server's manifest is not the one that was asked for.")
        self._prune(sum(blob.size_bytes for blob in layout.blobs))
        until = time.monotonic() + PREPARE_SECONDS
        for blob in layout.blobs:
            if control.stopped or time.monotonic() > until:
                raise TransferFailed("it took too long")
            self._fetch_blob(blob, control)

    def _fetch_blob(self, blob: Blob, control: Control) -> None:
        path = self._blobs / _hex(blob.digest)
        if path.exists():
            os.utime(path)
            return
        part = path.with_suffix(".part")
        for _ in range(2):
            url = urljoin(self._server + "/", blob.url)
            fetched = fetch(url, part, 0, blob.size_bytes, control.wait, self._tries_max)
            if DIGEST + fetched.sha256 == blob.digest:
                part.rename(path)
                return
            part.unlink()
        raise TransferFailed("the bytes are not those of their digest")

    def _load_podman(self, layout: Layout) -> str | Fault:
        """podman reads an OCI layout as it is, and makes the path into a name: so the path is a short, plain one."""
        with tempfile.TemporaryDirectory(dir=self._directory) as directory:
            image = Path(directory, "image")
            blobs = image / "blobs" / "sha256"
            blobs.mkdir(parents=True)
            for blob in layout.blobs:
                os.link(self._blobs / _hex(blob.digest), blobs / _hex(blob.digest))
            (blobs / _hex(layout.digest)).write_bytes(layout.manifest)
            Path(image, "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
            described = {
                "mediaType": layout.media_type,
                "digest": layout.digest,
                "size": len(layout.manifest),
                "annotations": {"org.opencontainers.image.ref.name": "fallow"},
            }
            index = {"schemaVersion": 2, "manifests": [described]}
            Path(image, "index.json").write_text(json.dumps(index))
            answer = self._engine.command(
                "pull", "--quiet", "oci:image:fallow", seconds=PREPARE_SECONDS, cwd=Path(directory)
            )
        if answer.returncode:
            return _engine_fault(None, answer.stderr)
        printed = answer.stdout.split()[-1] if answer.stdout.split() else ""
        found = self._engine.image_id(printed)
        if found:
            # A name by which the owner finds it, and nothing prunes it.
            self._engine.command("untag", found)
            self._engine.command("tag", found, f"localhost/fallow:{_hex(layout.digest)[:16]}")
        return found

    def _load_docker(self, layout: Layout) -> str | Fault:
        """docker takes its own archive format everywhere, an OCI layout only in new versions."""
        manifest = json.loads(layout.manifest)
        config = _hex(manifest["config"]["digest"])
        layers = [_hex(layer["digest"]) for layer in manifest["layers"]]
        tag = f"fallow-{_hex(layout.digest)[:16]}:latest"
        listing = [{"Config": f"{config}.json", "RepoTags": [tag], "Layers": [f"{each}/layer.tar" for each in layers]}]
        with tempfile.TemporaryFile(dir=self._directory) as file:
            with tarfile.open(fileobj=file, mode="w") as tar:
                tar.add(self._blobs / config, f"{config}.json")
                for each in dict.fromkeys(layers):
                    tar.add(self._blobs / each, f"{each}/layer.tar")
                listed = Path(self._directory, "manifest.json")
                listed.write_text(json.dumps(listing))
                tar.add(listed, "manifest.json")
            file.seek(0)
            answer = self._engine.command("load", "--quiet", stdin=file, seconds=PREPARE_SECONDS)
        return self._engine.image_id(tag) if answer.returncode == 0 else _engine_fault(None, answer.stderr)

    def _prune(self, needed: int) -> None:
        """The blobs used longest ago go first, until the new ones fit into the cache."""
        blobs = sorted(self._blobs.iterdir(), key=lambda path: path.stat().st_mtime)
        size = sum(path.stat().st_size for path in blobs)
        for path in blobs:
            if size + needed <= self._cache_bytes_max:
                return
            size -= path.stat().st_size
            path.unlink()
        if shutil.disk_usage(self._blobs).free < needed:
            raise OSError(errno.ENOSPC, "No space left on device")


def drop_image(engine: OciEngine, digest: str) -> None:
    """Removes an image that fallow put into this engine, unless a container still uses it. Raises LayoutUnavailable for
    what is no digest."""
    beginning = _hex(digest)[:16]
    name = f"localhost/fallow:{beginning}" if engine.flavour.podman else f"fallow-{beginning}:latest"
    engine.command("image", "rm", name, seconds=PREPARE_SECONDS)


def kept_images(engine: OciEngine) -> tuple[str, ...]:
    """Beginnings of the digests of images that fallow put into this engine; nothing is told of the owner's others."""
    answer = engine.command("images", "--format", "{{.Repository}}:{{.Tag}}", seconds=30.0)
    found = {match[1] for line in answer.stdout.splitlines() if (match := _OUR_NAME.fullmatch(line.strip()))}
    return tuple(DIGEST + each for each in sorted(found))[:KEPT_MAX]


def _pinned(need: ImageNeed) -> str:
    """The reference by digest, so that a moved tag changes nothing."""
    name = need.reference.partition("@")[0]
    head, _, last = name.rpartition("/")
    repository = f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
    return f"{repository}@{need.digest}" if need.digest else need.reference


def _engine_fault(need: ImageNeed | None, stderr: str) -> Fault:
    if "no space left" in stderr.lower():
        return disk_full()
    words = [line for line in stderr.splitlines() if line.strip()]
    return _missing(need, f"The engine could not take it: {words[-1].strip() if words else 'it does not say why'}")


def _missing(need: ImageNeed | None, why: str) -> Fault:
    name = f" {need.reference}" if need else ""
    return workers("image_missing", f"The image{name} is not on the worker. {why}")


def _hex(digest: str) -> str:
    """Of "sha256:...". Raises LayoutUnavailable for anything else: it becomes a file's name."""
    value = digest.removeprefix(DIGEST)
    if not digest.startswith(DIGEST) or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise LayoutUnavailable("The server's image names a digest that is not SHA-256.")
    return value
