"""The reference image of the http contract, built once for all runs, for whatever test needs a model server."""

from pathlib import Path

import pytest

from fallow.sdk.images import BuiltImage, build_image

REPOSITORY = Path(__file__).parents[2]
DOWNLOADS = REPOSITORY / ".cache" / "images"


@pytest.fixture(scope="session")
def chat_image() -> BuiltImage:
    """An OCI layout; "oci:" and its folder is its reference, where DOWNLOADS is an allowed root."""
    spec = REPOSITORY / "images" / "chat" / "spec.toml"
    return build_image(spec, DOWNLOADS / "chat", progress=lambda _: None, cache=DOWNLOADS)
