"""Builds container images from a small spec: no container engine, no registry, the same bytes each time."""

from fallow.sdk.images.build import BuiltImage, build_image

__all__ = ["BuiltImage", "build_image"]
