"""What the image tests share: one cache of downloads for all runs, and a tiny base that needs no download at all."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fallow.protocols.oci.documents import LAYER_TAR, Config, Descriptor, History, RootFs, RunConfig
from fallow.protocols.oci.platforms import host
from fallow.sdk.images import BuiltImage, build_image
from fallow.sdk.images.layers import write_layer
from fallow.sdk.images.layout import write_image

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def downloads() -> Path:
    """Packages and wheels, fetched once for all runs."""
    return REPOSITORY / ".cache" / "images"


@pytest.fixture(scope="session")
def embed_image(downloads: Path) -> BuiltImage:
    """The reference image, built once for all runs."""
    spec = REPOSITORY / "images" / "embed" / "spec.toml"
    return build_image(spec, downloads / "embed", progress=lambda _: None, cache=downloads)


@pytest.fixture
def tiny_base(tmp_path: Path) -> Path:
    """An OCI layout with one file in one layer."""
    layout, root = tmp_path / "tiny-base", tmp_path / "tiny-root"
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    root.mkdir()
    (root / "hello.txt").write_text("hello")
    layer = write_layer(root, blobs, "base", compress=False)
    config = Config(
        os="linux",
        architecture=host().architecture,
        rootfs=RootFs("layers", (layer.diff_id,)),
        config=RunConfig(
            env=("PATH=/bin", "PYTHON_VERSION=3.11.9"), entrypoint=("/bin/wrapper",), labels={"of": "base"}
        ),
        history=(History(created_by="the base"),),
    )
    write_image(layout, config, (Descriptor(LAYER_TAR, layer.digest, layer.size_bytes),), "tiny")
    return layout


@pytest.fixture
def spec_file(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a spec into a folder of its own."""

    def write(text: str) -> Path:
        folder = tmp_path / "spec"
        folder.mkdir(exist_ok=True)
        (folder / "spec.toml").write_text(text)
        return folder / "spec.toml"

    return write
