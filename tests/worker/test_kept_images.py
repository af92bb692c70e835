"""What a worker tells of the images it keeps."""

import pytest

from fallow.worker.assignment import ImageNeed
from fallow.worker.engines.oci_engine import OciEngine
from fallow.worker.images import kept_images

pytestmark = pytest.mark.containers


def test_only_images_that_fallow_put_there_are_told(podman: OciEngine, busybox: ImageNeed) -> None:
    ours, owners = "localhost/fallow:0123456789abcdef", "localhost/private/payroll:2031"
    for name in (ours, owners):
        assert podman.command("tag", busybox.image_id, name).returncode == 0
    try:
        found = kept_images(podman)
        assert "sha256:0123456789abcdef" in found
        assert all(len(each) == len("sha256:") + 16 for each in found)
        assert not any("payroll" in each for each in found)
    finally:
        podman.command("untag", busybox.image_id, ours, owners)
