"""Files: bytes that an account keeps here under a name, to be a batch's input; and what batches wrote."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from fallow.artifacts.port import Verb, Writer
from fallow.control.callers import Caller
from fallow.control.places import Places
from fallow.control.results import Content
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros, Scope
from fallow.settings import Settings
from fallow.store.port import FileRow, Store, Tx

OUTPUT: Final = "batch_output"
PURPOSES: Final = ("batch", "assistants", "evals", "fine-tune", "user_data", "vision")
KEEP_SECONDS_MIN: Final = 3600
KEEP_SECONDS_MAX: Final = 30 * 86400
LIST_MAX: Final = 10_000
FILENAME_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class Naming:
    """What a file is called, and how long it is kept after it was made; None: until it is deleted."""

    filename: str
    purpose: str
    keep_seconds: int | None = None


def file_key(file_id: str) -> str:
    """Where a file's bytes are."""
    return f"files/{file_id}"


class Files:
    """An account sees its own files; of other people's nobody learns that they are there."""

    def __init__(self, store: Store, places: Places, settings: Settings) -> None:
        self._store = store
        self._places = places
        self._settings = settings

    @contextmanager
    def incoming(self, caller: Caller) -> Iterator["Incoming"]:
        """A file that is being written; there when the context ends and it was named, else nothing is left of it."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        file_id = f"file-{secrets.token_hex(12)}"
        with self._places.artifacts.stream_writer(file_key(file_id)) as writer:
            coming = Incoming(file_id, writer, self._settings.upload_bytes_max)
            yield coming
            if coming.naming is None:
                raise ValueError("a file without a name")
        coming.row = self.kept(caller, file_id, writer, coming.naming)

    def kept(
        self, caller: Caller, file_id: str, writer: Writer, naming: Naming, also: Callable[[Tx], None] | None = None
    ) -> FileRow:
        """The row of bytes that have just been written; without it they are removed again. also: done with it."""
        now = self._places.clock.now()
        expires = Micros(now + naming.keep_seconds * 1_000_000) if naming.keep_seconds is not None else None
        stored = writer.stored
        row = FileRow(
            file_id=file_id,
            account_id=caller.account_id,
            purpose=naming.purpose,
            filename=naming.filename,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
            artifact_key=stored.key,
            created_at=now,
            expires_at=expires,
        )
        try:
            with self._store.transaction() as tx:
                tx.add_account(caller.account_id, caller.account_id, now)
                if also is not None:
                    also(tx)
                return tx.add_file(row)
        except BaseException:
            # When the database went away at the commit, the row may be there all the same; then its bytes must be too.
            with suppress(Refusal):
                with self._store.reading() as tx:
                    there = tx.file(row.file_id)
                if there is None:
                    self._places.artifacts.delete([stored.key])
            raise

    def file(self, caller: Caller, file_id: str) -> FileRow:
        """Raises Refusal NOT_FOUND."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        with self._store.reading() as tx:
            return self.visible(caller, tx.file(file_id), file_id)

    def visible(self, caller: Caller, row: FileRow | None, file_id: str) -> FileRow:
        """The row, if it is there for this caller. Raises Refusal NOT_FOUND."""
        if row is None or not _is_theirs(caller, row) or not self._is_there(row):
            raise no_such_file(file_id)
        return row

    def listed(
        self, caller: Caller, *, after: str | None, newest_first: bool, limit: int, purpose: str
    ) -> tuple[list[FileRow], bool]:
        """The caller's own, and whether there are more. Raises Refusal NOT_FOUND for an `after` that is not known."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        limit = max(1, min(limit, LIST_MAX))
        now = self._places.clock.now()
        with self._store.reading() as tx:
            start: int | None = None
            if after is not None:
                last = tx.file(after)  # it may have been deleted since its page was read
                if last is None or last.account_id != caller.account_id:
                    raise no_such_file(after)
                start = last.file_key
            rows = tx.files(
                caller.account_id, after=start, newest_first=newest_first, limit=limit + 1, purpose=purpose, now=now
            )
        return rows[:limit], len(rows) > limit

    def content(self, caller: Caller, file_id: str) -> tuple[FileRow, Content]:
        """Raises Refusal NOT_FOUND."""
        row = self.file(caller, file_id)
        get = self._places.artifacts.get
        return row, Content(row.size_bytes, row.sha256, lambda start, length: get(row.artifact_key, start, length))

    def elsewhere(self, row: FileRow) -> str | None:
        """A URL that opens the file for a while without the door, for one so large that the operator wants it so."""
        least = self._settings.file_redirect_bytes
        if not least or row.size_bytes < least:
            return None
        return self._places.artifacts.sign(row.artifact_key, Verb.GET, self._places.url_seconds).url

    def delete(self, caller: Caller, file_id: str) -> None:
        """Nobody sees it any more; its bytes stay while a batch has yet to read them. Raises Refusal NOT_FOUND."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        with self._store.transaction() as tx:
            self.visible(caller, tx.file(file_id), file_id)
            tx.delete_file(file_id, self._places.clock.now())

    def sweep(self, limit: int) -> bool:
        """Files past their time are deleted, and the bytes of deleted ones that no batch has yet to read removed."""
        now = self._places.clock.now()
        with self._store.transaction() as tx:
            expired = tx.expire_files(now, limit)
            unread = tx.unread_files(limit)
        self._places.artifacts.delete(row.artifact_key for row in unread)
        with self._store.transaction() as tx:
            for row in unread:
                tx.remove_file(row.file_id)
        return bool(expired or unread)

    def _is_there(self, row: FileRow) -> bool:
        expired = row.expires_at is not None and row.expires_at <= self._places.clock.now()
        return row.deleted_at is None and not expired


