"""One bucket of an S3 server, or the part of it below a prefix; what the S3 store, inputs and outputs share.

Requests are short: a long read is many ranged ones, so that neither a slow consumer nor a timeout breaks it, and each
is retried on its own. SHA-256 is computed here, because not every server checks the digest it is sent.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote, urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store as ObstoreS3

from fallow.artifacts.port import Head, Stored, Verb
from fallow.core.refusals import Code, Refusal

if TYPE_CHECKING:
    from obstore.store import S3Config

PART_BYTES: Final = 8 * 1024 * 1024  # of a multipart upload; S3 takes 10,000 parts of at least 5 MiB: up to 80 GiB
FETCH_BYTES: Final = 4 * 1024 * 1024  # of one ranged read
DELETE_KEYS_MAX: Final = 1000  # of one request
_UPLOADS_MAX: Final = 4  # parts in flight, each in memory


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach an S3 server. endpoint: "" for Amazon's own. access_key_id: "" to ask the machine's own role."""

    endpoint: str = ""
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class S3Place:
    """Where an s3: URI points. endpoint, region: "" when the URI does not say."""

    bucket: str
    path: str
    endpoint: str = ""
    region: str = ""


def access_from(environment: Mapping[str, str]) -> S3Access:
    """The access that the usual AWS_ variables describe."""
    named = environment.get
    return S3Access(
        endpoint=named("AWS_ENDPOINT_URL_S3") or named("AWS_ENDPOINT_URL") or "",
        access_key_id=named("AWS_ACCESS_KEY_ID") or "",
        secret_access_key=named("AWS_SECRET_ACCESS_KEY") or "",
        session_token=named("AWS_SESSION_TOKEN") or "",
        region=named("AWS_REGION") or named("AWS_DEFAULT_REGION") or "us-east-1",
    )


def place_of(uri: str) -> S3Place:
    """The parts of `s3://bucket/path?endpoint=URL&region=NAME`. Raises ValueError with what is wrong."""
    parts = urlsplit(uri)
    options = parse_qs(parts.query)
    if parts.scheme != "s3" or not parts.hostname or parts.hostname != parts.netloc or parts.fragment:
        raise ValueError("it is not of the form s3://bucket/path")
    unknown = set(options) - {"endpoint", "region"}
    if unknown:
        raise ValueError(f"it has the unknown option {min(unknown)!r}")
    path = unquote(parts.path.strip("/"))
    if any(each in ("", ".", "..") for each in path.split("/")) and path:
        raise ValueError('its path has an empty, "." or ".." component')
    endpoint, region = (options.get(each, [""])[-1] for each in ("endpoint", "region"))
    return S3Place(parts.hostname, path, endpoint, region)


