"""What an image is built upon: Debian packages, an OCI layout on this machine, or an image in a registry."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fallow.core.refusals import Code, Refusal
from fallow.protocols.oci.documents import LAYER_GZIP, LAYER_TAR, Descriptor, History, Platform, RunConfig
from fallow.sdk.images.debian import Apt, Package
from fallow.sdk.images.layers import write_layer
from fallow.sdk.images.layout import Image, add_blob, blob_path, read_image
from fallow.sdk.images.registry import pull
from fallow.sdk.images.rootfs import build_rootfs, compile_python, rootfs_python
from fallow.sdk.images.spec import ImageSpec, Progress

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Placed:
    """A layer that is in the layout."""

    descriptor: Descriptor
    diff_id: str
    history: History


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python of the image's version that can compile for it. root: the folder that is "/" to it, if any."""

    command: list[str]
    environ: dict[str, str]


class Base(Protocol):
    """python: "3.11", or "" when it is not known."""

    python: str
    run: RunConfig

    @property
    def identity(self) -> str:
        """Changes when the base's bytes would."""
        ...

    def place(self, blobs: Path, work: Path) -> tuple[Placed, ...]:
        """Puts the base's layers into a layout."""
        ...

    def interpreter(self, work: Path) -> Interpreter | None:
        """None: no Python of that version is here."""
        ...


def find_base(spec: ImageSpec, platform: Platform, cache: Path, progress: Progress) -> Base:
    """Raises Refusal when the base is not there or not for this platform."""
    kind, _, rest = spec.base.partition(":")
    if kind == "debian":
        return DebianBase(_debian_python(rest), cache, spec.compress, progress)
    if kind == "oci":
        folder = Path(rest).expanduser()
        return ImageBase(read_image(folder if folder.is_absolute() else spec.folder / folder, platform), spec.python)
    return ImageBase(pull(spec.base, platform, cache, progress), spec.python)


class DebianBase:
    """A root file system made here, from packages that apt downloads."""

    def __init__(self, python: str, cache: Path, compress: bool, progress: Progress) -> None:
        self.apt = Apt(cache, progress)
        self.compress = compress
        self.progress = progress
        self.wanted = python
        self.python, self.packages = self._resolve()
        self.run = RunConfig(env=(PATH, "LANG=C.UTF-8"))

    @property
    def identity(self) -> str:
        return "debian " + " ".join([self.python, *(p.sha256 for p in self.packages)])

    def place(self, blobs: Path, work: Path) -> tuple[Placed, ...]:
        root = self._root(work)
        layer = write_layer(root, blobs, "base", self.compress)
        kind = LAYER_GZIP if layer.gzipped else LAYER_TAR
        history = History(created_by=f"fallow: Python {self.python} from Debian packages")
        return (Placed(Descriptor(kind, layer.digest, layer.size_bytes), layer.diff_id, history),)

    def interpreter(self, work: Path) -> Interpreter:
        command, environ = rootfs_python(self._root(work), self.python)
        return Interpreter(command, environ)

    def _resolve(self) -> tuple[str, tuple[Package, ...]]:
        try:
            return self.apt.resolve(self.wanted)
        except Refusal as refusal:
            if refusal.code is not Code.IMAGE_UNKNOWN or self.apt.fresh:
                raise
            self.apt.use_private_lists()  # a fresh machine has no lists at all
            return self.apt.resolve(self.wanted)

    def _root(self, work: Path) -> Path:
        root = work / "rootfs"
        if not root.exists():
            debs = self._debs()
            self.progress(f"unpacking the base: Python {self.python}")
            root.mkdir()
            build_rootfs(debs, self.python, root)
            command, environ = rootfs_python(root, self.python)
            compile_python(root / "usr/lib" / f"python{self.python}", command, root, environ)
        return root

    def _debs(self) -> list[Path]:
        try:
            return self.apt.download(self.packages)
        except Refusal as refusal:
            if refusal.code is not Code.IMAGE_UNKNOWN or self.apt.fresh:
                raise
            # Lists that are some weeks old name packages that the archive has replaced since.
            self.apt.use_private_lists()
            self.python, self.packages = self.apt.resolve(self.wanted)
            return self.apt.download(self.packages)


class ImageBase:
    """An image that is there already; its layers stay as they are."""

    def __init__(self, image: Image, python: str) -> None:
        self.image = image
        self.run = image.config.run
        self.python = python or _python_of(self.run)

    @property
    def identity(self) -> str:
        return f"image {self.image.digest}"

    def place(self, blobs: Path, work: Path) -> tuple[Placed, ...]:
        placed = []
        titles = [h for h in self.image.config.history or () if not h.empty_layer]
        for number, layer in enumerate(self.image.manifest.layers):
            add_blob(blobs, layer.digest, blob_path(self.image.blobs, layer.digest))
            history = titles[number] if number < len(titles) else History(created_by="base")
            placed.append(Placed(layer, self.image.config.rootfs.diff_ids[number], history))
        return tuple(placed)

    def interpreter(self, work: Path) -> Interpreter | None:
        if f"{sys.version_info.major}.{sys.version_info.minor}" == self.python:
            return Interpreter([sys.executable], {})
        found = shutil.which(f"python{self.python}")
        return Interpreter([found], {}) if found else None


def _debian_python(text: str) -> str:
    """ "python3.11" -> "3.11"; "python3" -> "", the distribution's own."""
    version = text.removeprefix("python")
    if text in ("python3", "python"):
        return ""
    if not text.startswith("python3."):
        raise Refusal(Code.BAD_REQUEST, f"The base debian:{text} is not known.", "Write debian:python3.")
    return version


def _python_of(run: RunConfig) -> str:
    """The official Python images say their version in a variable."""
    for entry in run.env or ():
        name, _, value = entry.partition("=")
        if name == "PYTHON_VERSION":
            return ".".join(value.split(".")[:2])
    return ""
