"""Chunk lifecycles per second through the real HTTP door, on SQLite and on PostgreSQL, commits durable.

A generator, in a process of its own, is the fleet: it leases and reports n chunks a call, with signed receipts and real
answers. Measured per chunk: planned (the planner's own pace), leased + reported + verified (through the door), and
assimilated (merged into output.jsonl with its manifest). `whole life` is the three, one after the other, as one process
has to do them.
"""

import argparse
import base64
import hashlib
import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import cast

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.servers import postgresql

from benchmarks import server
from fallow.core.merkle import root_of
from fallow.core.receipt import PAYLOAD_TYPE, Receipt, pre_authentication
from fallow.protocols.rest.work import Answer, Ask, CapabilityMessage, Hello, Lease, Report, Welcome

COMMAND = ["cat"]
WINDOW_SECONDS = 12.0


class Fleet:
    """One worker's identity, asking and reporting in batches over one connection. Lean, since it shares the cores."""

    def __init__(self, url: str, key: str, name: str) -> None:
        self.http = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.key = Ed25519PrivateKey.generate()
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.session = name
        capability = CapabilityMessage("linux/amd64", 64, 1 << 40, 1 << 40, 64, ("process",), ("stream",))
        hello = Hello(
            public,
            name,
            name,
            capability,
            time.time_ns() // 1000,
            signature=self.key.sign(b"fallow-hello:" + name.encode()),
        )
        self.worker_id = msgspec.json.decode(
            self.post("/api/work/hello", msgspec.json.encode(hello)), type=Welcome
        ).worker_id
        self.decode = msgspec.json.Decoder(Answer).decode

    def ask(self, want: int, reports: tuple[Report, ...]) -> Answer:
        return self.decode(
            self.post("/api/work", msgspec.json.encode(Ask(self.worker_id, self.session, want, reports)))
        )

    def post(self, path: str, body: bytes) -> bytes:
        self.http.request("POST", path, body, self.headers)
        answer = self.http.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {said[:500]!r}")
        return said

    def report(self, lease: Lease) -> Report:
        lines = [b'{"n":%d}' % (lease.item_start + index) for index in range(lease.item_count)]
        data = b"".join(line + b"\n" for line in lines)
        now = datetime.now(UTC).isoformat()
        receipt = Receipt(
            lease.job_id,
            lease.chunk_id,
            lease.attempt_id,
            self.worker_id,
            lease.ran,
            lease.contract,
            lease.item_start,
            lease.item_start + lease.item_count - 1,
            0,
            lease.input.sha256,
            lease.artifact_uri,
            hashlib.sha256(data).hexdigest(),
            len(data),
            root_of(lines),
            now,
            now,
        )
        return Report(lease.attempt_id, self.sealed(receipt), data)

    def sealed(self, receipt: Receipt) -> bytes:
        """What core.receipt.seal() gives, by msgspec: members in the order of their names."""
        payload = msgspec.json.encode(_statement(receipt), order="sorted")
        signature = self.key.sign(pre_authentication(payload))
        envelope = {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": self.worker_id, "sig": base64.b64encode(signature).decode()}],
        }
        return msgspec.json.encode(envelope)


def _statement(receipt: Receipt) -> dict[str, object]:
    return {
        "receipt_version": 1,
        "job_id": receipt.job_id,
        "chunk_id": receipt.chunk_id,
        "attempt_id": receipt.attempt_id,
        "worker_id": receipt.worker_id,
        "image": receipt.image,
        "contract": receipt.contract,
        "items": {
            "start": receipt.item_start,
            "end": receipt.item_end,
            "count": receipt.item_count,
            "errors": receipt.item_errors,
        },
        "input": {"sha256": receipt.input_sha256},
        "artifact": {
            "uri": receipt.artifact_uri,
            "sha256": receipt.artifact_sha256,
            "size_bytes": receipt.artifact_size_bytes,
        },
        "items_root": receipt.items_root,
        "started_at": receipt.started_at,
        "finished_at": receipt.finished_at,
        "usage": {"cpu_seconds": 0, "memory_bytes_max": 0},
    }


def drive(url: str, key: str, batch: int, seconds: float, most: int, connections: int) -> tuple[int, float]:
    """Leases and reports until the time is over or `most` chunks are done: (chunks accepted, seconds)."""
    done = [0] * connections
    until = time.monotonic() + seconds

    def one(index: int) -> None:
        fleet = Fleet(url, key, f"bench-{index}-{time.time_ns()}")
        reports: tuple[Report, ...] = ()
        while True:
            over = time.monotonic() > until or sum(done) >= most
            answer = fleet.ask(0 if over else batch, reports)
            refused = [ack for ack in answer.acks if ack.verdict != "accepted"]
            if refused:
                raise RuntimeError(str(refused[0]))
            done[index] += len(answer.acks)
            if over or not answer.leases:
                return
            reports = tuple(fleet.report(lease) for lease in answer.leases)

    started = time.monotonic()
    threads = [Thread(target=one, args=(index,)) for index in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done), time.monotonic() - started


