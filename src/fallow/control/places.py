"""Where bytes are, for the roles: the object store, inputs and outputs by URI, URLs that open one extent."""

from collections.abc import Callable
from dataclasses import dataclass

from fallow.artifacts.locations import Source, Target
from fallow.artifacts.port import ArtifactStore, SignedUrl, Verb
from fallow.artifacts.signing import Grant, Signer
from fallow.clock import Clock
from fallow.core.words import Micros

OWN = "fallow:"  # the scheme of what lies in fallow's own object store


@dataclass(frozen=True, slots=True)
class Places:
    """open_source, open_target: by URI, within what the operator allows; they raise Refusals."""

    artifacts: ArtifactStore
    open_source: Callable[[str], Source]
    open_target: Callable[[str], Target]
    signer: Signer
    clock: Clock
    url_seconds: int

    def input_url(self, uri: str, etag: str, offset: int, length: int) -> SignedUrl:
        """Opens `length` bytes at `offset` of an input where it lies; through the door unless it is our own object."""
        if uri.startswith(OWN):
            key = uri.removeprefix(OWN)
            return self.artifacts.sign(key, Verb.GET, self.url_seconds, offset=offset, length=length)
        grant = Grant(Verb.GET, "", self._expiry(), offset=offset, length=length, uri=uri, etag=etag)
        return SignedUrl(self.signer.url(grant))

    def object_url(self, uri: str, etag: str, size_bytes: int) -> SignedUrl:
        """Opens one whole object of a directory or prefix."""
        return self.input_url(uri, etag, 0, size_bytes)

    def upload_url(self, key: str, size_bytes_max: int) -> str:
        """Takes one PUT of one object."""
        return self.artifacts.sign(key, Verb.PUT, self.url_seconds, size_bytes_max=size_bytes_max).url

    def prefix_url(self, key: str, size_bytes_max: int) -> str:
        """Takes PUT and POST of "/NAME", and gives it back; always through the door."""
        grant = Grant(Verb.PUT, key, self._expiry(), size_bytes_max=size_bytes_max, prefix=True)
        return self.signer.url(grant)

    def door_input_url(self, uri: str, etag: str, offset: int, length: int) -> str:
        """Like input_url, but its whole body is the extent: for images that send no Range of their own."""
        signed = self.input_url(uri, etag, offset, length)
        if signed.length == 0 and signed.offset == 0:
            return signed.url
        grant = Grant(Verb.GET, uri.removeprefix(OWN), self._expiry(), offset=offset, length=length, etag=etag)
        return self.signer.url(grant)

    def _expiry(self) -> Micros:
        return Micros(self.clock.now() + self.url_seconds * 1_000_000)
