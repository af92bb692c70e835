"""One line against its proof file, offline."""

import sys
from pathlib import Path

from fallow.core.line_proof import PROOF_BYTES_MAX, parse_proof
from fallow.core.receipt import Receipt
from fallow.core.refusals import Code, Refusal
from fallow.sdk.signatures import signature_checker
from fallow.sdk.verdict import said

_LINE_BYTES_MAX = 64 * 1024 * 1024


def check_line(proof: Path, line: Path) -> tuple[Receipt, int]:
    """The receipt that covers the line in the file ("-": stdin), and which of its lines it is.

    Raises Refusal DIGEST_MISMATCH or RECEIPT_INVALID when it is not proved, BAD_REQUEST for what is no proof, NOT_FOUND
    for files that cannot be read.
    """
    found = parse_proof(_read(proof, PROOF_BYTES_MAX))
    receipt = found.checked(_read(line, _LINE_BYTES_MAX + 2).removesuffix(b"\n").removesuffix(b"\r"), signature_checker)
    return receipt, found.index


def _read(path: Path, size_bytes_max: int) -> bytes:
    """At most one byte more than that, so that too long a file is seen to be."""
    try:
        if str(path) == "-":
            return sys.stdin.buffer.read(size_bytes_max + 1)
        with path.open("rb") as file:
            return file.read(size_bytes_max + 1)
    except OSError as wrong:
        raise Refusal(
            Code.NOT_FOUND, f"{said(str(path))} cannot be read: {wrong.strerror}.", "Check its name."
        ) from None
