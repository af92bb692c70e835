"""Answer files as clients send them: whole or in parts, resumed where they were cut, checked when they are complete.

A small file is a row, as small artifacts are (docs/decisions/0007); a large one is an object. A part of a file is an
object, named after its offset, so that any door process may take the next one.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from fallow.artifacts.port import ArtifactStore, Head
from fallow.control.places import Places
from fallow.core.refusals import Code, Refusal
from fallow.store.port import Store

ANSWER_BYTES_MAX = 4 << 20
ROW_BYTES_MAX = 64 << 10
_PARTS_MAX = 64  # a client whose line breaks more often begins anew


class Taken(Enum):
    """What became of an upload."""

    KEPT = "kept"
    AGAIN = "again"  # send it once more, later
    NEVER = "never"  # nothing of that kind is taken


@dataclass(frozen=True, slots=True)
class Uploaded:
    taken: Taken
    why: str = ""


@dataclass(frozen=True, slots=True)
class UploadName:
    """A file that a client was asked for. directory: of the 1024, by its name. name: proven to be ours."""

    result_id: int
    directory: str
    name: str

    @property
    def key(self) -> str:
        """Where the whole file is."""
        return f"boinc/upload/{self.directory}/{self.name}"

    @property
    def parts(self) -> str:
        """Where its parts are until it is whole."""
        return f"boinc/parts/{self.directory}/{self.name}"


class Uploads:
    """Takes answer files of results that are out."""

    def __init__(self, store: Store, places: Places) -> None:
        self._store = store
        self._artifacts: ArtifactStore = places.artifacts

    def size(self, file: UploadName) -> int:
        """How many bytes are here already."""
        with self._store.reading() as tx:
            row = tx.answer_upload(file.result_id)
        if row is not None:
            return len(row)
        whole = self._artifacts.head(file.key)
        return whole.size_bytes if whole is not None else _reach(self._parts(file))

    def take(self, file: UploadName, offset: int, size_bytes: int, md5: str, data: bytes) -> Uploaded:
        """data: what came, from `offset` on; less than announced when the line broke. size_bytes, md5: of the file.

        Raises Refusal of the object store.
        """
        if size_bytes > ANSWER_BYTES_MAX:
            return Uploaded(Taken.NEVER, f"The file is larger than {ANSWER_BYTES_MAX} bytes.")
        if offset < 0 or offset + len(data) > size_bytes:
            return Uploaded(Taken.NEVER, "The offset is not within the file.")
        if offset == 0 and len(data) == size_bytes:
            return self._keep(file, data, md5)
        if not self._is_wanted(file.result_id):
            return Uploaded(Taken.NEVER, "That task is over.")
        return self._take_part(file, offset, size_bytes, md5, data)

    def _is_wanted(self, result_id: int) -> bool:
        with self._store.reading() as tx:
            result = tx.boinc_result(result_id)
        return result is not None and not result.is_over

    def _keep(self, file: UploadName, data: bytes, md5: str) -> Uploaded:
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5.lower():
            return Uploaded(Taken.AGAIN, "The bytes are not those of the MD5 that was sent.")
        if len(data) <= ROW_BYTES_MAX:
            with self._store.transaction() as tx:
                kept = tx.keep_upload(file.result_id, data)
        elif kept := self._is_wanted(file.result_id):
            self._artifacts.put(file.key, [data])
        return Uploaded(Taken.KEPT) if kept else Uploaded(Taken.NEVER, "That task is over.")

    def _take_part(self, file: UploadName, offset: int, size_bytes: int, md5: str, data: bytes) -> Uploaded:
        parts = self._parts(file)
        if offset > _reach(parts):
            return Uploaded(Taken.AGAIN, "There is a gap before the offset.")
        if len(parts) >= _PARTS_MAX:
            self._artifacts.delete([each.key for each in parts])
            return Uploaded(Taken.AGAIN, "It came in too many parts.")
        overwritten = [each.key for each in parts if _offset(each) >= offset]
        self._artifacts.delete(overwritten)
        self._artifacts.put(f"{file.parts}/{offset:010d}", [data])
        if offset + len(data) < size_bytes:
            return Uploaded(Taken.AGAIN, "The body is shorter than it says.")
        parts = self._parts(file)
        kept = self._keep(file, self._joined(parts), md5)
        self._artifacts.delete([each.key for each in parts])
        return kept

    def _parts(self, file: UploadName) -> list[Head]:
        return sorted(self._artifacts.list(file.parts), key=_offset)

    def _joined(self, parts: Iterable[Head]) -> bytes:
        """A later part overwrites the end of the one before."""
        whole = bytearray()
        for part in parts:
            del whole[_offset(part) :]
            whole += self._artifacts.read(part.key, 0, part.size_bytes)
        return bytes(whole)

    def read(self, file: UploadName) -> bytes | None:
        """The whole file; None when it is not here."""
        with self._store.reading() as tx:
            row = tx.answer_upload(file.result_id)
        if row is not None:
            return row
        try:
            return self._artifacts.read(file.key, 0, ANSWER_BYTES_MAX)
        except Refusal as refusal:
            if refusal.code is Code.NOT_FOUND:
                return None
            raise

    def forget(self, files: Iterable[UploadName]) -> None:
        """Removes large files: their answers are in rows now. Small ones go in the transaction that takes them."""
        self._artifacts.delete([file.key for file in files])


def _offset(part: Head) -> int:
    return int(part.key.rpartition("/")[2])


def _reach(parts: Iterable[Head]) -> int:
    """How far the parts go without a gap."""
    reach = 0
    for part in parts:
        if _offset(part) > reach:
            break
        reach = max(reach, _offset(part) + part.size_bytes)
    return reach
