"""Platforms: what an image was built for, and which of an index's manifests is for this machine."""

import platform as machine

from fallow.core.refusals import Code, Refusal
from fallow.protocols.oci.documents import MANIFESTS, Descriptor, Index, Platform

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def host() -> Platform:
    """Containers are Linux ones on every host; the architecture is the machine's."""
    name = machine.machine().lower()
    return Platform("linux", _ARCHITECTURES.get(name, name))


def platform_of(text: str) -> Platform:
    """From "linux/amd64" or "linux/arm64/v8". Raises Refusal IMAGE_PLATFORM."""
    os, _, rest = text.partition("/")
    architecture, _, variant = rest.partition("/")
    if not os or not architecture:
        raise Refusal(Code.IMAGE_PLATFORM, f"{text!r} is not a platform.", 'Write it as "linux/amd64".')
    return Platform(os, architecture, variant)


def fits(have: Platform, want: Platform) -> bool:
    """A variant counts only when both name one: arm64 and arm64/v8 are the same machine."""
    same = (have.os, have.architecture) == (want.os, want.architecture)
    return same and (not have.variant or not want.variant or have.variant == want.variant)


def select(index: Index, want: Platform) -> Descriptor:
    """The index's first manifest for `want`; one without a platform counts only when it is alone.

    Raises Refusal IMAGE_PLATFORM naming what there is.
    """
    images = [d for d in index.manifests if d.media_type in MANIFESTS]
    for descriptor in images:
        if descriptor.platform is not None and fits(descriptor.platform, want):
            return descriptor
    if len(images) == 1 and images[0].platform is None:
        return images[0]
    # Build attestations are listed with the platform unknown/unknown; nobody can run those.
    names = sorted({str(d.platform) for d in images if d.platform is not None and d.platform.os != "unknown"})
    raise Refusal(
        Code.IMAGE_PLATFORM,
        f"The image is not for {want}; it is for {', '.join(names) or 'no platform at all'}.",
        f"Build it for {want}.",
    )
