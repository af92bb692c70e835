"""A server whose roles take a step when a test says so, and answers that nobody had to compute."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fallow.clock import ManualClock
from fallow.control.assimilator import Assimilator
from fallow.control.batches import Batch, BatchRequest
from fallow.control.callers import Caller
from fallow.control.files import Naming
from fallow.control.janitor import Janitor
from fallow.control.planner import Planner
from fallow.control.plugins import Plugs
from fallow.control.publisher import Publisher
from fallow.control.transitioner import Transitioner
from fallow.core.changes import Change, MoveAttempt, MoveChunk
from fallow.core.chunk import Answer, Artifact
from fallow.core.lifecycle import AttemptEvent, ChunkEvent, JobEvent
from fallow.core.words import JobKey, Micros, Scope, WorkerId
from fallow.protocols.openai.messages import BatchObject
from fallow.protocols.rest.templates import template_of
from fallow.settings import Settings
from fallow.store.port import FileRow
from fallow.web.openai.objects import batch_object
from fallow.wiring.openai import FORM
from fallow.wiring.system import build

OPERATOR = Caller("k-0", "operators", frozenset(Scope))
ALICE = Caller("k-1", "alice", frozenset({Scope.SUBMIT}))
BOB = Caller("k-2", "bob", frozenset({Scope.SUBMIT}))
ENDPOINT = "/v1/embeddings"


class Bench:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.clock = ManualClock()
        self.settings = Settings(data_dir=folder, allow_process_jobs=True, **settings)
        self.system = build(self.settings, self.clock)
        self.store, self.places, self.door = self.system.store, self.system.places, self.system.door
        plugs = Plugs(allow_exec=False)
        self.planner = Planner(self.store, self.places, plugs, self.settings, "p", form=FORM)
        self.transitioner = Transitioner(self.store, self.clock, self.settings, "t")
        self.assimilator = Assimilator(self.store, self.places, plugs, self.settings, "a")
        self.add_model("tiny")

    def close(self) -> None:
        self.system.close()

    def publisher(self, owner: str = "u") -> Publisher:
        return Publisher(self.store, self.places, FORM, self.settings, owner)

    def add_model(self, name: str, *endpoints: str, replace: bool = False, **job: Any) -> None:
        template, asked = template_of({"command": ["true"], "chunk_items": 2, **job})
        self.door.models.add(OPERATOR, name, endpoints or (ENDPOINT,), template, asked, replace=replace)

    def file(self, data: bytes, who: Caller = ALICE, purpose: str = "batch") -> FileRow:
        with self.door.files.incoming(who) as coming:
            coming.write(data)
            coming.naming = Naming("in.jsonl", purpose)
        assert coming.row is not None
        return coming.row

    def requests(self, count: int, model: str = "tiny") -> bytes:
        return b"".join(
            json.dumps({"custom_id": f"r-{n}", "method": "POST", "url": ENDPOINT, "body": {"model": model}}).encode()
            + b"\n"
            for n in range(count)
        )

    def create(self, file_id: str, who: Caller = ALICE, **said: Any) -> Batch:
        given = {
            "input_file_id": file_id,
            "endpoint": ENDPOINT,
            "window": "24h",
            "window_seconds": 86400,
            "metadata": None,
            "output_expires_seconds": None,
            "options": {},
            "extra": {},
            "sha256": "0" * 64,
            "repeated": False,
        }
        return self.door.batches.create(who, BatchRequest(**{**given, **said}))

    def batch(self, count: int = 6, **said: Any) -> Batch:
        return self.create(self.file(self.requests(count)).file_id, **said)

    def seen(self, batch: Batch, who: Caller = ALICE) -> BatchObject:
        return batch_object(self.door.batches.batch(who, batch.job.job_id))

    def answer(self, batch: Batch, answers: Callable[[int], bytes], chunks: int = 100) -> int:
        """Up to so many chunks are answered, as by a worker; how many."""
        job_key, now = batch.job.job_key, self.clock.now()
        with self.store.transaction() as tx:
            tx.open_chunks(job_key, chunks, now, "test")
        with self.store.transaction() as tx:
            leased = tx.lease(job_key, WorkerId("w-1"), chunks, now, Micros(now + 60_000_000), Micros(0))
        for each in leased:
            lines = [answers(item) for item in range(each.item_start, each.item_start + each.item_count)]
            data = b"".join(line + b"\n" for line in lines)
            stored = self.places.artifacts.put(f"jobs/{batch.job.job_id}/attempts/{each.attempt_id}", [data])
            artifact = Artifact(stored.key, hashlib.sha256(data).hexdigest(), len(data), 0)
            errors = sum(line.startswith(b'{"error":') for line in lines)
            given = Answer(b"", artifact, "cd" * 32, errors)
            self.apply(job_key, _done(job_key, each.chunk_id, each.attempt_id, given))
        return len(leased)

    def apply(self, job_key: JobKey, changes: Iterable[Change]) -> None:
        with self.store.transaction() as tx:
            tx.apply(list(changes), self.clock.now(), "test")

    def fail(self, batch: Batch, reason: str) -> None:
        with self.store.transaction() as tx:
            tx.move_job(batch.job.job_key, JobEvent.FAIL, "hopeless", "test", self.clock.now(), reason=reason)

    def sweep_chunks(self) -> None:
        """What a job that is over has left."""
        assert Janitor(self.store, self.places, self.settings, "j").step()

    def merge(self) -> None:
        """A job whose chunks are all over is merged."""
        while self.transitioner.step():
            pass
        while self.assimilator.step():
            pass

    def lines(self, file_id: str | None, who: Caller = ALICE) -> list[Any]:
        if file_id is None:
            return []
        _, content = self.door.files.content(who, file_id)
        return [json.loads(line) for line in b"".join(content.read(0, None)).splitlines()]


def good(item: int) -> bytes:
    body = {"n": item, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    return json.dumps({"custom_id": "?", "response": {"status_code": 200, "request_id": "q", "body": body}}).encode()


def bad(item: int) -> bytes:
    response = {"status_code": 400, "request_id": "q", "body": {"error": {"message": f"no {item}"}}}
    return json.dumps(
        {"error": {"code": "http_400", "message": "no"}, "custom_id": "?", "response": response}, separators=(",", ":")
    ).encode()


def _done(job_key: JobKey, chunk_id: Any, attempt_id: Any, answer: Answer) -> list[Change]:
    return [
        MoveAttempt(attempt_id, AttemptEvent.REPORT, "", answer),
        MoveChunk(job_key, chunk_id, ChunkEvent.VERIFY, "the answer is in"),
        MoveAttempt(attempt_id, AttemptEvent.AGREE, "", checked=True),
        MoveChunk(job_key, chunk_id, ChunkEvent.ACCEPT, canonical=attempt_id),
    ]
