"""Pulls a base image from a registry into the cache: the pull side of the OCI distribution API.

Public images only: it asks for an anonymous token where the registry wants one. A private image is brought over by its
owner's tools (`skopeo copy docker://... oci:DIR`) and used as oci:DIR.
Source: OCI distribution-spec 1.1, and Docker's token authentication.
"""

import hashlib
import re
import time
from pathlib import Path

import httpx2
import msgspec

from fallow.core.refusals import Code, Refusal
from fallow.protocols.oci.documents import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    INDEX,
    MANIFEST,
    Platform,
    parse_config,
    parse_index,
    parse_manifest,
)
from fallow.protocols.oci.platforms import select
from fallow.protocols.oci.reference import Reference, parse_reference
from fallow.sdk.images.alone import alone_in
from fallow.sdk.images.layout import Image, blob_path, check_image, is_index, put
from fallow.sdk.images.spec import Progress

ACCEPT = ", ".join((INDEX, DOCKER_INDEX, MANIFEST, DOCKER_MANIFEST))
TRIES = 5  # in a row without a new byte
PAUSE_SECONDS = 0.5  # longer by as much after each try in vain
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_ELSEWHERE = "Check the name and the network, or name another base (BASE=): debian:python3, oci:DIR."


def pull(text: str, platform: Platform, cache: Path, progress: Progress) -> Image:
    """The image for this platform, all its blobs in the cache and checked.

    Raises Refusal IMAGE_INVALID, IMAGE_UNKNOWN, IMAGE_PLATFORM, FETCH_FAILED.
    """
    reference = parse_reference(text)
    blobs = cache / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    with alone_in(blobs), httpx2.Client(timeout=60, follow_redirects=True) as http:
        return _Pull(reference, blobs, http, progress).image(platform)


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


class _Pull:
    """One pull; remembers the token."""

    def __init__(self, reference: Reference, blobs: Path, http: httpx2.Client, progress: Progress) -> None:
        self.reference = reference
        self.blobs = blobs
        self.http = http
        self.progress = progress
        self.token = ""
        scheme = "http" if reference.is_local else "https"
        self.root = f"{scheme}://{reference.host}/v2/{reference.name}"

    def image(self, platform: Platform) -> Image:
        data, content_type = self.manifest(self.reference.wanted)
        if is_index(data, content_type):
            data, _ = self.manifest(select(parse_index(data), platform).digest)
        manifest = parse_manifest(data)
        for descriptor in (manifest.config, *manifest.layers):
            self.blob(descriptor.digest, descriptor.size)
        config = parse_config(blob_path(self.blobs, manifest.config.digest).read_bytes())
        check_image(manifest, config, platform)
        return Image(put(self.blobs, data), manifest, config, self.blobs)

    def manifest(self, wanted: str) -> tuple[bytes, str]:
        """A manifest or index and its media type. One asked for by digest is in the cache after the first time."""
        if wanted.startswith("sha256:") and blob_path(self.blobs, wanted).exists():
            return blob_path(self.blobs, wanted).read_bytes(), ""
        answer = self.get(f"{self.root}/manifests/{wanted}", {"Accept": ACCEPT})
        if wanted.startswith("sha256:") and put(self.blobs, answer.content) != wanted:
            raise Refusal(Code.DIGEST_MISMATCH, f"{self.reference.host} sent other bytes than {wanted}.", _ELSEWHERE)
        return answer.content, answer.headers.get("content-type", "")

    def blob(self, digest: str, size: int) -> None:
        """Fetches a blob into the cache; goes on where an earlier try was cut, also one of an earlier run."""
        target = blob_path(self.blobs, digest)
        if target.exists():
            return
        self.progress(f"downloading {digest[7:19]} ({size / 1e6:.1f} MB)")
        partial = target.with_name(f"{target.name}.part")
        failures = 0
        while failures < TRIES and (have := _size(partial)) < size:
            time.sleep(PAUSE_SECONDS * failures)
            self.fetch(f"{self.root}/blobs/{digest}", partial, have, size)
            failures = 0 if _size(partial) > have else failures + 1
        partial.touch()
        with partial.open("rb") as file:
            whole = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest() == digest
        if not whole:
            if _size(partial) >= size:
                partial.unlink()  # wrong bytes; what is only too short is of use to the next try
            raise Refusal(
                Code.FETCH_FAILED, f"{self.reference.host} did not send the whole of {digest}.", "Try again later."
            )
        partial.replace(target)

    def fetch(self, url: str, partial: Path, have: int, size: int) -> None:
        """Appends what comes to `partial`, not much more than `size`; a connection that breaks ends it early."""
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        try:
            with self.http.stream("GET", url, headers=headers | self.authorization()) as answer:
                if answer.status_code == 401:
                    self.token = self.new_token(answer.headers.get("www-authenticate", ""))
                elif answer.status_code in (200, 206):
                    with partial.open("ab" if answer.status_code == 206 else "wb") as sink:
                        for block in answer.iter_bytes(1 << 18):
                            sink.write(block)
                            if sink.tell() > size:
                                break  # its digest cannot be right any more
        except httpx2.TransportError as problem:
            self.progress(f"the connection broke ({type(problem).__name__}); trying again")

    def get(self, url: str, headers: dict[str, str]) -> httpx2.Response:
        try:
            answer = self.http.get(url, headers=headers | self.authorization())
            if answer.status_code == 401:
                self.token = self.new_token(answer.headers.get("www-authenticate", ""))
                answer = self.http.get(url, headers=headers | self.authorization())
        except httpx2.TransportError as problem:
            raise Refusal(
                Code.FETCH_FAILED, f"The registry {self.reference.host} cannot be reached: {problem}.", _ELSEWHERE
            ) from None
        if answer.status_code != 200:
            raise Refusal(
                Code.IMAGE_UNKNOWN,
                f"{self.reference.host} does not give out {self.reference.name} (HTTP {answer.status_code}).",
                _ELSEWHERE,
            )
        return answer

    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def new_token(self, challenge: str) -> str:
        """An anonymous token from where the registry's 401 points to; "" when it does not work that way."""
        parts = dict(_CHALLENGE.findall(challenge))
        if not challenge.lower().startswith("bearer ") or "realm" not in parts:
            return ""
        scope = parts.get("scope", f"repository:{self.reference.name}:pull")
        query = {"scope": scope} | ({"service": parts["service"]} if "service" in parts else {})
        answer = self.http.get(parts["realm"], params=query)
        try:
            body = msgspec.json.decode(answer.content, type=_Token)
        except msgspec.MsgspecError:
            return ""  # no token: the registry then says itself that it wants one
        return body.token or body.access_token


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
