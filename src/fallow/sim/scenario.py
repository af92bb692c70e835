"""What a seed stands for: settings, jobs with their inputs, workers with their faults, and how rough the world is."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

from fallow.core.job import Chunking, Compare, ItemRange, Requirements, RetryPolicy, VerifyMethod, VerifyPolicy
from fallow.core.submission import Submission
from fallow.core.words import Contract, InputFormat, Label
from fallow.settings import Settings
from fallow.sim.deeds import Deed
from fallow.sim.model import expected_line, fault_line

ITEM_BYTES_MAX = 4000  # of this world's planner; a longer item is refused
_HARMLESS = (Deed.STALL, Deed.VANISH, Deed.TWICE, Deed.STOP, Deed.UNLUCKY)
"""Faults after which every item must still get its own answer."""
_HOSTILE = (*_HARMLESS, Deed.LIE, Deed.CORRUPT, Deed.MISSING, Deed.FORGE, Deed.MISLABEL, Deed.SHORT, Deed.BREAK)
_VICIOUS = (*_HOSTILE, Deed.WOLF, Deed.CHOKE)


@dataclass(frozen=True, slots=True)
class Item:
    n: int
    do: str


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A job that will be submitted, and its input. items: all of the input's."""

    submission: Submission
    files: dict[str, bytes]
    items: tuple[Item, ...]

    @property
    def job_id(self) -> str:
        assert self.submission.job_id is not None
        return self.submission.job_id

    @property
    def wanted(self) -> Sequence[Item]:
        """The items of the job's own range."""
        chosen = self.submission.range
        return self.items[chosen.start : chosen.end + 1] if chosen else self.items

    @property
    def quorum(self) -> int:
        verify = self.submission.verify
        return verify.quorum if verify.method is VerifyMethod.QUORUM else 1

    def expected(self, item: int, *, sent: bool = False) -> bytes:
        """The line of item number `item` when nothing but the item itself is to blame. sent: a worker got it, even if
        it is huge: the planner refuses such an item once, and whoever asks for a rerun has it tried."""
        one = self.items[item]
        if one.do == "huge" and not sent:
            return fault_line("item_too_large", "The item is larger than 64 MiB.")
        return expected_line(one.n, one.do)


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    name: str
    label: Label | None
    slots: int
    seconds_per_item: float
    faults: tuple[Deed, ...]
    fault_rate: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """strict: workers are unlucky at worst. *_rate: chances at each point where the thing can happen."""

    settings: Settings
    servers: int
    steps: int
    jobs: tuple[JobPlan, ...]
    workers: tuple[WorkerPlan, ...]
    strict: bool
    verbs: bool
    ambush: bool
    death_rate: float
    outage_rate: float
    meanwhile_rate: float


def scenario_of(seed: int) -> Scenario:
    """The same seed is the same scenario."""
    rng = random.Random(f"scenario-{seed}")
    strict = rng.random() < 0.4
    faults = _HARMLESS if strict else rng.choice((_HARMLESS, _HOSTILE, _HOSTILE, _VICIOUS))
    rough = rng.random() < 0.8
    return Scenario(
        settings=Settings(
            allow_process_jobs=True,
            inline_bytes_max=rng.choice((0, 150, 32 * 1024)),
            plan_ahead=rng.choice((3, 20, 20_000)),
            open_ahead=rng.choice((1, 4, 256)),
            retention_seconds=rng.choice((3600, 30 * 86400)),
        ),
        servers=rng.choice((1, 1, 2)),
        steps=rng.randint(30, 160),
        jobs=tuple(_job(rng, f"job-{number}", strict) for number in range(rng.choice((1, 1, 2)))),
        workers=tuple(_worker(rng, number, faults) for number in range(rng.randint(1, 5))),
        strict=strict,
        verbs=rng.random() < 0.5,
        ambush=not strict and rng.random() < 0.25,
        death_rate=rng.choice((0.0, 0.004, 0.02)) if rough else 0.0,
        outage_rate=rng.choice((0.0, 0.01, 0.04)) if rough else 0.0,
        meanwhile_rate=rng.choice((0.0, 0.05, 0.2)) if rough else 0.0,
    )


