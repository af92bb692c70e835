"""Inputs at http: and https: URLs, through the guard."""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from fallow.artifacts.guard import Fetched, Fetcher
from fallow.artifacts.locations import Entry, SourceHead, input_missing, input_unreadable
from fallow.artifacts.port import SignedUrl

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})\Z")


class HttpSource:
    """Source at a URL. A server that knows no ranges is read from the start, and what comes before is thrown away."""

    def __init__(self, uri: str, fetcher: Fetcher) -> None:
        self.uri = uri
        self._fetcher = fetcher

    def head(self) -> SourceHead:
        # A GET whose body is left unread: signed URLs of object stores allow that verb only, and HEAD lies more often.
        with self._fetcher.get(self.uri, {"Range": "bytes=0-0"}) as fetched:
            if fetched.status == 416:
                return SourceHead(0, _etag(fetched.headers))
            self._check(fetched)
            size = self._size(fetched)
            if size is None:
                raise input_unreadable(self.uri, "its server does not say how large it is", "Upload the file instead.")
            return SourceHead(size, _etag(fetched.headers))

    def read(self, start: int, length: int) -> bytes:
        return b"".join(self.stream(start, length))

    def stream(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if length == 0:
            return iter(())
        last = "" if length is None else str(start + length - 1)
        headers = {"Range": f"bytes={start}-{last}"} if start or length is not None else {}
        with ExitStack() as opening:
            fetched = opening.enter_context(self._fetcher.get(self.uri, headers))
            if fetched.status == 416:
                return iter(())
            self._check(fetched)
            skip = start if fetched.status == 200 else 0
            if fetched.status == 206 and _first(fetched.headers) != start:
                raise input_unreadable(self.uri, "its server sent another range than it was asked for")
            return _cut(opening.pop_all(), fetched.chunks, skip, length)

    def list(self) -> Iterator[Entry]:
        raise input_unreadable(self.uri, "a URL is a single file", "Name a directory or an s3: prefix instead.")

    def sign(self, expires_seconds: float, offset: int = 0, length: int | None = None) -> SignedUrl | None:
        return None

    def local_path(self) -> Path | None:
        return None

    def _check(self, fetched: Fetched) -> None:
        if fetched.status in (404, 410):
            raise input_missing(self.uri)
        if fetched.status not in (200, 206):
            raise input_unreadable(self.uri, f"its server answers {fetched.status}")
        if fetched.headers.get("content-encoding", "identity") != "identity":
            raise input_unreadable(self.uri, "its server sends it compressed though it was asked not to")

    def _size(self, fetched: Fetched) -> int | None:
        match = _CONTENT_RANGE.match(fetched.headers.get("content-range", ""))
        if fetched.status == 206:
            return int(match[2]) if match else None
        length = fetched.headers.get("content-length", "")
        return int(length) if length.isascii() and length.isdigit() else None


def _etag(headers: Mapping[str, str]) -> str:
    return headers.get("etag") or headers.get("last-modified") or ""


def _first(headers: Mapping[str, str]) -> int | None:
    match = _CONTENT_RANGE.match(headers.get("content-range", ""))
    return int(match[1]) if match else None


def _cut(opened: ExitStack, chunks: Iterator[bytes], skip: int, length: int | None) -> Iterator[bytes]:
    """The chunks without the first `skip` bytes, at most `length` of the rest; closes what was opened for them."""
    with opened:
        left = length
        for chunk in chunks:
            kept = chunk[skip:] if left is None else chunk[skip : skip + left]
            skip = max(skip - len(chunk), 0)
            if left is not None:
                left -= len(kept)
            if kept:
                yield kept
            if left == 0:
                return
