"""The proof of one line."""

import base64
import hashlib
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fallow.core.line_proof import LineProof, parse_proof
from fallow.core.merkle import leaf_hash, proof_of, root_of
from fallow.core.receipt import Receipt, seal
from fallow.core.refusals import Code, Refusal
from fallow.sdk.signatures import signature_checker

KEY = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
LINES = [json.dumps({"n": number}).encode() for number in range(11)]


def proof(index: int = 4, worker: str = "", lines: list[bytes] = LINES, key: Ed25519PrivateKey = KEY) -> LineProof:
    worker_id = worker or "w-" + hashlib.sha256(PUBLIC).hexdigest()[:16]
    receipt = Receipt(
        job_id="job-1",
        chunk_id=3,
        attempt_id=9,
        worker_id=worker_id,
        image="sha256:" + "ab" * 32,
        contract="stream",
        item_start=100,
        item_end=110,
        item_errors=0,
        input_sha256="cd" * 32,
        artifact_uri="fallow:a",
        artifact_sha256="ef" * 32,
        artifact_size_bytes=99,
        items_root=root_of(lines),
        started_at="2026-01-01T00:00:00Z",
        finished_at="2026-01-01T00:00:01Z",
    )
    path = tuple(proof_of([leaf_hash(line) for line in lines], index))
    return LineProof(index, len(lines), path, PUBLIC, seal(receipt, worker_id, key.sign))


@pytest.mark.parametrize("index", range(len(LINES)))
def test_every_line_is_proved_by_its_file(index: int) -> None:
    read = parse_proof(proof(index).document())
    receipt = read.checked(LINES[index], signature_checker)
    assert receipt.item_start + read.index == 100 + index


def refused(given: LineProof, line: bytes, code: Code) -> None:
    with pytest.raises(Refusal) as caught:
        given.checked(line, signature_checker)
    assert caught.value.code is code


def test_anything_else_is_not() -> None:
    good = proof()
    refused(good, LINES[5], Code.DIGEST_MISMATCH)
    refused(good, LINES[4] + b" ", Code.DIGEST_MISMATCH)
    refused(replace(good, index=5), LINES[4], Code.DIGEST_MISMATCH)
    refused(replace(good, index=-1), LINES[4], Code.DIGEST_MISMATCH)
    refused(replace(good, size=12), LINES[4], Code.DIGEST_MISMATCH)
    refused(replace(good, path=good.path[:-1]), LINES[4], Code.DIGEST_MISMATCH)
    refused(replace(good, path=("zz", *good.path[1:])), LINES[4], Code.DIGEST_MISMATCH)
    refused(replace(good, public_key=b"\1" * 32), LINES[4], Code.RECEIPT_INVALID)
    refused(replace(good, public_key=b"short"), LINES[4], Code.RECEIPT_INVALID)
    refused(proof(worker="w-0000000000000000"), LINES[4], Code.DIGEST_MISMATCH)
    refused(proof(key=Ed25519PrivateKey.from_private_bytes(b"\2" * 32)), LINES[4], Code.RECEIPT_INVALID)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(proof_version=2),
        lambda body: body.pop("line"),
        lambda body: body["line"].update(index="4"),
        lambda body: body["line"].update(of=True),
        lambda body: body.update(path=[1, 2]),
        lambda body: body.update(path=["ab"] * 65),
        lambda body: body.update(public_key="!"),
        lambda body: body.pop("receipt"),
    ],
)
def test_what_is_no_proof_is_refused(change) -> None:  # type: ignore[no-untyped-def]
    body = json.loads(proof().document())
    change(body)
    with pytest.raises(Refusal, match="no proof of a line"):
        parse_proof(json.dumps(body).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"nope", b"\xff", b"[" * 100_000, b" " * (1 << 20) + b"{}"])
def test_bytes_of_any_kind_are_refused(data: bytes) -> None:
    with pytest.raises(Refusal, match="no proof of a line"):
        parse_proof(data)


def test_the_file_names_the_key() -> None:
    assert json.loads(proof().document())["public_key"] == base64.b64encode(PUBLIC).decode()
