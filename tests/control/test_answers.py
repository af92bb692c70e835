"""Bytes against their receipt: one thing wrong at a time, and each is named."""

import hashlib
from dataclasses import replace

import pytest

from fallow.control.answers import examine, lines_of
from fallow.core.merkle import root_of
from fallow.core.receipt import Receipt

LINES = [b'{"n":1}', b'{"error":{"code":"x","message":"y"}}', b"[1,2]"]
DATA = b"".join(line + b"\n" for line in LINES)


def receipt_of(data: bytes, lines: list[bytes], errors: int) -> Receipt:
    return Receipt(
        job_id="j",
        chunk_id=0,
        attempt_id=1,
        worker_id="w",
        image="i",
        contract="stream",
        item_start=10,
        item_end=10 + len(lines) - 1,
        item_errors=errors,
        input_sha256="",
        artifact_uri="",
        artifact_sha256=hashlib.sha256(data).hexdigest(),
        artifact_size_bytes=len(data),
        items_root=root_of(lines),
        started_at="",
        finished_at="",
    )


TRUE = receipt_of(DATA, LINES, 1)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_good_bytes_are_good_in_whatever_pieces(size: int) -> None:
    pieces = [DATA[at : at + size] for at in range(0, len(DATA), size)]
    found = examine(pieces, TRUE)
    assert (found.fault, found.lines, found.errors) == ("", 3, 1)


@pytest.mark.parametrize(
    ("data", "receipt", "fault"),
    [
        (DATA[:-1], TRUE, f"the artifact has {len(DATA) - 1} bytes, and its receipt says {len(DATA)}"),
        (DATA + b"1\n", TRUE, f"the artifact has {len(DATA) + 2} bytes, and its receipt says {len(DATA)}"),
        (b"x" + DATA[1:], TRUE, "the artifact's SHA-256 is not the one in its receipt"),
        (DATA, replace(TRUE, item_end=13), "the artifact has 3 lines for 4 items"),
        (DATA, replace(TRUE, items_root="0" * 64), "the artifact's Merkle root is not the one in its receipt"),
        (DATA, replace(TRUE, item_errors=0), "the artifact has 1 error lines, and its receipt says 0"),
        (b"1\nx\n", receipt_of(b"1\nx\n", [b"1", b"x"], 0), "line 1 of the artifact is not JSON"),
        (b"1\n\n2\n", receipt_of(b"1\n\n2\n", [b"1", b"", b"2"], 0), "line 1 of the artifact is not JSON"),
        (b"\xff\n", receipt_of(b"\xff\n", [b"\xff"], 0), "line 0 of the artifact is not JSON"),
        (b"1", receipt_of(b"1", [b"1"], 0), "the artifact's last line has no newline"),
        (b"", TRUE, f"the artifact has 0 bytes, and its receipt says {len(DATA)}"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, receipt: Receipt, fault: str) -> None:
    assert examine([data], receipt).fault == fault


def test_deep_json_is_no_crash() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    data = deep + b"\n"
    assert examine([data], receipt_of(data, [deep], 0)).fault == "line 0 of the artifact is not JSON"


def test_lines_of_pieces() -> None:
    assert list(lines_of([b"a", b"b\nc", b"", b"\n", b"d"])) == [b"ab\n", b"c\n", b"d"]
