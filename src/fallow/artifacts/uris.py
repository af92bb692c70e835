"""From a URI that somebody wrote to a Source or a Target, if this server may use it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fallow.artifacts.bucket import S3Access, S3Place, place_of
from fallow.artifacts.bucket_locations import S3Source, S3Target, StoreSource, StoreTarget
from fallow.artifacts.fetched import HttpSource
from fallow.artifacts.filesystem import RESERVE_BYTES
from fallow.artifacts.guard import Fetcher
from fallow.artifacts.local_files import FileSource, FileTarget
from fallow.artifacts.locations import Source, Target
from fallow.artifacts.port import ArtifactStore, checked_key
from fallow.core.refusals import Code, Refusal

UPLOADS = "uploads"  # the prefix of our own store that submitters may name as inputs


@dataclass(frozen=True, slots=True)
class Locations:
    """What this server may read inputs from and write outputs to.

    input_roots, output_roots: directories for file:. s3_buckets: names that s3: URIs may use; None: all that the
    credentials open. A URI may name an endpoint only if it is the one of `s3` or in s3_endpoints: whoever could name
    another would have us sign requests to it.
    """

    store: ArtifactStore
    fetcher: Fetcher
    input_roots: Sequence[Path] = ()
    output_roots: Sequence[Path] = ()
    s3: S3Access | None = None
    s3_buckets: Sequence[str] | None = None
    s3_endpoints: Sequence[str] = field(default=())
    reserve_bytes: int = RESERVE_BYTES


def open_source(uri: str, locations: Locations) -> Source:
    """The input at a URI; nothing is touched yet. Raises Refusal INPUT_NOT_ALLOWED.

    `fallow:KEY` is a key below `uploads/`; whether it is the caller's own upload is for the caller to know.
    """
    match _scheme(uri):
        case "file":
            return FileSource(uri, locations.input_roots)
        case "s3":
            return S3Source(uri, *_s3(uri, locations, Code.INPUT_NOT_ALLOWED))
        case "http" | "https":
            return HttpSource(uri, locations.fetcher)
        case "fallow":
            key = checked_key(uri.removeprefix("fallow:"))
            if key.startswith(f"{UPLOADS}/"):
                return StoreSource(uri, key, locations.store)
            raise _not_allowed(Code.INPUT_NOT_ALLOWED, uri, "it is not an upload")
    raise _not_allowed(Code.INPUT_NOT_ALLOWED, uri, "inputs are at file:, s3:, http:, https: or fallow: URIs")


def open_target(uri: str, locations: Locations) -> Target:
    """The output directory or prefix at a URI; nothing is touched yet. Raises Refusal OUTPUT_NOT_ALLOWED."""
    match _scheme(uri):
        case "file":
            return FileTarget(uri, locations.output_roots, locations.reserve_bytes)
        case "s3":
            return S3Target(uri, *_s3(uri, locations, Code.OUTPUT_NOT_ALLOWED))
    raise _not_allowed(Code.OUTPUT_NOT_ALLOWED, uri, "outputs go to file: or s3: URIs")


def own_target(prefix: str, store: ArtifactStore) -> Target:
    """Outputs in our own store, below a prefix."""
    return StoreTarget(checked_key(prefix), store)


def _scheme(uri: str) -> str:
    return "file" if uri.startswith("/") else uri.partition(":")[0].lower()


def _s3(uri: str, locations: Locations, code: Code) -> tuple[S3Place, S3Access]:
    try:
        place = place_of(uri)
    except ValueError as wrong:
        raise _not_allowed(code, uri, str(wrong)) from None
    if locations.s3 is None:
        raise _not_allowed(code, uri, "this server has no access to S3")
    if locations.s3_buckets is not None and place.bucket not in locations.s3_buckets:
        raise _not_allowed(code, uri, f"this server may not use the bucket {place.bucket}")
    if place.endpoint not in ("", locations.s3.endpoint, *locations.s3_endpoints):
        raise _not_allowed(code, uri, f"this server may not use the endpoint {place.endpoint}")
    endpoint, region = place.endpoint or locations.s3.endpoint, place.region or locations.s3.region
    return place, replace(locations.s3, endpoint=endpoint, region=region)


def _not_allowed(code: Code, uri: str, why: str) -> Refusal:
    return Refusal(
        code, f"{uri[:300]} cannot be used: {why}.", "Choose another place, or ask the operator to allow it."
    )
