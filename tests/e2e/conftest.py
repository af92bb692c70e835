"""Fixtures of the end-to-end tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.house import House
from tests.worker.tinyimage import busybox_root, digest_of, layout_parts


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Makes started servers; everything is stopped at the end."""
    made: list[House] = []

    def make(*words: str, **settings: str) -> House:
        one = House(tmp_path, *words, **settings)
        made.append(one)
        one.start_server()
        return one

    yield make
    for each in made:
        each.stop()


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A reference to an image with a shell, as an OCI layout on disk."""
    return write_layout(tmp_path_factory.mktemp("image") / "busybox", busybox_root())


def write_layout(directory: Path, root: bytes) -> str:
    """ "oci:DIR" of a one-layer image."""
    import json

    manifest, blobs, _ = layout_parts(root)
    folder = directory / "blobs" / "sha256"
    folder.mkdir(parents=True)
    for digest, data in {**blobs, digest_of(manifest): manifest}.items():
        (folder / digest.removeprefix("sha256:")).write_bytes(data)
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    described = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest_of(manifest),
        "size": len(manifest),
        "annotations": {"org.opencontainers.image.ref.name": "tiny"},
    }
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))
    return f"oci:{directory}"