@dataclass(frozen=True, slots=True)
class Row:
    database: str
    waiting: int
    batch: int
    plan: float
    door: float
    merge: float

    @property
    def life(self) -> float:
        return 1 / (1 / self.plan + 1 / self.door + 1 / self.merge)


def measure(database: str, waiting: int, batch: int, connections: int) -> Row:
    """One cell of the table, on a fresh server."""
    home = Path(tempfile.mkdtemp(prefix="fallow-bench-"))
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, home, ignore_errors=True)
        url = ""
        if database == "postgresql":
            postgres = cleanup.enter_context(postgresql.running())
            url = cleanup.enter_context(postgres.database())
        running = server.start(home, database=url)
        cleanup.callback(running.stop)
        return _measured(running, home, database, waiting, batch, connections)


def _measured(running: server.Running, home: Path, database: str, waiting: int, batch: int, connections: int) -> Row:
    items = home / "items.jsonl"
    items.write_bytes(b"".join(b'{"n":%d}\n' % index for index in range(waiting)))
    started = time.monotonic()
    job = submit(running, items)
    while (state := progress(running, job))["counters"]["items_total"] < waiting:
        time.sleep(0.02)
    plan = waiting / (time.monotonic() - started)
    words = [
        sys.executable,
        "-m",
        "benchmarks.dispatch",
        "--drive",
        running.url,
        running.key,
        str(batch),
        str(connections),
    ]
    driven = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    door = driven["chunks"] / driven["seconds"]
    return Row(database, waiting, batch, plan, door, merge_pace(running, home, state))


def merge_pace(running: server.Running, home: Path, _: object) -> float:
    """Chunks merged per second, for a job of 2,000 chunks that are done already."""
    items = home / "merge.jsonl"
    items.write_bytes(b"".join(b'{"n":%d}\n' % index for index in range(2000)))
    job = submit(running, items, priority=100)
    while progress(running, job)["counters"]["items_total"] < 2000:
        time.sleep(0.02)
    drive(running.url, running.key, 100, 60, 2000, 1)
    while server.api(running, "GET", f"/api/jobs/{job}?chunks=0")["state"] in ("planning", "running", "merging"):
        time.sleep(0.02)
    stories = server.api(running, "GET", f"/api/jobs/{job}/story")["lines"]
    lines = cast(list[dict[str, str]], stories)
    at = {line["to_state"]: datetime.fromisoformat(line["at"]) for line in lines}
    took = (at["completed"] - at["merging"]).total_seconds()
    return 2000 / max(took, 0.001)


def submit(running: server.Running, items: Path, priority: int = 0) -> str:
    body = {"input_uri": items.as_uri(), "command": COMMAND, "chunk_items": 1, "priority": priority}
    return str(server.api(running, "POST", "/api/jobs", body)["job_id"])


def progress(running: server.Running, job: str) -> dict[str, dict[str, int]]:
    return server.api(running, "GET", f"/api/jobs/{job}?chunks=0")["progress"]  # type: ignore[return-value]


def table(rows: list[Row]) -> str:
    head = "| database | waiting | batch | planned/s | leased+reported+verified/s | assimilated/s | whole life/s |\n"
    head += "|---|---:|---:|---:|---:|---:|---:|\n"
    return head + "".join(
        f"| {r.database} | {r.waiting:,} | {r.batch} | {r.plan:,.0f} | {r.door:,.0f} | {r.merge:,.0f} |"
        f" {r.life:,.0f} |\n"
        for r in rows
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--drive", nargs=4)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--waiting", default="1000,10000,100000")
    parser.add_argument("--batches", default="1,10,100")
    parser.add_argument("--connections", type=int, default=2)
    given = parser.parse_args()
    if given.drive:
        url, key, batch, connections = given.drive
        chunks, seconds = drive(url, key, int(batch), WINDOW_SECONDS, 20_000, int(connections))
        print(json.dumps({"chunks": chunks, "seconds": seconds}))
        return
    rows = []
    for database in given.databases.split(","):
        for waiting in map(int, given.waiting.split(",")):
            for batch in map(int, given.batches.split(",")):
                rows.append(measure(database, waiting, batch, given.connections))
                print(table(rows[-1:]).splitlines()[-1], flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
