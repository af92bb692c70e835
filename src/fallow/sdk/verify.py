"""Proves a job's output offline from its manifest: every hash, every signature, every line.

What is proved: each line of output.jsonl is one that the named worker signed for (or an error line that the server made
for items nobody could do), in item order, none missing, none added. What is not: that the model was right; a quorum is
for that.
"""

import contextlib
import hashlib
from pathlib import Path
from typing import BinaryIO

from fallow.core.merkle import Tree
from fallow.core.receipt import Receipt
from fallow.core.volunteers import is_volunteer
from fallow.core.words import WorkerId
from fallow.sdk.errors_file import ErrorsFile
from fallow.sdk.manifest import Damaged, Entry, Head, Manifest
from fallow.sdk.regions import Region, first_broken_line, read_region
from fallow.sdk.signatures import receipt_of, worker_id_of
from fallow.sdk.verdict import ERRORS, MANIFEST, OUTPUT, Verdict, said


def verify(directory: Path) -> Verdict:
    """Everything that is wrong with the output in this directory. Never raises for what the files hold."""
    verdict = Verdict()
    with contextlib.ExitStack() as stack:
        files = {}
        for name in (MANIFEST, OUTPUT, ERRORS):
            try:
                files[name] = stack.enter_context((directory / name).open("rb"))
            except OSError as wrong:
                verdict.add(name, None, f"{name} cannot be read: {wrong.strerror}.")
        if MANIFEST in files:
            try:
                _check(Manifest(files[MANIFEST]), files.get(OUTPUT), files.get(ERRORS), verdict)
            except OSError as wrong:
                verdict.add(MANIFEST, None, f"The files cannot be read to their ends: {wrong.strerror}.")
    return verdict


def _check(manifest: Manifest, output: BinaryIO | None, errors: BinaryIO | None, verdict: Verdict) -> None:
    try:
        head = manifest.head()
        verdict.job_id, verdict.workers = head.job_id, len(head.public_keys)
        _check_workers(head, verdict)
        walk = _Walk(head, output, errors, verdict)
        for entry in manifest.entries():
            walk.take(entry)
        walk.finish()
        tail = manifest.tail()
    except Damaged as damaged:
        verdict.add(MANIFEST, damaged.line, damaged.sentence)
        return
    if tail.job_root != walk.job_tree.root():
        verdict.add(MANIFEST, None, "The job root in manifest.json is not the root of its chunks.")
    if tail.seal != tail.actual_seal:
        verdict.add(MANIFEST, None, _broken_seal(tail.changed_line))


def _broken_seal(line: int | None) -> str:
    where = f"line {line + 1} is not the one that was written" if line is not None else "its seal does not fit it"
    return f"manifest.json was changed after it was sealed: {where}."


def _check_workers(head: Head, verdict: Verdict) -> None:
    """A worker is named after its key, but for volunteers: theirs the server has kept since their first answer."""
    for worker_id, key in head.public_keys.items():
        if worker_id != worker_id_of(key) and not is_volunteer(WorkerId(worker_id)):
            verdict.add(MANIFEST, None, f"The public key given for worker {said(worker_id)} is not that worker's.")
    for name in (OUTPUT, ERRORS):
        if name not in head.files:
            verdict.add(MANIFEST, None, f"manifest.json does not describe {name}.")


