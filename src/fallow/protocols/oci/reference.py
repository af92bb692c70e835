"""Image references as people write them: "python:3.12-slim", "ghcr.io/me/model@sha256:...".

Source: distribution/reference (the grammar), and Docker's habit that a name without a host is on Docker Hub.
"""

import re
from dataclasses import dataclass

from fallow.core.refusals import Code, Refusal

_NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HUB = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Reference:
    """host: "ghcr.io", "127.0.0.1:5000". name: "library/python". digest: "" when only the tag is known."""

    host: str
    name: str
    tag: str
    digest: str = ""

    @property
    def wanted(self) -> str:
        """What to ask the registry for: the digest when there is one."""
        return self.digest or self.tag

    @property
    def is_local(self) -> bool:
        """A registry on this machine speaks plain HTTP, as for Docker."""
        return re.sub(r":\d+$", "", self.host) in ("localhost", "127.0.0.1", "[::1]")


def parse_reference(text: str) -> Reference:
    """Raises Refusal IMAGE_INVALID."""
    rest, _, digest = text.partition("@")
    first, slash, remainder = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host, path = first, remainder
    else:
        host, path = _HUB, rest if slash else "library/" + rest
    if host in ("docker.io", "index.docker.io"):
        host, path = _HUB, path if "/" in path else "library/" + path
    name, _, tag = path.partition(":")
    tag = tag or "latest"
    if not _NAME.fullmatch(name) or not _TAG.fullmatch(tag) or (digest and not _DIGEST.fullmatch(digest)):
        raise Refusal(
            Code.IMAGE_INVALID,
            f"{text!r} is not an image reference.",
            'Write it as "host/name:tag" or "host/name@sha256:...".',
        )
    return Reference(host, name, tag, digest)
