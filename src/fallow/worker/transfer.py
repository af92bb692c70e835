"""Bytes in and out over HTTP, with resuming. Standard library only. URLs are signed: there are no headers to add."""

import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

BLOCK = 1 << 18
TRIES = 8
SILENCE_SECONDS = 60.0
Wait = Callable[[float], bool]  # sleeps; True means: stop trying


class TransferFailed(Exception):
    """status: the server's last answer, 0 when there was none. code: its error code, if it gave one."""

    def __init__(self, message: str, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Fetched:
    sha256: str
    size_bytes: int


def fetch(url: str, path: Path, offset: int, length: int, wait: Wait, tries_max: int = TRIES) -> Fetched:
    """Bytes offset..offset+length-1 of the URL (length 0: all from the offset) into `path`.

    What is already in `path` is kept and continued, also across a restart. Raises TransferFailed after a bounded number
    of tries without progress; OSError when the disk is full.
    """
    tries = 0
    while True:
        have = path.stat().st_size if path.exists() else 0
        if length and have >= length:
            break
        try:
            if _fetch_rest(url, path, offset, length, have):
                break
            error = "the answer ended early"
        except TransferFailed as failed:
            if 400 <= failed.status < 500 and failed.status not in {408, 429}:
                raise
            error = str(failed)
        tries = 0 if path.exists() and path.stat().st_size > have else tries + 1
        if tries >= tries_max or wait(min(10.0, 0.2 * 2**tries)):
            raise TransferFailed(f"{_where(url)} could not be read: {error}")
    if length and path.stat().st_size > length:
        raise TransferFailed(f"{_where(url)} sent more than was asked for", 200, "too_long")
    return hashed(path)


def hashed(path: Path) -> Fetched:
    """Size and SHA-256 of a file."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            size += len(block)
    return Fetched(digest.hexdigest(), size)


def send(url: str, path: Path, content_type: str, wait: Wait, tries_max: int = TRIES) -> None:
    """PUT the whole file; after a cut, the rest of it where the server says how much it has. Raises TransferFailed."""
    total = path.stat().st_size
    tries = 0
    while True:
        offset = _already_there(url) if tries else 0
        if offset >= total > 0:
            return
        try:
            _put(url, path, offset, total, content_type)
            return
        except TransferFailed as failed:
            if 400 <= failed.status < 500 and failed.status not in {408, 409, 429}:
                raise
            tries += 1
            if tries >= tries_max or wait(min(10.0, 0.2 * 2**tries)):
                raise


def _fetch_rest(url: str, path: Path, offset: int, length: int, have: int) -> bool:
    """One request for what is missing; whether the answer came to its end."""
    request = urllib.request.Request(url)  # noqa: S310 - the scheme is checked in _open
    first = offset + have
    if first or length:
        request.add_header("Range", f"bytes={first}-{offset + length - 1 if length else ''}")
    try:
        with _open(request) as response:
            whole = response.status == 200
            expected = response.headers.get("Content-Length")
            if whole and first:
                # The server ignored the range: skip what stands before it.
                _skip(response, first)
                expected = None
            left = length - have if length else -1
            with path.open("ab") as file:
                written = _copy(response, file, left)
    except urllib.error.HTTPError as wrong:
        if wrong.code == 416 and not length and have:
            return True
        raise _failed(url, wrong) from None
    if length:
        return have + written >= length
    return expected is None or written >= int(expected)


def _copy(response: http.client.HTTPResponse, file: BinaryIO, left: int) -> int:
    """Copies until the end, `left` bytes (-1: no bound) or a cut. OSError is the disk's, never the network's."""
    written = 0
    while left:
        try:
            block = response.read(min(BLOCK, left) if left > 0 else BLOCK)
        except http.client.IncompleteRead as cut:
            block, left = cut.partial, len(cut.partial)
        except (OSError, http.client.HTTPException):
            break
        if not block:
            break
        file.write(block)
        written += len(block)
        left = left - len(block) if left > 0 else left
    return written


def _skip(response: http.client.HTTPResponse, count: int) -> None:
    while count > 0:
        block = response.read(min(BLOCK, count))
        if not block:
            return
        count -= len(block)


def _put(url: str, path: Path, offset: int, total: int, content_type: str) -> None:
    with path.open("rb") as file:
        file.seek(offset)
        request = urllib.request.Request(url, data=file, method="PUT")  # noqa: S310 - checked in _open
        request.add_header("Content-Type", content_type)
        request.add_header("Content-Length", str(total - offset))
        if offset:
            request.add_header("Content-Range", f"bytes {offset}-{total - 1}/{total}")
        try:
            with _open(request) as response:
                response.read()
        except urllib.error.HTTPError as wrong:
            raise _failed(url, wrong) from None


def _already_there(url: str) -> int:
    """How many bytes the server kept of an upload that was cut; 0 where it does not say (a presigned S3 URL)."""
    if "X-Amz-Signature" in url:
        return 0
    try:
        with _open(urllib.request.Request(url, method="HEAD")) as response:  # noqa: S310 - checked in _open
            return int(response.headers.get("Upload-Offset", "0"))
    except (TransferFailed, urllib.error.HTTPError, ValueError):
        return 0


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    if urlsplit(request.full_url).scheme not in {"http", "https"}:
        raise TransferFailed("only http and https URLs are opened", 400, "url_invalid")
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=SILENCE_SECONDS)  # noqa: S310
        return response
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError as wrong:
        raise TransferFailed(f"{_where(request.full_url)} cannot be reached: {wrong.reason}") from None
    except (OSError, http.client.HTTPException) as wrong:
        raise TransferFailed(f"{_where(request.full_url)} broke off: {type(wrong).__name__}") from None


def _failed(url: str, wrong: urllib.error.HTTPError) -> TransferFailed:
    code = ""
    try:
        code = json.loads(wrong.read(1 << 16))["error"]["code"]
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        code = ""  # the answer has no code of ours; the status must do
    return TransferFailed(f"{_where(url)} answered {wrong.code}", wrong.code, code)


def _where(url: str) -> str:
    """The host only: the rest of a signed URL is a secret."""
    return urlsplit(url).netloc or "the URL"


def sleep(seconds: float) -> bool:
    """A Wait that is never told to stop."""
    time.sleep(seconds)
    return False
