"""Fixtures of the tests with a real BOINC client."""

import pytest

from tests.e2e.conftest import write_layout
from tests.worker.tinyimage import busybox_root


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A reference to an image with a shell, as an OCI layout on disk."""
    return write_layout(tmp_path_factory.mktemp("image") / "busybox", busybox_root())
