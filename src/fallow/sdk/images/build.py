"""Builds an image from a spec: which layers there are, which of them are there already, and what runs.

Layers, lowest first: the base's, dependencies (wheels), model (data out of wheels), code. They change in this order of
rarity, so that workers fetch little after an edit. Each has a key made of all that went into it; the layout remembers
the keys, so a second build finds every layer done.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from fallow.core.refusals import Code, Refusal
from fallow.protocols.oci.documents import (
    LAYER_GZIP,
    LAYER_TAR,
    Config,
    Descriptor,
    History,
    Platform,
    RootFs,
    RunConfig,
)
from fallow.protocols.oci.platforms import host
from fallow.sdk.images.alone import alone_in
from fallow.sdk.images.bases import Interpreter, Placed, find_base
from fallow.sdk.images.layers import write_layer
from fallow.sdk.images.layout import Image, blob_path, read_image, write_image
from fallow.sdk.images.rootfs import compile_python
from fallow.sdk.images.spec import Copy, ImageSpec, Progress, read_spec
from fallow.sdk.images.wheels import download_wheels, unpack_data, unpack_wheel

BUILDER = 1  # part of every key: raise it when the same spec gives other bytes
SITE = "/opt/python"  # where the wheels are, on PYTHONPATH, so that any base's Python finds them
STATE = "fallow-build.json"
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".git")


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """digest: the manifest's, what a job names. image_id: the config's digest, what engines show. Both "sha256:...".
    size_bytes: of all blobs. reused: everything was there already."""

    digest: str
    image_id: str
    layout: Path
    size_bytes: int
    reused: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """A layer to be: its name, all that decides its bytes, and how to fill its root."""

    title: str
    key: str
    fill: Callable[[Path], None]


def build_image(
    spec_path: Path,
    out: Path,
    *,
    base: str | None = None,
    progress: Callable[[str], None],
    cache: Path | None = None,
) -> BuiltImage:
    """Builds the spec's image as an OCI layout in `out`, for this machine's architecture.

    base: instead of the spec's. cache: for downloads; by default fallow/images in the user's cache folder.
    The same spec and inputs give the same digest. Raises Refusal.
    """
    spec = read_spec(spec_path)
    spec = replace(spec, base=base) if base else spec
    platform = host()
    cache = (cache or default_cache()).resolve()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        (out / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        # In this order always. Builds that share a cache wait for each other: each would fetch what the other does.
        with alone_in(out), alone_in(cache):
            return _Build(spec, platform, cache, out, progress).run()
    except OSError as problem:
        raise Refusal(
            Code.OUTPUT_UNWRITABLE, f"The image cannot be written: {problem}.", "Check the folder and the free space."
        ) from None


def default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fallow" / "images"


class _Build:
    """One build. Holds what its steps share."""

    def __init__(self, spec: ImageSpec, platform: Platform, cache: Path, out: Path, progress: Progress) -> None:
        self.spec = spec
        self.platform = platform
        self.cache = cache
        self.out = out
        self.progress = progress
        self.blobs = out / "blobs" / "sha256"
        self.base = find_base(spec, platform, cache, progress)
        self.python = self.base.python
        if spec.requirements and not self.python:
            raise Refusal(
                Code.BAD_REQUEST,
                f"The base {spec.base} does not say which Python it has.",
                'Write python = "3.12" (or what it has) in the spec.',
            )

    def run(self) -> BuiltImage:
        parts = self.parts()
        state = _read_state(self.out / STATE)
        key = _key("image", self.base.identity, [p.key for p in parts], self.run_config(), str(self.platform))
        if state.get("key") == key:
            image = self.finished()
            if image is not None:
                return self.built(image, reused=True)
        known = state.get("layers", {})
        with tempfile.TemporaryDirectory(dir=self.out, prefix=".work-") as work:
            self.work = Path(work)
            base = self.base.place(self.blobs, self.work)
            placed = [self.place(part, known) for part in parts]
        layers = [*base, *placed]
        image = write_image(self.out, self.config(layers), tuple(p.descriptor for p in layers), self.spec.name)
        remembered = {part.key: _remember(p) for part, p in zip(parts, placed, strict=True)}
        # After a download from newer package lists the base is another one than the key above says.
        key = _key("image", self.base.identity, [p.key for p in parts], self.run_config(), str(self.platform))
        (self.out / STATE).write_text(json.dumps({"key": key, "layers": remembered}, indent=1))
        return self.built(image, reused=False)

    def parts(self) -> list[_Part]:
        """The layers above the base; those with nothing in them are left out."""
        spec, parts = self.spec, []
        if spec.requirements:
            key = _key("wheels", spec.requirements, self.python, self.platform.architecture, spec.base, spec.compress)
            parts.append(_Part("dependencies", key, self.fill_dependencies))
        if spec.data:
            entries = [[d.requirement, d.sha256, d.source, d.files, d.to] for d in spec.data]
            parts.append(_Part("model", _key("data", entries, spec.compress), self.fill_model))
        if spec.copies or spec.harness:
            contents = [[c.to, _content_key(c.source)] for c in spec.copies]
            harness = [spec.harness, _harness() if spec.harness else ""]
            key = _key("code", contents, harness, self.python, spec.base, spec.compress)
            parts.append(_Part("code", key, self.fill_code))
        return parts

    def finished(self) -> Image | None:
        """The image that is in the layout, when nothing of it was lost."""
        try:
            return read_image(self.out, self.platform)
        except Refusal as refusal:
            self.progress(f"building again: {refusal.message}")
            return None

    def place(self, part: _Part, known: dict[str, Any]) -> Placed:
        """The part's layer: the one that is there, or a new one."""
        entry = known.get(part.key)
        history = History(created_by=f"fallow: {part.title}")
        if entry and _size(blob_path(self.blobs, entry["digest"])) == entry["size"]:
            return Placed(Descriptor(entry["media_type"], entry["digest"], entry["size"]), entry["diff_id"], history)
        self.progress(f"building the layer: {part.title}")
        root = self.work / part.title
        root.mkdir()
        part.fill(root)
        layer = write_layer(root, self.blobs, part.title, self.spec.compress)
        shutil.rmtree(root)
        kind = LAYER_GZIP if layer.gzipped else LAYER_TAR
        return Placed(Descriptor(kind, layer.digest, layer.size_bytes), layer.diff_id, history)

    def fill_dependencies(self, root: Path) -> None:
        lines, machine = self.spec.requirements, self.platform.architecture
        site = _inside(root, SITE)
        for wheel in download_wheels(lines, self.python, machine, self.cache, self.progress):
            unpack_wheel(wheel, site)
        self.compile(site, root)

    def fill_model(self, root: Path) -> None:
        for data in self.spec.data:
            line = f"{data.requirement} --hash=sha256:{data.sha256}"
            # Data needs no Python; any that pip takes will do.
            python = self.python or "3.11"
            wheels = download_wheels((line,), python, self.platform.architecture, self.cache, self.progress)
            unpack_data(wheels[0], data, _inside(root, data.to))

    def fill_code(self, root: Path) -> None:
        for copy in self.spec.copies:
            _copy(copy, root)
        if self.spec.harness:
            target = _inside(root, self.spec.harness)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_harness())
        self.compile(root, root)

    def compile(self, folder: Path, root: Path) -> None:
        python: Interpreter | None = self.base.interpreter(self.work) if self.python else None
        if python is None:
            self.progress("no .pyc files: this machine has no Python of the base's version; starts will be slower")
            return
        compile_python(folder, python.command, root, python.environ)

    def run_config(self) -> RunConfig:
        """The base's, with the spec's on top. An entry point of the base's would run before our command."""
        spec, base = self.spec, self.base.run
        env = dict(entry.partition("=")[::2] for entry in base.env or ())
        env |= spec.env
        if spec.requirements:
            env["PYTHONPATH"] = ":".join(filter(None, (SITE, env.get("PYTHONPATH", ""))))
        return RunConfig(
            user=spec.user,
            env=tuple(f"{name}={value}" for name, value in env.items()),
            entrypoint=None if spec.command else base.entrypoint,
            cmd=spec.command or base.cmd,
            working_dir=spec.workdir,
            labels=(base.labels or {}) | spec.labels or None,
        )

    def config(self, layers: list[Placed]) -> Config:
        return Config(
            os=self.platform.os,
            architecture=self.platform.architecture,
            rootfs=RootFs("layers", tuple(layer.diff_id for layer in layers)),
            config=self.run_config(),
            history=tuple(layer.history for layer in layers),
        )

    def built(self, image: Image, reused: bool) -> BuiltImage:
        return BuiltImage(image.digest, image.manifest.config.digest, self.out, image.size_bytes, reused)


