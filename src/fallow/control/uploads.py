"""Uploads: files that come in parts, within an hour, and become one when their sender says in which order."""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from fallow.artifacts.port import Writer
from fallow.control.callers import Caller
from fallow.control.files import Files, Naming, file_key
from fallow.control.places import Places
from fallow.core.lifecycle import IllegalMove, UploadEvent
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros, Scope, UploadState
from fallow.settings import Settings
from fallow.store.port import FileRow, Store, Tx, UploadPartRow, UploadRow

_LIVES_MICROS = 3600 * 1_000_000
_PARTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Uploaded:
    """file: once it is complete."""

    row: UploadRow
    file: FileRow | None = None


class Uploads:
    """Raises Refusal NOT_FOUND for other people's."""

    def __init__(self, store: Store, places: Places, files: Files, settings: Settings) -> None:
        self._store = store
        self._places = places
        self._files = files
        self._settings = settings

    def create(self, caller: Caller, naming: Naming, size_bytes: int, mime_type: str) -> Uploaded:
        """Raises Refusal TOO_LARGE."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        if size_bytes > self._settings.upload_bytes_max:
            raise Refusal(
                Code.TOO_LARGE,
                f"The file is larger than the {self._settings.upload_bytes_max} bytes this server takes.",
                "Send a smaller one.",
                {"field": "bytes"},
            )
        now = self._places.clock.now()
        row = UploadRow(
            upload_id=f"upload_{secrets.token_hex(12)}",
            account_id=caller.account_id,
            state=UploadState.PENDING,
            filename=naming.filename,
            purpose=naming.purpose,
            mime_type=mime_type,
            size_bytes=size_bytes,
            created_at=now,
            expires_at=Micros(now + _LIVES_MICROS),
            file_expires_seconds=naming.keep_seconds,
        )
        with self._store.transaction() as tx:
            tx.add_account(caller.account_id, caller.account_id, now)
            tx.add_upload(row)
        return Uploaded(row)

    @contextmanager
    def incoming_part(self, caller: Caller, upload_id: str) -> Iterator["IncomingPart"]:
        """A part that is being written; there when the context ends, else nothing is left of it.

        Raises Refusal STATE_CONFLICT when the upload is over, TOO_LARGE when its parts are more than the whole.
        """
        upload = self._pending(caller, upload_id)
        with self._store.reading() as tx:
            known = tx.upload_parts(upload_id)
        if len(known) >= _PARTS_MAX:
            raise Refusal(Code.TOO_LARGE, f"An upload has at most {_PARTS_MAX} parts.", "Send larger parts.")
        part_id = f"part_{secrets.token_hex(12)}"
        # A sender may repeat a part whose answer was lost, so all together may be more than the whole; not much more.
        left = 2 * upload.size_bytes - sum(part.size_bytes for part in known)
        with self._places.artifacts.stream_writer(f"parts/{upload_id}/{part_id}") as writer:
            coming = IncomingPart(writer, min(upload.size_bytes, left))
            yield coming
        stored = writer.stored
        part = UploadPartRow(part_id, upload_id, stored.key, stored.size_bytes, self._places.clock.now())
        with self._store.transaction() as tx:
            kept = tx.add_upload_part(part)
        if not kept:
            self._places.artifacts.delete([stored.key])
            raise _over(upload_id, "over")
        coming.row = part

    def complete(self, caller: Caller, upload_id: str, part_ids: Sequence[str], md5: str | None) -> Uploaded:
        """The parts, in this order, are a file now. Asked again, it gives the same file.

        Raises Refusal STATE_CONFLICT, BAD_REQUEST for parts or bytes that are not all there, DIGEST_MISMATCH.
        """
        found = self.upload(caller, upload_id)
        if found.row.state is UploadState.COMPLETED:
            return found
        upload = self._pending(caller, upload_id)
        parts = self._in_order(upload, part_ids)
        file_id = f"file-{secrets.token_hex(12)}"
        digest = hashlib.md5(usedforsecurity=False)
        with self._places.artifacts.stream_writer(file_key(file_id)) as writer:
            for part in parts:
                for piece in self._places.artifacts.get(part.artifact_key):
                    digest.update(piece)
                    writer.write(piece)
            if md5 is not None and digest.hexdigest() != md5.lower():
                raise Refusal(
                    Code.DIGEST_MISMATCH,
                    f"The parts have the MD5 {digest.hexdigest()}, not {md5[:40]}.",
                    "Send them again, or give them in their order.",
                    {"field": "md5"},
                )
        naming = Naming(upload.filename, upload.purpose, upload.file_expires_seconds)
        self._files.kept(
            caller, file_id, writer, naming, lambda tx: self._move(tx, upload_id, UploadEvent.COMPLETE, file_id)
        )
        self._sweep(upload_id)
        return self.upload(caller, upload_id)

    def cancel(self, caller: Caller, upload_id: str) -> Uploaded:
        """Its parts are removed. Raises Refusal STATE_CONFLICT when it is completed or expired."""
        if self.upload(caller, upload_id).row.state is not UploadState.CANCELLED:
            self._end(upload_id, UploadEvent.CANCEL)
        return self.upload(caller, upload_id)

    def upload(self, caller: Caller, upload_id: str) -> Uploaded:
        """Raises Refusal NOT_FOUND."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        with self._store.reading() as tx:
            row = tx.upload(upload_id)
            file = tx.file(row.file_id) if row is not None and row.file_id else None
        if row is None or not (caller.sees_all or row.account_id == caller.account_id):
            raise Refusal(Code.NOT_FOUND, f"No such Upload object: {upload_id[:80]}.", "", {"field": "upload_id"})
        return Uploaded(row, file)

    def expire(self, limit: int) -> bool:
        """Ends uploads that were not completed in time; True when there were any."""
        now = self._places.clock.now()
        with self._store.reading() as tx:
            late = tx.late_uploads(now, limit)
        for row in late:
            try:
                self._end(row.upload_id, UploadEvent.EXPIRE)
            except Refusal:  # completed or cancelled at this very moment
                continue
        return bool(late)

    def _pending(self, caller: Caller, upload_id: str) -> UploadRow:
        row = self.upload(caller, upload_id).row
        if row.state is not UploadState.PENDING:
            raise _over(upload_id, row.state)
        if row.expires_at <= self._places.clock.now():
            raise _over(upload_id, UploadState.EXPIRED)
        return row

    def _in_order(self, upload: UploadRow, part_ids: Sequence[str]) -> list[UploadPartRow]:
        with self._store.reading() as tx:
            known = {part.part_id: part for part in tx.upload_parts(upload.upload_id)}
        missing = next((each for each in part_ids if each not in known), None)
        if missing is not None or len(set(part_ids)) != len(part_ids):
            said = f"The upload has no part {missing[:80]}." if missing is not None else "A part is named twice."
            raise Refusal(Code.BAD_REQUEST, said, "Give each part's id once, in order.", {"field": "part_ids"})
        parts = [known[each] for each in part_ids]
        size = sum(part.size_bytes for part in parts)
        if size != upload.size_bytes:
            raise Refusal(
                Code.BAD_REQUEST,
                f"The parts have {size} bytes, and the upload was announced with {upload.size_bytes}.",
                "Send what is missing, and name all parts.",
                {"field": "part_ids"},
            )
        return parts

    def _end(self, upload_id: str, event: UploadEvent) -> None:
        with self._store.transaction() as tx:
            self._move(tx, upload_id, event, None)
        self._sweep(upload_id)

    def _move(self, tx: Tx, upload_id: str, event: UploadEvent, file_id: str | None) -> None:
        """Raises Refusal STATE_CONFLICT."""
        try:
            tx.move_upload(upload_id, event, file_id)
        except IllegalMove:
            row = tx.upload(upload_id)
            raise _over(upload_id, row.state if row else "over") from None

    def _sweep(self, upload_id: str) -> None:
        """The parts of an upload that is over: no more can come."""
        with self._store.reading() as tx:
            parts = tx.upload_parts(upload_id)
        self._places.artifacts.delete(part.artifact_key for part in parts)
        with self._store.transaction() as tx:
            tx.remove_upload_parts(upload_id)


def _over(upload_id: str, state: str) -> Refusal:
    return Refusal(Code.STATE_CONFLICT, f"The upload {upload_id} is {state}.", "Create another one.")


class IncomingPart:
    """A part on its way in. row: there after the context."""

    def __init__(self, writer: Writer, size_bytes_max: int) -> None:
        self.row: UploadPartRow | None = None
        self._writer = writer
        self._size_bytes_max = size_bytes_max

    def write(self, data: bytes) -> None:
        """Appends. Raises Refusal TOO_LARGE or STORAGE_FULL."""
        if self._writer.size_bytes + len(data) > self._size_bytes_max:
            raise Refusal(
                Code.TOO_LARGE, "The parts have more bytes than the upload was announced with.", "Create another one."
            )
        self._writer.write(data)
