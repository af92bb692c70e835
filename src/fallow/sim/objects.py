"""An object store in memory, and inputs that can change. Fakes live in this room."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fallow.artifacts.locations import Entry, SourceHead, input_missing
from fallow.artifacts.port import (
    Head,
    SignedUrl,
    Stored,
    Verb,
    Writer,
    blob_key,
    checked_key,
    checked_range,
    digest_mismatch,
    not_found,
)
from fallow.artifacts.signing import Grant, Signer
from fallow.clock import Clock
from fallow.core.words import Micros


class MemoryWriter:
    """The port's Writer over a list of pieces."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size_bytes = 0
        self._stored: Stored | None = None

    @property
    def stored(self) -> Stored:
        assert self._stored is not None, "the object is not written yet"
        return self._stored

    def write(self, data: bytes) -> None:
        self.pieces.append(data)
        self.size_bytes += len(data)

    def name(self, stored: Stored) -> None:
        self._stored = stored


class MemoryArtifacts:
    """ArtifactStore. touched: called before each use, so that a driver can make it fail."""

    def __init__(self, signer: Signer, clock: Clock, touched: Callable[[], None]) -> None:
        self.objects: dict[str, bytes] = {}
        self._etags: dict[str, str] = {}
        self._signer = signer
        self._clock = clock
        self._touched = touched

    def put(self, key: str, chunks: Iterable[bytes]) -> Stored:
        checked_key(key)
        data = b"".join(chunks)
        self._touched()
        return self._keep(key, data)

    def _keep(self, key: str, data: bytes) -> Stored:
        sha256 = hashlib.sha256(data).hexdigest()
        self.objects[key] = data
        self._etags[key] = sha256[:16]
        return Stored(key, sha256, len(data), sha256[:16])

    def put_blob(self, chunks: Iterable[bytes], expected_sha256: str | None = None) -> Stored:
        data = b"".join(chunks)
        sha256 = hashlib.sha256(data).hexdigest()
        if expected_sha256 not in (None, sha256):
            raise digest_mismatch(expected_sha256 or "", sha256)
        self._touched()
        return self._keep(blob_key(sha256), data)

    def put_file(self, key: str, path: Path) -> Stored:
        stored = self.put(key, [path.read_bytes()])
        path.unlink()
        return stored

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._touched()
        if key in self.objects:
            return False
        self._keep(checked_key(key), data)
        return True

    @contextmanager
    def stream_writer(self, key: str) -> Iterator[Writer]:
        checked_key(key)
        writer = MemoryWriter()
        yield writer
        self._touched()
        writer.name(self._keep(key, b"".join(writer.pieces)))

    def get(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        checked_range(start, length)
        data = self._read(key)[start:] if length is None else self._read(key)[start : start + length]
        return iter((data,) if data else ())

    def read(self, key: str, start: int, length: int) -> bytes:
        checked_range(start, length)
        return self._read(key)[start : start + length]

    def _read(self, key: str) -> bytes:
        self._touched()
        if key not in self.objects:
            raise not_found(key)
        return self.objects[key]

    def head(self, key: str) -> Head | None:
        self._touched()
        data = self.objects.get(checked_key(key))
        return None if data is None else Head(key, len(data), self._etags[key])

    def list(self, prefix: str = "") -> Iterator[Head]:
        self._touched()
        keys = [key for key in self.objects if not prefix or key.startswith(prefix + "/")]
        return iter([Head(key, len(self.objects[key]), self._etags[key]) for key in keys])

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._touched()
            self.objects.pop(key, None)

    def path_of(self, key: str) -> Path | None:
        return None

    def sign(
        self,
        key: str,
        verb: Verb,
        expires_seconds: float,
        *,
        offset: int = 0,
        length: int | None = None,
        size_bytes_max: int | None = None,
    ) -> SignedUrl:
        expires_at = Micros(self._clock.now() + int(expires_seconds * 1_000_000))
        grant = Grant(verb, checked_key(key), expires_at, offset, length, size_bytes_max)
        return SignedUrl(self._signer.url(grant))

    def ping(self) -> None:
        self._touched()


class Inputs:
    """What submitters have: "sim:name" is a file, "sim:name/" all files below. They can change at any time."""

    def __init__(self, touched: Callable[[], None]) -> None:
        self.files: dict[str, bytes] = {}
        self.touched = touched

    def source(self, uri: str) -> "InputSource":
        return InputSource(uri, uri.removeprefix("sim:"), self)


class InputSource:
    """Source of an input in memory."""

    def __init__(self, uri: str, name: str, inputs: Inputs) -> None:
        self.uri = uri
        self._name = name
        self._inputs = inputs

    def head(self) -> SourceHead:
        data = self._data()
        return SourceHead(len(data), hashlib.sha256(data).hexdigest()[:12])

    def read(self, start: int, length: int) -> bytes:
        return self._data()[start : start + length]

    def stream(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        data = self._data()[start:] if length is None else self._data()[start : start + length]
        return iter((data,) if data else ())

    def list(self) -> Iterator[Entry]:
        self._inputs.touched()
        for name in sorted(self._inputs.files):
            if name.startswith(self._name):
                head = self._inputs.source(f"sim:{name}").head()
                yield Entry(name.removeprefix(self._name), f"sim:{name}", head.size_bytes, head.etag)

    def sign(self, expires_seconds: float, offset: int = 0, length: int | None = None) -> SignedUrl | None:
        return None

    def local_path(self) -> Path | None:
        return None

    def _data(self) -> bytes:
        self._inputs.touched()
        if self._name not in self._inputs.files:
            raise input_missing(self.uri)
        return self._inputs.files[self._name]