class Bucket:
    """Objects below `path` in a bucket. refuse: makes the refusal for a server that cannot be used, from the reason.

    A path that is not there is FileNotFoundError; who calls knows what that means.
    """

    def __init__(self, bucket: str, path: str, access: S3Access, refuse: Callable[[str], Refusal]) -> None:
        config: S3Config = {"region": access.region, "virtual_hosted_style_request": not access.endpoint}
        if access.endpoint:
            config["endpoint"] = access.endpoint
        if access.access_key_id:
            config["access_key_id"] = access.access_key_id
            config["secret_access_key"] = access.secret_access_key
        if access.session_token:
            config["session_token"] = access.session_token
        self._refuse = refuse
        self._store = ObstoreS3(
            bucket,
            prefix=path or None,
            config=config,
            client_options={
                "allow_http": access.endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=5),
                "timeout": timedelta(seconds=120),  # of a whole request: PART_BYTES over a slow line
            },
            retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=30)},
        )

    def head(self, path: str) -> Head | None:
        with self._reaching():
            try:
                found = obstore.head(self._store, path)
            except FileNotFoundError:
                return None
            return Head(path, found["size"], _etag(found["e_tag"]))

    def stream(self, path: str, start: int, length: int | None) -> Iterator[bytes]:
        """Raises FileNotFoundError at once. An object that is replaced meanwhile is Refusal INPUT_CHANGED."""
        size, etag, piece = self._fetch(path, start, FETCH_BYTES if length is None else min(length, FETCH_BYTES))
        end = size if length is None else min(start + length, size)
        return self._pieces(path, start, end, etag, piece)

    def read(self, path: str, start: int, length: int) -> bytes:
        return self._fetch(path, start, length)[2]

    def list(self, path: str) -> Iterator[Head]:
        """What is below `path/`, in the order of the names' bytes; Head.key is relative to the bucket's own path."""
        with self._reaching_bucket():
            for batch in obstore.list(self._store, path or None):
                for found in batch:
                    yield Head(found["path"], found["size"], _etag(found["e_tag"]))

    def delete(self, paths: Iterable[str]) -> None:
        every = list(dict.fromkeys(paths))
        with self._reaching():
            for at in range(0, len(every), DELETE_KEYS_MAX):
                try:
                    obstore.delete(self._store, every[at : at + DELETE_KEYS_MAX])
                except FileNotFoundError:
                    continue

    def put(self, path: str, data: bytes) -> Stored:
        with self._reaching_bucket():
            result = obstore.put(self._store, path, data, use_multipart=False)
        return Stored(path, hashlib.sha256(data).hexdigest(), len(data), _etag(result["e_tag"]))

    def put_if_absent(self, path: str, data: bytes) -> bool:
        with self._reaching_bucket():
            try:
                obstore.put(self._store, path, data, mode="create")
            except AlreadyExistsError:
                return False
            except NotSupportedError:
                if self.head(path):
                    return False
                self.put(path, data)
            return True

    @contextmanager
    def writer(self, path: str) -> Iterator["BucketWriter"]:
        """Small objects go in one request, larger ones in parts; leaving by an exception aborts the parts."""
        writer = BucketWriter(self, path)
        try:
            yield writer
        except BaseException as wrong:
            writer.abort(wrong)
            raise
        writer.finish()

    def sign(self, path: str, verb: Verb, expires_seconds: float) -> str:
        with self._reaching():
            return obstore.sign(self._store, verb.value, path, timedelta(seconds=expires_seconds))

    def _fetch(self, path: str, start: int, length: int) -> tuple[int, str, bytes]:
        """The object's size and etag, and at most `length` bytes from `start`."""
        if length > 0:
            with self._reaching():
                try:
                    result = obstore.get(self._store, path, options={"range": (start, start + length)})
                    return result.meta["size"], _etag(result.meta["e_tag"]), bytes(result.bytes())
                except BaseError as wrong:
                    # S3 has no empty ranges: past the end it answers 416 instead of nothing.
                    if "416" not in str(wrong):
                        raise
        found = self.head(path)
        if found is None:
            raise FileNotFoundError(path)
        if length > 0 and start < found.size_bytes:
            raise self._refuse("it answers 416 for bytes that it has")
        return found.size_bytes, found.etag, b""

    def _pieces(self, path: str, at: int, end: int, etag: str, piece: bytes) -> Iterator[bytes]:
        while piece:
            yield piece
            at += len(piece)
            if at >= end:
                return
            _, now, piece = self._fetch(path, at, min(FETCH_BYTES, end - at))
            if now != etag:
                raise Refusal(Code.INPUT_CHANGED, f"{path} was replaced while it was being read.", "Submit it again.")

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError):
            raise self._refuse("the server does not accept our credentials for this") from None
        except (BaseError, ValueError) as wrong:
            if "NoSuchBucket" in str(wrong):
                raise self._refuse("there is no such bucket") from None
            raise self._refuse(_first_line(wrong)) from None

    @contextmanager
    def _reaching_bucket(self) -> Iterator[None]:
        with self._reaching():
            try:
                yield
            except FileNotFoundError:
                raise self._refuse("there is no such bucket") from None


class BucketWriter:
    """The port's Writer. Up to PART_BYTES are kept here, so that a small object needs a single request."""

    def __init__(self, bucket: Bucket, path: str) -> None:
        self.size_bytes = 0
        self._bucket = bucket
        self._path = path
        self._pending = bytearray()
        self._digest = hashlib.sha256()
        self._parts: obstore.WritableFile | None = None
        self._stored: Stored | None = None

    @property
    def stored(self) -> Stored:
        if self._stored is None:
            raise RuntimeError("the object is not written yet")
        return self._stored

    def sha256(self) -> str:
        """Of the bytes so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        self.size_bytes += len(data)
        self._digest.update(data)
        self._pending += data
        if len(self._pending) >= PART_BYTES:
            self._send()

    def abort(self, wrong: BaseException) -> None:
        if self._parts is not None:
            with self._bucket._reaching():
                self._parts.__exit__(type(wrong), wrong, wrong.__traceback__)

    def finish(self) -> None:
        if self._parts is None:
            self._stored = self._bucket.put(self._path, bytes(self._pending))
            return
        self._send()
        with self._bucket._reaching_bucket():
            self._parts.close()
        # Completing a multipart upload tells no etag on every server.
        head = self._bucket.head(self._path)
        if head is None or head.size_bytes != self.size_bytes:
            raise self._bucket._refuse("it lost an object that it had confirmed")
        self._stored = Stored(self._path, self.sha256(), self.size_bytes, head.etag)

    def _send(self) -> None:
        with self._bucket._reaching_bucket():
            if self._parts is None:
                self._parts = obstore.open_writer(
                    self._bucket._store, self._path, buffer_size=PART_BYTES, max_concurrency=_UPLOADS_MAX
                )
            self._parts.write(bytes(self._pending))
        self._pending.clear()


def _etag(quoted: str | None) -> str:
    return (quoted or "").strip('"')


def _first_line(wrong: Exception) -> str:
    return str(wrong).partition("\n")[0].partition(" <?xml")[0][:300].rstrip(" .:")
