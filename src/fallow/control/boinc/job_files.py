"""Files that are staged for jobs before the jobs are submitted: an account's own, by the names that jobs call them.

The bytes are kept under their digest, so that a name can be given again while older jobs still read what it meant.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from fallow.control.callers import Caller
from fallow.control.places import Places
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros, Scope
from fallow.store.port import JobFileRow, Store

FILE_BYTES_MAX: Final = 4096 * 1024 * 1024


class JobFiles:
    """Each account sees its own."""

    def __init__(self, store: Store, places: Places) -> None:
        self._store = store
        self._places = places

    def absent(self, caller: Caller, names: Sequence[str], delete_at: Micros) -> list[int]:
        """The places in `names` of those that are not there; the others are kept until then at least (0: for ever)."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        with self._store.transaction() as tx:
            there = {row.name for row in tx.boinc_job_files(caller.account_id, names)}
            if there:
                tx.keep_boinc_job_files(caller.account_id, sorted(there), delete_at)
        return [place for place, name in enumerate(names) if name not in there]

    def stage(self, caller: Caller, name: str, pieces: Iterable[bytes], delete_at: Micros) -> JobFileRow:
        """Keeps one file. name: a safe one. Raises Refusal TOO_LARGE."""
        caller.needs(Scope.SUBMIT, Scope.OPERATE)
        stored = self._places.artifacts.put_blob(bounded(pieces))
        now = self._places.clock.now()
        row = JobFileRow(caller.account_id, name, stored.key, stored.sha256, stored.size_bytes, now, delete_at)
        with self._store.transaction() as tx:
            tx.save_boinc_job_file(row)
        return row

    def keep(self, content: bytes) -> JobFileRow:
        """The content of an inline file, named as BOINC names it."""
        stored = self._places.artifacts.put_blob([content])
        name = "jf_" + hashlib.md5(content, usedforsecurity=False).hexdigest()
        return JobFileRow("", name, stored.key, stored.sha256, stored.size_bytes, self._places.clock.now(), Micros(0))

    def found(self, account_id: str, names: Sequence[str]) -> dict[str, JobFileRow]:
        """Those that are there, by name."""
        with self._store.reading() as tx:
            return {row.name: row for row in tx.boinc_job_files(account_id, names)}

    def text(self, account_id: str, name: str, size_bytes_max: int) -> str | None:
        """A small file's text. None: there is none, or it is too large, or no text."""
        row = self.found(account_id, [name]).get(name)
        if row is None or row.size_bytes > size_bytes_max:
            return None
        try:
            return self._places.artifacts.read(row.artifact_key, 0, row.size_bytes).decode()
        except UnicodeDecodeError:
            return None


def bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Raises Refusal TOO_LARGE."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > FILE_BYTES_MAX:
            raise Refusal(Code.TOO_LARGE, f"The file is larger than {FILE_BYTES_MAX} bytes.", "Split it.")
        yield piece
