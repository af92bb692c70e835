"""A worker by hand: it speaks the wire itself, so that a test can make it corrupt, lie or claim what is not its own."""

import hashlib
import json
import time
from datetime import UTC, datetime

import httpx2
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fallow.core.merkle import root_of
from fallow.core.receipt import Receipt, seal
from fallow.protocols.rest.work import Answer, Ask, CapabilityMessage, Hello, Lease, Report, Welcome


class HandWorker:
    """Says hello at once. Answers each item with itself unless told otherwise."""

    def __init__(self, url: str, key: str, name: str, clock_off_seconds: float = 0.0) -> None:
        self.http = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
        self.key = Ed25519PrivateKey.generate()
        self.session = f"{name}-session"
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        capability = CapabilityMessage("linux/amd64", 8, 1 << 36, 1 << 36, 4, ("podman",), ("stream",))
        hello = Hello(
            public,
            self.session,
            name,
            capability,
            int((time.time() + clock_off_seconds) * 1e6),
            signature=self.key.sign(b"fallow-hello:" + self.session.encode()),
        )
        answer = self.http.post("/api/work/hello", content=msgspec.json.encode(hello))
        assert answer.status_code == 200, answer.text
        self.welcome = msgspec.json.decode(answer.content, type=Welcome)

    @property
    def worker_id(self) -> str:
        return self.welcome.worker_id

    def ask(self, want: int = 0, *reports: Report) -> Answer:
        body = msgspec.json.encode(Ask(self.worker_id, self.session, want, reports))
        answer = self.http.post("/api/work", content=body)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=Answer)

    def items(self, lease: Lease) -> list[bytes]:
        given = lease.input
        ranged = {"Range": f"bytes={given.offset}-{given.offset + given.length - 1}"} if given.length else {}
        answer = self.http.get(given.url, headers=ranged)
        assert answer.status_code in (200, 206), answer.text
        assert hashlib.sha256(answer.content).hexdigest() == given.sha256
        return [line for line in answer.content.splitlines() if line.strip()][given.skip :][: lease.item_count]

    def report(self, lease: Lease, lines: list[bytes], corrupt: bool = False) -> Report:
        """An honest receipt for these lines; with `corrupt`, other bytes go with it."""
        data = b"".join(line + b"\n" for line in lines)
        now = datetime.now(UTC).isoformat()
        receipt = Receipt(
            job_id=lease.job_id,
            chunk_id=lease.chunk_id,
            attempt_id=lease.attempt_id,
            worker_id=self.worker_id,
            image=lease.ran,
            contract=lease.contract,
            item_start=lease.item_start,
            item_end=lease.item_start + lease.item_count - 1,
            item_errors=0,
            input_sha256=lease.input.sha256,
            artifact_uri=lease.artifact_uri,
            artifact_sha256=hashlib.sha256(data).hexdigest(),
            artifact_size_bytes=len(data),
            items_root=root_of(lines),
            started_at=now,
            finished_at=now,
        )
        sent = data.replace(b"0", b"9", 1) if corrupt else data
        return Report(lease.attempt_id, seal(receipt, self.worker_id, self.key.sign), sent)


def lies(lines: list[bytes]) -> list[bytes]:
    """A plausible wrong answer to each item."""
    return [json.dumps({"n": json.loads(line)["n"] + 1}).encode() for line in lines]
