"""Makes a finished job's output directory with the core's own functions, as the assimilator writes it."""

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fallow.core.locator import Locator
from fallow.core.merkle import Tree, root_of
from fallow.core.receipt import Receipt, seal

IMAGE = "sha256:" + "ab" * 32


@dataclass(frozen=True)
class Signer:
    key: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    @property
    def worker_id(self) -> str:
        return "w-" + hashlib.sha256(self.public).hexdigest()[:16]


def signer(seed: int) -> Signer:
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def error(code: str, message: str) -> bytes:
    return dumps({"error": {"code": code, "message": message}})


def write_output(
    directory: Path, chunks: list[list[bytes]], failed: tuple[int, ...] = (), locators: bool = True
) -> None:
    """chunks: each one's lines. failed: the chunks whose lines the server wrote itself."""
    directory.mkdir(parents=True, exist_ok=True)
    signers = [signer(1), signer(2)]
    entries: list[bytes] = []
    output, errors, job_tree = b"", b"", Tree()
    item = 0
    for chunk_id, lines in enumerate(chunks):
        data = b"".join(line + b"\n" for line in lines)
        root = root_of(lines)
        fault = json.loads(lines[0])["error"] if chunk_id in failed else None
        who = signers[chunk_id % 2]
        entry: dict[str, Any] = {
            "chunk_id": chunk_id,
            "item_start": item,
            "item_end": item + len(lines) - 1,
            "line_start": item,
            "lines": len(lines),
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_bytes": len(data),
            "items_root": root,
            "receipt": None if fault else json.loads(_receipt(who, chunk_id, item, lines, data, root)),
            "attempts_agreeing": 0 if fault else 1,
            "fault": fault,
        }
        if locators:
            entry["locator"] = _marks(lines)
        entries.append(dumps(entry))
        for offset, line in enumerate(lines):
            if b'"error"' in line:
                told = json.loads(line)["error"]
                number = item + offset
                errors += dumps({"item": number, "line": number + 1, "chunk": chunk_id, **told}) + b"\n"
        job_tree.add(bytes.fromhex(root))
        output += data
        item += len(lines)
    head = {
        "manifest_version": 1,
        "job": {"job_id": "job-1", "input_uri": "file:///in.jsonl", "contract": "stream", "verify": {"quorum": 1}},
        "image": {"reference": "model:1", "digest": IMAGE},
        "counts": {"items": item, "errors": errors.count(b"\n"), "chunks": len(chunks)},
        "files": {"output.jsonl": _fact(output, locators), "errors.jsonl": _fact(errors, locators)},
        "workers": {each.worker_id: {"public_key": base64.b64encode(each.public).decode()} for each in signers},
    }
    text = dumps(head)[:-1] + b',\n"chunks":[\n' + b",\n".join(entries) + (b"\n" if entries else b"") + b"],\n"
    text += b'"job_root":"%s",\n' % job_tree.root().encode()
    if locators:
        text += b'"locator":%s,\n' % dumps(_marks(text.splitlines()))
    text += b'"seal":"%s"}\n' % hashlib.sha256(text).hexdigest().encode()
    (directory / "output.jsonl").write_bytes(output)
    (directory / "errors.jsonl").write_bytes(errors)
    (directory / "manifest.json").write_bytes(text)


def _receipt(who: Signer, chunk_id: int, item: int, lines: list[bytes], data: bytes, root: str) -> bytes:
    receipt = Receipt(
        job_id="job-1",
        chunk_id=chunk_id,
        attempt_id=100 + chunk_id,
        worker_id=who.worker_id,
        image=IMAGE,
        contract="stream",
        item_start=item,
        item_end=item + len(lines) - 1,
        item_errors=0,
        input_sha256="cd" * 32,
        artifact_uri="",
        artifact_sha256=hashlib.sha256(data).hexdigest(),
        artifact_size_bytes=len(data),
        items_root=root,
        started_at="2026-11-22T04:10:00.000Z",
        finished_at="2026-11-22T04:10:01.000Z",
    )
    return seal(receipt, who.worker_id, who.key.sign)


def _fact(data: bytes, locators: bool) -> dict[str, Any]:
    fact: dict[str, Any] = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data),
        "lines": data.count(b"\n"),
    }
    if locators:
        fact["locator"] = _marks(data.splitlines())
    return fact


def _marks(lines: list[bytes]) -> list[int]:
    locator = Locator()
    for line in lines:
        locator.add(line)
    return locator.marks()
