"""Objects in a bucket of Amazon S3 or of any server that speaks its protocol (Ceph, MinIO, Garage, R2, GCS's XML door).

An upload that dies with its process leaves invisible parts behind: give the bucket a lifecycle rule that aborts
incomplete multipart uploads after a day.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from fallow.artifacts.bucket import PART_BYTES, Bucket, BucketWriter, S3Access, access_from, place_of
from fallow.artifacts.port import (
    READ_BYTES,
    Head,
    SignedUrl,
    Stored,
    Verb,
    blob_key,
    checked_key,
    checked_range,
    digest_mismatch,
    not_found,
)
from fallow.core.refusals import Code, Refusal


class S3Store:
    """ArtifactStore below `path` in a bucket."""

    def __init__(self, bucket: str, path: str, access: S3Access) -> None:
        self._name = f"s3://{bucket}/{path}"
        self._bucket = Bucket(bucket, path, access, self._unreachable)

    def put(self, key: str, chunks: Iterable[bytes]) -> Stored:
        with self.stream_writer(key) as writer:
            for chunk in chunks:
                writer.write(chunk)
        return writer.stored

    def put_blob(self, chunks: Iterable[bytes], expected_sha256: str | None = None) -> Stored:
        if expected_sha256 is None:
            return self._put_unnamed_blob(chunks)
        with self._bucket.writer(blob_key(expected_sha256)) as writer:
            for chunk in chunks:
                writer.write(chunk)
            if writer.sha256() != expected_sha256:
                raise digest_mismatch(expected_sha256, writer.sha256())
        return writer.stored

    def put_file(self, key: str, path: Path) -> Stored:
        with path.open("rb") as file:
            stored = self.put(key, _pieces(file))
        path.unlink()
        return stored

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self._bucket.put_if_absent(checked_key(key), data)

    @contextmanager
    def stream_writer(self, key: str) -> Iterator[BucketWriter]:
        with self._bucket.writer(checked_key(key)) as writer:
            yield writer

    def get(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        checked_range(start, length)
        try:
            return self._bucket.stream(checked_key(key), start, length)
        except FileNotFoundError:
            raise not_found(key) from None

    def read(self, key: str, start: int, length: int) -> bytes:
        checked_range(start, length)
        try:
            return self._bucket.read(checked_key(key), start, length)
        except FileNotFoundError:
            raise not_found(key) from None

    def head(self, key: str) -> Head | None:
        return self._bucket.head(checked_key(key))

    def list(self, prefix: str = "") -> Iterator[Head]:
        return self._bucket.list(checked_key(prefix) if prefix else "")

    def delete(self, keys: Iterable[str]) -> None:
        self._bucket.delete([checked_key(key) for key in keys])

    def path_of(self, key: str) -> Path | None:
        checked_key(key)
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
        url = self._bucket.sign(checked_key(key), verb, expires_seconds)
        if offset and length is None:
            head = self.head(key)
            if head is None:
                raise not_found(key)
            length = max(head.size_bytes - offset, 0)
        return SignedUrl(url, offset, length or 0)

    def ping(self) -> None:
        self.put("ping/ping", [b"ping"])
        if self.read("ping/ping", 0, 4) != b"ping":
            raise self._unreachable("it does not give back what was written")

    def _put_unnamed_blob(self, chunks: Iterable[bytes]) -> Stored:
        """The name is known only when all bytes have been seen, and S3 cannot rename: so they wait here."""
        digest = hashlib.sha256()
        with tempfile.SpooledTemporaryFile(PART_BYTES) as waiting:
            for chunk in chunks:
                digest.update(chunk)
                waiting.write(chunk)
            waiting.seek(0)
            return self.put(blob_key(digest.hexdigest()), _pieces(waiting))  # type: ignore[arg-type]  # it reads alike

    def _unreachable(self, why: str) -> Refusal:
        return Refusal(
            Code.STORAGE_UNREACHABLE,
            f"The object store {self._name} cannot be used: {why}.",
            "Check the endpoint, the bucket, and the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )


def open_s3(uri: str, environment: Mapping[str, str]) -> S3Store:
    """The store at `s3://bucket/path?endpoint=URL&region=NAME`; what the URI does not say, the AWS_ variables do.

    Raises Refusal SETTING_INVALID.
    """
    try:
        place = place_of(uri)
    except ValueError as wrong:
        remedy = "Write it as s3://bucket/path?endpoint=https://host."
        raise Refusal(Code.SETTING_INVALID, f"{uri} is no object store: {wrong}.", remedy) from None
    access = access_from(environment)
    access = replace(access, endpoint=place.endpoint or access.endpoint, region=place.region or access.region)
    return S3Store(place.bucket, place.path, access)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(READ_BYTES):
        yield piece
