"""BOINC's names of platforms and the ones that images have."""

from collections.abc import Sequence
from typing import Final

_OCI: Final = {
    "x86_64-pc-linux-gnu": "linux/amd64",
    "aarch64-unknown-linux-gnu": "linux/arm64",
    "x86_64-apple-darwin": "linux/amd64",  # podman and docker run Linux there, in a machine of their own
    "arm64-apple-darwin": "linux/arm64",
    "windows_x86_64": "linux/amd64",
    "windows_arm64": "linux/arm64",
}


def oci_platform(platforms: Sequence[str]) -> str:
    """What containers run on such a client; "" where none do."""
    return next((_OCI[each] for each in platforms if each in _OCI), "")
