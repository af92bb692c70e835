"""The proof of one line: enough to convince somebody who has neither the other lines nor the other chunks.

The line hashes to a leaf, the leaf leads to the chunk's items_root by one Merkle path, the worker's signature covers
that root, and the root leads to the job's root by another.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallow.core.merkle import leaf_hash, proof_of, root_from_proof
from fallow.core.refusals import Code, Refusal
from fallow.sdk.manifest import Damaged, Entry, Head, Manifest
from fallow.sdk.regions import read_region
from fallow.sdk.signatures import receipt_of
from fallow.sdk.verdict import MANIFEST, OUTPUT, said


@dataclass(frozen=True, slots=True)
class Proof:
    """line_number: in output.jsonl, from 1. paths: sibling hashes, nearest first. envelope: the signed receipt, or None
    for an error line that the server wrote."""

    job_id: str
    item: int
    line_number: int
    line: bytes
    chunk_id: int
    worker_id: str | None
    leaf: str
    index: int
    size: int
    path: list[str]
    items_root: str
    chunk_index: int
    chunk_count: int
    job_path: list[str]
    job_root: str
    envelope: dict[str, Any] | None

    @property
    def holds(self) -> bool:
        """Whether both paths lead where they must; anyone can compute this again."""
        job_leaf = leaf_hash(bytes.fromhex(self.items_root))
        return (
            leaf_hash(self.line).hex() == self.leaf
            and root_from_proof(bytes.fromhex(self.leaf), self.index, self.size, self.path) == self.items_root
            and root_from_proof(job_leaf, self.chunk_index, self.chunk_count, self.job_path) == self.job_root
        )


def prove(directory: Path, item: int) -> Proof:
    """The proof for this item, counted from 0. Raises Refusal NOT_FOUND or DIGEST_MISMATCH."""
    try:
        return _prove(directory, item)
    except Damaged as damaged:
        raise _unproven(damaged.sentence) from None
    except OSError as wrong:
        raise Refusal(
            Code.NOT_FOUND,
            f"The output in {said(str(directory))} cannot be read: {wrong.strerror}.",
            f"Name the directory that holds {MANIFEST} and {OUTPUT}.",
        ) from None


def _prove(directory: Path, item: int) -> Proof:
    with (directory / MANIFEST).open("rb") as file:
        manifest = Manifest(file)
        head = manifest.head()
        roots: list[bytes] = []
        found: tuple[Entry, int, int] | None = None
        size_bytes = 0
        for entry in manifest.entries():
            if isinstance(entry, Damaged):
                raise entry
            if entry.item_start <= item <= entry.item_end:
                found = (entry, size_bytes, len(roots))
            roots.append(leaf_hash(bytes.fromhex(entry.items_root)))
            size_bytes += entry.size_bytes
        tail = manifest.tail()
    if found is None:
        raise Refusal(Code.NOT_FOUND, f"The output has no item {item}.", "Items are counted from 0.")
    if tail.seal != tail.actual_seal:
        raise _unproven("manifest.json was changed after it was sealed.")
    entry, offset, index = found
    worker_id = _signer(entry, head)
    line, leaves = _line(directory / OUTPUT, entry, offset, item - entry.item_start)
    proof = Proof(
        job_id=head.job_id,
        item=item,
        line_number=entry.line_start + item - entry.item_start + 1,
        line=line,
        chunk_id=entry.chunk_id,
        worker_id=worker_id,
        leaf=leaf_hash(line).hex(),
        index=item - entry.item_start,
        size=len(leaves),
        path=proof_of(leaves, item - entry.item_start),
        items_root=entry.items_root,
        chunk_index=index,
        chunk_count=len(roots),
        job_path=proof_of(roots, index),
        job_root=tail.job_root,
        envelope=json.loads(entry.envelope) if entry.envelope else None,
    )
    if not proof.holds:
        raise _unproven(f"The lines of chunk {entry.chunk_id} are not those that were signed.")
    return proof


def _signer(entry: Entry, head: Head) -> str | None:
    if entry.envelope is None:
        return None
    receipt, wrong = receipt_of(entry, head)
    if receipt is None or wrong:
        raise _unproven(f"Chunk {entry.chunk_id}: {wrong[0]}.")
    return receipt.worker_id


def _line(path: Path, entry: Entry, offset: int, index: int) -> tuple[bytes, list[bytes]]:
    with path.open("rb") as file:
        file.seek(offset)
        region = read_region(file, entry.size_bytes, None, keep_leaves=True)
        if region.lines != entry.lines:
            raise _unproven(f"Chunk {entry.chunk_id} has {region.lines} lines in {OUTPUT}, and not {entry.lines}.")
        file.seek(offset)
        if index:
            read_region(file, None, index)
        return file.readline(entry.size_bytes).removesuffix(b"\n"), region.leaves


def _unproven(sentence: str) -> Refusal:
    return Refusal(Code.DIGEST_MISMATCH, sentence, "fallow verify without --item lists everything that is wrong.")
