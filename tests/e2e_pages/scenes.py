"""Jobs as they look in the middle of things: rows made with the store's own verbs, as a fleet would have made them."""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence

from fallow.core.changes import Change, MoveAttempt, MoveChunk
from fallow.core.chunk import Answer, Artifact, Extent
from fallow.core.job import Image, Input, JobSpec
from fallow.core.lifecycle import AttemptEvent, ChunkEvent, JobEvent
from fallow.core.words import FailureClass, InputFormat, JobId, JobKey, Micros, WorkerId
from fallow.store.port import JobRow, Leased, PlanCursor, PlannedChunk, Store, WorkerRow

SECOND = 1_000_000
HOUR = 3600 * SECOND
NEVER = Micros(0)
FAR = 30 * 24 * HOUR
WORKERS = ("lab-3-anna", "lab-7-windows", "rack-2", "rack-5", "edge-kiosk-11", "boinc-4411")
IMAGE = Image("ghcr.io/acme/embed:1.4", "sha256:" + "3f" * 32, "sha256:" + "a1" * 32, "registry", ("linux/amd64",))
FAULTS = (
    (FailureClass.WORKER, "disk_full", "no space left on device", "pulling layers\nwrite /var/lib: no space left\n"),
    (FailureClass.SUBMITTER, "exit_1", "the image ended with exit code 1", "Traceback: KeyError: 'text'\nat item 17\n"),
    (FailureClass.LIMITS, "memory", "the job's memory limit of 512 MiB was reached", "killed by the kernel\n"),
)


def add_workers(store: Store, now: int) -> None:
    """The machines that the scenes' attempts ran on."""
    with store.transaction() as tx:
        tx.add_account("volunteers", "Volunteers", Micros(now - HOUR))
        for number, name in enumerate(WORKERS):
            capability = {
                "platform": "linux/amd64",
                "cores": 8,
                "memory_bytes": 16 << 30,
                "slots": 4,
                "engines": ["podman"],
            }
            capability |= {"contracts": ["stream"], "accelerators": []}
            label = ("edge", "on_prem", "cloud")[number % 3]
            seen, joined = Micros(now), Micros(now - HOUR)
            row = WorkerRow(
                WorkerId(name), "volunteers", name, label, b"k" * 32, json.dumps(capability), "s", joined, seen
            )
            tx.save_worker(row)


def add_job(
    store: Store, job_id: str, chunks: int, at: int, *, name: str = "", account: str = "acme", items: int = 1000
) -> JobRow:
    """A job whose input was read to its end, all chunks planned."""
    spec = JobSpec(
        JobId(job_id),
        Input(f"s3://inputs/{job_id}.jsonl", InputFormat.JSONL, chunks * items * 20, "etag"),
        image=IMAGE,
        output_uri=f"s3://outputs/{job_id}/",
        name=name,
    )
    with store.transaction() as tx:
        tx.add_account(account, account.capitalize(), Micros(at))
        job = tx.add_job(spec, account, Micros(at), "key k-1")
        until = Micros(at + FAR)
        # By name, not by claim: a server's own planner may run beside this, and must not find the job first.
        tx.session.run("set_claim", {"job_key": job.job_key, "owner": "scene", "until": until})  # type: ignore[attr-defined]
    for first in range(0, chunks, 5000):
        step = range(first, min(first + 5000, chunks))
        planned = [PlannedChunk(n * items, items, Extent(n * items * 20, items * 20)) for n in step]
        with store.transaction() as tx:
            cursor = PlanCursor(step.stop, step.stop * items, step.stop == chunks, "{}")
            assert tx.add_chunks(job.job_key, "scene", planned, cursor, Micros(at))
    with store.transaction() as tx:
        tx.move_job(job.job_key, JobEvent.PLANNED, "", "planner", Micros(at))
        tx.release_claim(job.job_key, "scene")
    return job


def lease(
    store: Store, job_key: JobKey, worker: str, count: int, at: int, seconds: int = FAR // SECOND
) -> list[Leased]:
    """Opened when need be, then leased to the worker."""
    with store.transaction() as tx:
        tx.open_chunks(job_key, count, Micros(at), "scheduler")
        deadline = Micros(at + seconds * SECOND)
        return tx.lease(job_key, WorkerId(worker), count, Micros(at), deadline, NEVER)


def finish(store: Store, job_key: JobKey, leased: Sequence[Leased], at: int, item_errors: int = 0) -> None:
    """Good answers, which are all the same few bytes."""
    changes: list[Change] = []
    body = b"".join(b'{"label":"news","score":0.%03d}\n' % n for n in range(leased[0].item_count if leased else 0))
    with store.transaction() as tx:
        pack = tx.add_pack(job_key, body) if leased else 0
    for each in leased:
        artifact = Artifact(f"pack:{pack}", hashlib.sha256(body).hexdigest(), len(body))
        answer = Answer(b"", artifact, "cd" * 32, item_errors, cpu_seconds=3.5, memory_bytes_max=300 << 20)
        changes += [
            MoveAttempt(each.attempt_id, AttemptEvent.REPORT, "", answer),
            MoveChunk(job_key, each.chunk_id, ChunkEvent.VERIFY, "the answer is in"),
            MoveAttempt(each.attempt_id, AttemptEvent.AGREE, "", checked=True),
            MoveChunk(job_key, each.chunk_id, ChunkEvent.ACCEPT, canonical=each.attempt_id),
        ]
    with store.transaction() as tx:
        tx.apply(changes, Micros(at), "verifier")


def fail(store: Store, leased: Leased, at: int, fault: tuple[FailureClass, str, str, str] = FAULTS[0]) -> None:
    """One attempt goes wrong, and nothing follows yet."""
    kind, code, message, log = fault
    answer = Answer(failure_class=kind, code=code, message=message, exit_code=1, log_tail=log, log_size_bytes=len(log))
    with store.transaction() as tx:
        tx.apply([MoveAttempt(leased.attempt_id, AttemptEvent.FAIL, message, answer)], Micros(at), "worker")


def run_half(store: Store, job: JobRow, chunks: int, now: int, hours: float = 2.0) -> None:
    """So many chunks done over the last hours on all workers, at an uneven pace, some of it going wrong."""
    chance = random.Random(7)
    start = now - int(hours * HOUR)
    done = 0
    for step, at in enumerate(_moments(start, now, 60)):
        worker = WORKERS[step % len(WORKERS)]
        want = min(chunks - done, max(1, round(chunks / 60 * chance.uniform(0.5, 1.5))))
        if want <= 0:
            break
        leased = lease(store, job.job_key, worker, want, at)
        if step % 9 == 4 and leased:
            fail(store, leased.pop(), at + 30 * SECOND, FAULTS[step % len(FAULTS)])
        took = int(chance.uniform(20, 100 + 80 * (step % len(WORKERS)))) * SECOND
        finish(store, job.job_key, leased, min(at + took, now), item_errors=1 if step % 11 == 3 else 0)
        done += len(leased)
    for worker in WORKERS[:4]:
        lease(store, job.job_key, worker, 3, now - 20 * SECOND)


def _moments(start: int, end: int, count: int) -> Iterator[int]:
    return (start + (end - start) * n // count for n in range(count))