def _copy(copy: Copy, root: Path) -> None:
    target = _inside(root, copy.to)
    if copy.source.is_dir():
        shutil.copytree(copy.source, target, symlinks=True, ignore=IGNORED, dirs_exist_ok=True)
        return
    target = target / copy.source.name if copy.to.endswith("/") else target
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(copy.source, target)


def _content_key(source: Path) -> str:
    """Changes when a file's bytes, name or right to be run do; not with its times."""
    found = hashlib.sha256()
    paths = [source] if source.is_file() else sorted(source.rglob("*"))
    for path in paths:
        if path.is_file() and "__pycache__" not in path.parts and ".git" not in path.parts:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            runs = bool(path.stat().st_mode & 0o111)
            found.update(f"{path.relative_to(source.parent)} {runs} {digest}\n".encode())
    return found.hexdigest()


def _harness() -> str:
    return files("fallow").joinpath("harness.py").read_text(encoding="utf-8")


def _inside(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _key(*parts: Any) -> str:
    text = json.dumps([BUILDER, *parts], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _remember(placed: Placed) -> dict[str, Any]:
    layer = placed.descriptor
    return {
        "digest": layer.digest,
        "media_type": layer.media_type,
        "size": layer.size,
        "diff_id": placed.diff_id,
    }


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}  # the first build here, or one that was cut short: build
    return state if isinstance(state, dict) else {}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1
