"""Writing manifest.json: what a job delivered, with everything that proves it. docs/verifying.md has the format.

One chunk a line, so that it streams both ways, and a last line that seals the bytes before it.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from fallow.control.leases import wants_harness
from fallow.core.locator import Locator
from fallow.core.merkle import Tree
from fallow.store.port import JobRow


@dataclass(slots=True)
class Marked:
    """Running facts of a file of lines."""

    lines: int = 0
    size_bytes: int = 0
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _locator: Locator = field(default_factory=Locator)

    def add(self, line: bytes) -> None:
        """One line, newline included."""
        self._digest.update(line)
        self._locator.add(line.removesuffix(b"\n"))
        self.lines += 1
        self.size_bytes += len(line)

    def facts(self) -> dict[str, object]:
        return {
            "sha256": self._digest.hexdigest(),
            "size_bytes": self.size_bytes,
            "lines": self.lines,
            "locator": self._locator.marks(),
        }


@dataclass(frozen=True, slots=True)
class Totals:
    """What was delivered."""

    items: int
    errors: int
    chunks: int
    output: dict[str, object]
    error_file: dict[str, object]
    public_keys: dict[str, bytes]
    job_root: str


def entry_line(entry: dict[str, object]) -> bytes:
    """One chunk's line, without the comma between lines."""
    return json.dumps(entry, separators=(",", ":")).encode()


def root_of_roots(items_roots: Iterable[str]) -> str:
    """The job's Merkle root: over its chunks' roots, in item order."""
    tree = Tree()
    for root in items_roots:
        tree.add(bytes.fromhex(root))
    return tree.root()


def manifest_lines(job: JobRow, totals: Totals, entries: Iterable[bytes]) -> Iterator[bytes]:
    """The file, line by line. entries: as entry_line() made them."""
    seal, locator = hashlib.sha256(), Locator()

    def sealed(line: bytes) -> bytes:
        seal.update(line)
        locator.add(line.removesuffix(b"\n"))
        return line

    yield sealed(_head(job, totals) + b"\n")
    previous = b""
    for entry in entries:
        if previous:
            yield sealed(previous + b",\n")
        previous = entry
    if previous:
        yield sealed(previous + b"\n")
    yield sealed(b'],"job_root":"' + totals.job_root.encode() + b'",\n')
    marks = b'"locator":' + json.dumps(locator.marks(), separators=(",", ":")).encode() + b",\n"
    seal.update(marks)
    yield marks
    yield b'"seal":"' + seal.hexdigest().encode() + b'"}\n'


def _head(job: JobRow, totals: Totals) -> bytes:
    spec = job.spec
    body = {
        "manifest_version": 1,
        "job": {
            "job_id": spec.job_id,
            "name": spec.name,
            "input_uri": spec.input.uri,
            "input_etag": spec.input.etag,
            "input_format": spec.input.format,
            "command": list(spec.command),
            "contract": spec.contract,
            "harness": wants_harness(spec),
            "verify": {
                "method": spec.verify.method,
                "quorum": spec.quorum,
                "compare": spec.verify.compare,
                "adaptive": spec.verify.adaptive,
            },
        },
        "image": {"reference": spec.image.reference if spec.image else "", "digest": spec.ran},
        "counts": {
            "items": totals.items,
            "outputs": totals.items - totals.errors,
            "errors": totals.errors,
            "chunks": totals.chunks,
            "bytes": totals.output["size_bytes"],
        },
        "files": {"output.jsonl": totals.output, "errors.jsonl": totals.error_file},
        "workers": {
            name: {"public_key": base64.b64encode(key).decode()} for name, key in sorted(totals.public_keys.items())
        },
    }
    return json.dumps(body, separators=(",", ":")).encode()[:-1] + b',"chunks":['
