"""Inputs and outputs in buckets, and in fallow's own store."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import quote

from fallow.artifacts.bucket import Bucket, S3Access, S3Place
from fallow.artifacts.locations import Entry, SourceHead, input_missing, input_unreadable, output_unwritable
from fallow.artifacts.port import ArtifactStore, SignedUrl, Verb, Writer, not_found
from fallow.core.refusals import Code, Refusal


class S3Source:
    """Source of an object or a prefix."""

    def __init__(self, uri: str, place: S3Place, access: S3Access) -> None:
        self.uri = uri
        self._place = place
        self._bucket = Bucket(place.bucket, "", access, lambda why: input_unreadable(uri, why))

    def head(self) -> SourceHead:
        found = self._bucket.head(self._place.path) if self._place.path else None
        if found:
            return SourceHead(found.size_bytes, found.etag)
        if next(self._bucket.list(self._place.path), None):
            raise input_unreadable(self.uri, "it is a prefix", "Take it as a set of objects.")
        raise input_missing(self.uri)

    def read(self, start: int, length: int) -> bytes:
        with self._finding():
            return self._bucket.read(self._place.path, start, length)

    def stream(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        with self._finding():
            return self._bucket.stream(self._place.path, start, length)

    def list(self) -> Iterator[Entry]:
        above = f"{self._place.path}/" if self._place.path else ""
        found = False
        for head in self._bucket.list(self._place.path):
            found = True
            name = head.key.removeprefix(above)
            if not any(each.startswith(".") for each in name.split("/")):
                yield Entry(name, uri_of(self._place, head.key), head.size_bytes, head.etag)
        if not found:
            raise input_missing(self.uri)

    def sign(self, expires_seconds: float, offset: int = 0, length: int | None = None) -> SignedUrl | None:
        if offset and length is None:
            length = max(self.head().size_bytes - offset, 0)
        return SignedUrl(self._bucket.sign(self._place.path, Verb.GET, expires_seconds), offset, length or 0)

    def local_path(self) -> Path | None:
        return None

    @contextmanager
    def _finding(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise input_missing(self.uri) from None


class S3Target:
    """Target at a prefix."""

    def __init__(self, uri: str, place: S3Place, access: S3Access) -> None:
        self.uri = uri
        self._place = place
        self._bucket = Bucket(place.bucket, place.path, access, lambda why: output_unwritable(uri, why))

    def uri_of(self, name: str) -> str:
        return uri_of(self._place, f"{self._place.path}/{name}".lstrip("/"))

    def exists(self) -> bool:
        return next(self._bucket.list(""), None) is not None

    def check_writable(self) -> None:
        self.put(".check", b"")
        self.delete(".check")

    def stream_writer(self, name: str) -> AbstractContextManager[Writer]:
        return self._bucket.writer(self._checked(name))

    def put(self, name: str, data: bytes) -> None:
        with self.stream_writer(name) as writer:
            writer.write(data)

    def read(self, name: str) -> bytes:
        return b"".join(self.stream(name))

    def stream(self, name: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        try:
            return self._bucket.stream(self._checked(name), start, length)
        except FileNotFoundError:
            raise not_found(name) from None

    def delete(self, name: str) -> None:
        self._bucket.delete([self._checked(name)])

    def _checked(self, name: str) -> str:
        if any(each in ("", ".", "..") for each in name.split("/")) or len(name.encode()) > 900:
            raise output_unwritable(self.uri, f"{name[:80]!r} is no name for an object", "Rename it.")
        return name


class StoreSource:
    """Source of what was uploaded to fallow's own store: `fallow:KEY`."""

    def __init__(self, uri: str, key: str, store: ArtifactStore) -> None:
        self.uri = uri
        self._key = key
        self._store = store

    def head(self) -> SourceHead:
        found = self._store.head(self._key)
        if found is None:
            raise input_missing(self.uri)
        return SourceHead(found.size_bytes, found.etag)

    def read(self, start: int, length: int) -> bytes:
        with self._finding():
            return self._store.read(self._key, start, length)

    def stream(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        with self._finding():
            return self._store.get(self._key, start, length)

    def list(self) -> Iterator[Entry]:
        heads = sorted(self._store.list(self._key), key=lambda head: head.key)
        if not heads:
            raise input_missing(self.uri)
        for head in heads:
            yield Entry(head.key.removeprefix(f"{self._key}/"), f"fallow:{head.key}", head.size_bytes, head.etag)

    def sign(self, expires_seconds: float, offset: int = 0, length: int | None = None) -> SignedUrl | None:
        return self._store.sign(self._key, Verb.GET, expires_seconds, offset=offset, length=length)

    def local_path(self) -> Path | None:
        return self._store.path_of(self._key)

    @contextmanager
    def _finding(self) -> Iterator[None]:
        try:
            yield
        except Refusal as refused:
            if refused.code is Code.NOT_FOUND:
                raise input_missing(self.uri) from None
            raise


class StoreTarget:
    """Target below a prefix of fallow's own store: where outputs stay that were asked for nowhere else."""

    def __init__(self, prefix: str, store: ArtifactStore) -> None:
        self.uri = f"fallow:{prefix}"
        self._prefix = prefix
        self._store = store

    def uri_of(self, name: str) -> str:
        return f"{self.uri}/{name}"

    def exists(self) -> bool:
        return next(self._store.list(self._prefix), None) is not None

    def check_writable(self) -> None:
        self._store.ping()

    def stream_writer(self, name: str) -> AbstractContextManager[Writer]:
        return self._store.stream_writer(f"{self._prefix}/{name}")

    def put(self, name: str, data: bytes) -> None:
        self._store.put(f"{self._prefix}/{name}", [data])

    def read(self, name: str) -> bytes:
        return b"".join(self.stream(name))

    def stream(self, name: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self._store.get(f"{self._prefix}/{name}", start, length)

    def delete(self, name: str) -> None:
        self._store.delete([f"{self._prefix}/{name}"])


def uri_of(place: S3Place, path: str) -> str:
    """The URI of another object of the same bucket, reached in the same way."""
    options = [f"{name}={value}" for name, value in (("endpoint", place.endpoint), ("region", place.region)) if value]
    return f"s3://{place.bucket}/{quote(path)}" + ("?" + "&".join(options) if options else "")