def _worker(rng: random.Random, number: int, faults: tuple[Deed, ...]) -> WorkerPlan:
    return WorkerPlan(
        name=f"worker-{number}",
        label=rng.choice((None, None, Label.EDGE, Label.CLOUD)),
        slots=rng.choice((1, 1, 2, 4)),
        seconds_per_item=rng.choice((0.05, 0.5, 4.0)),
        faults=tuple(rng.sample(faults, rng.randint(1, min(3, len(faults))))),
        fault_rate=rng.choice((0.0, 0.2, 0.5, 1.0)),
    )


def _job(rng: random.Random, job_id: str, strict: bool) -> JobPlan:
    count = rng.choice((0, 1, 2, 3, 5, 8, 13, 24, 40, 40, 80))
    items = tuple(_items(rng, count, rng.choice((0.0, 0.0, 0.05, 0.2, 1.0))))
    kind = rng.choice(
        (
            InputFormat.JSONL,
            InputFormat.JSONL,
            InputFormat.JSONL,
            InputFormat.TEXT,
            InputFormat.CSV,
            InputFormat.OBJECTS,
        )
    )
    if kind is not InputFormat.JSONL:
        items = tuple(Item(each.n, "ok" if each.do in ("garbled", "huge") else each.do) for each in items)
    quorum = rng.choice((1, 1, 1, 2, 2, 3))
    submission = Submission(
        input_uri=f"sim:{job_id}/" if kind is InputFormat.OBJECTS else f"sim:{job_id}.{kind}",
        input_format=kind,
        job_id=job_id,
        range=_range(rng, items),
        image=rng.choice(("model:1", None)),
        command=("model",),
        contract=rng.choice((Contract.STREAM, Contract.STREAM, Contract.STREAM, Contract.FILES, Contract.DIRECT)),
        chunking=_chunking(rng),
        verify=VerifyPolicy(VerifyMethod.QUORUM, quorum, rng.choice(tuple(Compare))) if quorum > 1 else VerifyPolicy(),
        retry=RetryPolicy(
            max_errors=rng.choice((1, 2, 3)),
            max_attempts=1000 if strict else rng.choice((3, 6, 12)),
            error_threshold=rng.choice((0.0, 0.5, 1.0, 1.0)),
        ),
        requirements=Requirements(label=rng.choice((None, None, None, Label.EDGE))),
        priority=rng.choice((0, 0, 5)),
        expires_seconds=rng.choice((None, None, 60, 600)),
    )
    return JobPlan(submission, _files(rng, submission, kind, items), items)


def _items(rng: random.Random, count: int, badness: float) -> list[Item]:
    wishes = ("error", "crash", "swallow", "hang", "oom", "garbled", "huge")
    only = rng.choice(wishes) if badness == 1.0 else None
    return [Item(n, only or (rng.choice(wishes) if rng.random() < badness else "ok")) for n in range(count)]


def _range(rng: random.Random, items: Sequence[Item]) -> ItemRange | None:
    if not items or rng.random() < 0.7:
        return None
    start = rng.randrange(len(items))
    return ItemRange(start, rng.randrange(start, len(items)))


def _chunking(rng: random.Random) -> Chunking:
    return rng.choice(
        (
            Chunking(),
            Chunking(items=1),
            Chunking(items=rng.randint(2, 12)),
            Chunking(size_bytes=150),
            Chunking(chunks=rng.randint(1, 9)),
        )
    )


def _files(rng: random.Random, submission: Submission, kind: InputFormat, items: Sequence[Item]) -> dict[str, bytes]:
    name = submission.input_uri.removeprefix("sim:")
    if kind is InputFormat.OBJECTS:
        return {f"{name}{each.n:04d}": f"{each.do} {each.n}".encode() for each in items}
    newline = rng.choice((b"\n", b"\r\n"))
    if kind is InputFormat.TEXT:
        lines = [f"{each.do} {each.n}".encode() for each in items]
    elif kind is InputFormat.CSV:
        lines = [b"n,do", *(f'{each.n},"{each.do}"'.encode() for each in items)]
    else:
        lines = [_json_line(each) for each in items]
    blank = newline if rng.random() < 0.3 else b""
    data = blank + newline.join(lines) if kind is not InputFormat.CSV else newline.join(lines)
    return {name: data if rng.random() < 0.3 or not lines else data + newline}


def _json_line(item: Item) -> bytes:
    if item.do == "garbled":
        return b'{"n": %d, "do"' % item.n
    padding = "x" * ITEM_BYTES_MAX if item.do == "huge" else ""
    return json.dumps({"n": item.n, "do": item.do, **({"padding": padding} if padding else {})}).encode()