class _Walk:
    """One pass over the chunks, with the outputs and the errors beside them."""

    def __init__(self, head: Head, output: BinaryIO | None, errors: BinaryIO | None, verdict: Verdict) -> None:
        self.job_tree = Tree()
        self._head = head
        self._verdict = verdict
        self._output = output
        self._whole = hashlib.sha256()
        self._lines = 0  # read from the output so far
        self._next_line: int | None = 0
        self._next_item: int | None = None
        self._errors = ErrorsFile(errors, head.files[ERRORS], verdict) if errors and ERRORS in head.files else None
        # A file of the right size is cut by sizes, so that a lost newline spoils one chunk; another one by lines.
        self._by_bytes = self._has_right_size()

    def _has_right_size(self) -> bool:
        fact = self._head.files.get(OUTPUT)
        if self._output is None or fact is None:
            return False
        size = self._output.seek(0, 2)
        self._output.seek(0)
        if size != fact.size_bytes:
            self._verdict.add(OUTPUT, None, f"{OUTPUT} has {size} bytes; it was written with {fact.size_bytes}.")
        return size == fact.size_bytes

    def take(self, entry: Entry | Damaged) -> None:
        """One line of the manifest's chunks."""
        if isinstance(entry, Damaged):
            self._verdict.add(MANIFEST, entry.line, entry.sentence)
            self._next_line = self._next_item = None
            return
        lost = self._next_line is None
        receipt = self._check_entry(entry)
        if self._output is None:
            return
        if lost and entry.line_start > self._lines:  # a damaged entry: the place of this one is found by counting
            self._read(None, entry.line_start - self._lines)
        size = receipt.artifact_size_bytes if receipt else entry.size_bytes
        region = self._read(size, None) if self._by_bytes else self._read(None, entry.lines)
        self._compare(entry, receipt, region)
        self._verdict.error_items += len(region.errors)
        if self._errors:
            self._errors.expect(entry, region.errors)

    def _check_entry(self, entry: Entry) -> Receipt | None:
        """What can be said without the output; the receipt, when its signature is good."""
        self._verdict.chunks += 1
        self._verdict.items += entry.lines
        self.job_tree.add(bytes.fromhex(entry.items_root))
        receipt, wrong = receipt_of(entry, self._head) if entry.envelope is not None else (None, [])
        self._verdict.receipts += receipt is not None
        wrong += self._misfits(entry)
        self._next_line, self._next_item = entry.line_start + entry.lines, entry.item_end + 1
        for each in wrong:
            place = f"Line {entry.number} of manifest.json, chunk {entry.chunk_id}"
            self._verdict.add(MANIFEST, entry.number, f"{place}: {each}.")
        return receipt

    def _misfits(self, entry: Entry) -> list[str]:
        wrong = []
        if entry.item_end - entry.item_start + 1 != entry.lines:
            wrong.append(f"items {entry.item_start} to {entry.item_end} are not {entry.lines} lines")
        if self._next_line is not None and entry.line_start != self._next_line:
            wrong.append(f"it begins at line {entry.line_start + 1} where line {self._next_line + 1} is next")
        if self._next_item is not None and entry.item_start != self._next_item:
            wrong.append(f"it begins with item {entry.item_start} where item {self._next_item} is next")
        if entry.envelope is None and entry.fault is None:
            wrong.append("it has neither a receipt nor a reason why there is none")
        if entry.envelope is not None and entry.attempts_agreeing < self._head.quorum:
            wrong.append(f"{entry.attempts_agreeing} answers agreed, and the job asked for {self._head.quorum}")
        return wrong

    def _read(self, size_bytes: int | None, lines: int | None) -> Region:
        assert self._output is not None
        region = read_region(self._output, size_bytes, lines, self._whole)
        self._lines += region.lines
        self._verdict.size_bytes += region.size_bytes
        return region

    def _compare(self, entry: Entry, receipt: Receipt | None, region: Region) -> None:
        """The bytes against what was signed; where nobody signed, against what the server wrote down."""
        sha256 = receipt.artifact_sha256 if receipt else entry.sha256
        root = receipt.items_root if receipt else entry.items_root
        if region.sha256 == sha256 and region.items_root == root and region.lines == entry.lines:
            return
        if region.lines < entry.lines and not self._by_bytes:
            have = f"it has {region.lines} of its {entry.lines} lines"
            self._verdict.add(OUTPUT, None, f"{OUTPUT} ends in the middle of chunk {entry.chunk_id}: {have}.")
            return
        first = self._lines - region.lines + 1
        line = self._changed_line(entry, region)
        where = f"Line {first + line}" if line is not None else f"One of lines {first} to {first + entry.lines - 1}"
        signed = f"worker {said(receipt.worker_id)} signed in its receipt" if receipt else "the server wrote"
        message = f"{where} of {OUTPUT} is not what {signed} for chunk {entry.chunk_id}."
        self._verdict.add(OUTPUT, first + line if line is not None else None, message)

    def _changed_line(self, entry: Entry, region: Region) -> int | None:
        assert self._output is not None
        line = None
        if entry.marks and region.lines == entry.lines:
            line = region.locator.changed_line(entry.marks)
        if line is None:
            here = self._output.tell()
            line = first_broken_line(self._output, region)
            self._output.seek(here)
        return line

    def finish(self) -> None:
        """What follows the last chunk, and the files as wholes."""
        if self._errors:
            self._errors.finish()
        fact = self._head.files.get(OUTPUT)
        if self._output is None or fact is None:
            return
        rest = self._read(None, None)
        if rest.size_bytes:
            self._verdict.add(OUTPUT, self._lines - rest.lines + 1, f"{OUTPUT} goes on after the last chunk's lines.")
        whole = self._whole.hexdigest() == fact.sha256 and self._lines == fact.lines
        if not whole and not self._verdict.blames(OUTPUT):
            self._verdict.add(MANIFEST, None, f"What manifest.json says about {OUTPUT} as a whole is not so.")