class Incoming:
    """A file on its way in. naming: set before the context ends. row: there after it."""

    def __init__(self, file_id: str, writer: Writer, size_bytes_max: int) -> None:
        self.file_id = file_id
        self.naming: Naming | None = None
        self.row: FileRow | None = None
        self._writer = writer
        self._size_bytes_max = size_bytes_max

    def write(self, data: bytes) -> None:
        """Appends. Raises Refusal TOO_LARGE or STORAGE_FULL."""
        if self._writer.size_bytes + len(data) > self._size_bytes_max:
            raise Refusal(
                Code.TOO_LARGE,
                f"The file is larger than the {self._size_bytes_max} bytes this server takes.",
                "Send a smaller one.",
                {"field": "file"},
            )
        self._writer.write(data)


def checked_naming(filename: str, purpose: str, keep_seconds: int | None) -> Naming:
    """Raises Refusal BAD_REQUEST."""
    if purpose not in PURPOSES:
        raise Refusal(
            Code.BAD_REQUEST,
            f"{purpose[:60]!r} is not a purpose.",
            f"Use one of {', '.join(PURPOSES)}.",
            {"field": "purpose"},
        )
    plain = "".join(char for char in filename if char.isprintable())[:FILENAME_MAX]
    return Naming(plain or "upload", purpose, checked_keep(keep_seconds))


def checked_keep(seconds: int | None) -> int | None:
    """Raises Refusal BAD_REQUEST."""
    if seconds is not None and not KEEP_SECONDS_MIN <= seconds <= KEEP_SECONDS_MAX:
        raise Refusal(
            Code.BAD_REQUEST,
            f"A file cannot expire {seconds} seconds after it was made.",
            f"Use {KEEP_SECONDS_MIN} (an hour) to {KEEP_SECONDS_MAX} (30 days).",
            {"field": "expires_after.seconds"},
        )
    return seconds


def no_such_file(file_id: str) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"No such File object: {file_id[:80]}.", "See the list of files.", {"field": "id"})


def _is_theirs(caller: Caller, row: FileRow) -> bool:
    return caller.sees_all or row.account_id == caller.account_id
