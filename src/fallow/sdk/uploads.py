"""Sends an input file to the server's own store; an upload that broke off goes on where it stopped."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.jobs import Uploaded
from fallow.sdk.transport import RETRIES, Transport, decoded, pause

PIECE_BYTES = 1 << 20
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
OnBytes = Callable[[int, int], None]  # (sent so far, of so many)


def upload_file(transport: Transport, path: Path, on_bytes: OnBytes | None = None) -> Uploaded:
    """Uploads the file; `uri` of the answer names it. Raises Refusal INPUT_MISSING, INPUT_UNREADABLE, INPUT_CHANGED."""
    try:
        with path.open("rb") as file:
            return _Upload(transport, file, upload_name(path, os.fstat(file.fileno())), on_bytes).run()
    except FileNotFoundError:
        raise Refusal(Code.INPUT_MISSING, f"There is no input {path}.", "Check the path.") from None
    except OSError as wrong:
        raise Refusal(
            Code.INPUT_UNREADABLE,
            f"The input {path} cannot be read: {wrong.strerror}.",
            "Give a file that can be read.",
        ) from None


def upload_name(path: Path, stat: os.stat_result) -> str:
    """The same for the same file unless it changed, so that a second try goes on with the first one's bytes."""
    identity = f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ino}"
    digest = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:20]
    return f"{digest}-{_UNSAFE.sub('_', path.name)[-80:]}"


class _Upload:
    def __init__(self, transport: Transport, file: BinaryIO, name: str, on_bytes: OnBytes | None) -> None:
        self._transport = transport
        self._file = file
        self._stat = os.fstat(file.fileno())
        self._path = f"/api/inputs/{name}"
        self._on_bytes = on_bytes or (lambda _sent, _total: None)

    def run(self) -> Uploaded:
        failures = 0
        furthest = 0
        while True:
            offset = self._offset()
            if offset > furthest:
                furthest, failures = offset, 0
            try:
                return self._send(offset)
            except Refusal as refusal:
                again = refusal.code in (Code.SERVER_UNREACHABLE, Code.OFFSET_CONFLICT)
                if not again or failures == RETRIES:
                    raise
            pause(failures)
            failures += 1

    def _offset(self) -> int:
        answer = self._transport.send("HEAD", self._path)
        offset = answer.headers.get("upload-offset", "0")
        return int(offset) if offset.isdigit() and int(offset) < self._stat.st_size else 0

    def _send(self, offset: int) -> Uploaded:
        total = self._stat.st_size
        headers = {"content-type": "application/octet-stream", "content-length": str(total - offset)}
        if total:
            headers["content-range"] = f"bytes {offset}-{total - 1}/{total}"
        answer = self._transport.send("PUT", self._path, content=self._pieces(offset), headers=headers, retry=False)
        return decoded(Uploaded, answer.content)

    def _pieces(self, offset: int) -> Iterator[bytes]:
        self._file.seek(offset)
        sent, total = offset, self._stat.st_size
        while sent < total:
            piece = self._file.read(min(PIECE_BYTES, total - sent))
            if not piece or os.fstat(self._file.fileno()).st_mtime_ns != self._stat.st_mtime_ns:
                raise Refusal(
                    Code.INPUT_CHANGED, "The input changed while it was uploaded.", "Submit again when it is complete."
                )
            yield piece
            sent += len(piece)
            self._on_bytes(sent, total)
