"""Runs seeds: one again, or as many as fit. The same seed does the same thing, always."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fallow.sim.claims import ClaimWatch
from fallow.sim.driver import Driver, tempered
from fallow.sim.endings import check_endings
from fallow.sim.invariants import Auditor, Broken, Moves, all_moves
from fallow.sim.scenario import ITEM_BYTES_MAX, Scenario, scenario_of
from fallow.sim.world import World
from fallow.store.port import StoryRow
from fallow.store.sqlite import SqliteStore

_FAILURES_MAX = 10  # a batch with more faults than that has been understood


@dataclass(frozen=True, slots=True)
class Failure:
    """A broken invariant. events: the last things that happened before; story: of the chunk or job it is about."""

    seed: int
    step: int
    sentence: str
    events: tuple[str, ...]
    story: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, step {self.step}: {self.sentence}"]
        lines += ["  the last events:", *(f"    {each}" for each in self.events)]
        if self.story:
            lines += ["  the story:", *(f"    {each}" for each in self.story)]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of one seed. fired: the rows of the transition tables that it used. jobs: how many ended how."""

    seed: int
    steps: int
    fired: Moves
    jobs: dict[str, int]
    failure: Failure | None = None

    def __str__(self) -> str:
        if self.failure is not None:
            return str(self.failure)
        ended = ", ".join(f"{count} {state}" for state, count in sorted(self.jobs.items())) or "none left"
        return f"seed {self.seed}: {self.steps} steps, jobs: {ended}; no invariant was broken"


@dataclass(slots=True)
class Batch:
    """What became of many seeds. complete: every row of every transition table was used by one of them."""

    first_seed: int
    seeds: int = 0
    seconds: float = 0.0
    fired: Moves = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        """Rows of the tables that no seed used."""
        return sorted(f"{kind} {state or 'birth'} {event}" for kind, state, event in all_moves() - self.fired)

    @property
    def complete(self) -> bool:
        return not self.missing

    @property
    def ok(self) -> bool:
        """Whether the batch counts, and nothing was found."""
        return not self.failures and self.complete

    def __str__(self) -> str:
        rate = self.seeds / self.seconds if self.seconds else 0.0
        total = len(all_moves())
        lines = [
            f"{self.seeds} seeds from {self.first_seed} in {self.seconds:.1f} s ({rate:.1f}/s); "
            f"{total - len(self.missing)} of {total} rows of the transition tables were used"
        ]
        lines += [f"not used: {', '.join(self.missing)}"] if self.missing else []
        lines += [str(each) for each in self.failures] or ["no invariant was broken"]
        return "\n".join(lines)


def replay(seed: int) -> Replay:
    """One seed, from the start to the end of its last job."""
    scenario = scenario_of(seed)
    world = World(seed=seed, settings=scenario.settings, server_count=scenario.servers, item_bytes_max=ITEM_BYTES_MAX)
    assert isinstance(world.rows, SqliteStore)
    world.faults.watch = ClaimWatch(world.rows._writer, world.clock).look
    driver = Driver(scenario, world, Auditor(world.rows._writer), random.Random(f"driver-{seed}"))
    try:
        return _driven(seed, scenario, driver)
    finally:
        world.close()


def _driven(seed: int, scenario: Scenario, driver: Driver) -> Replay:
    for plan in scenario.workers:
        worker = driver.world.add_worker(plan.name, label=plan.label, slots=plan.slots, seconds=plan.seconds_per_item)
        worker.temper = tempered(driver, worker, plan.faults, plan.fault_rate)
    failure = None
    try:
        driver.chaos()
        driver.still()
        check_endings(driver)
    except Broken as broken:
        failure = _failure(seed, driver, str(broken), broken)
    except Exception as wrong:  # noqa: BLE001  whatever it is, it is the seed's to report
        failure = _failure(seed, driver, f"{type(wrong).__name__}: {wrong} at {_place(wrong)}", None)
    return Replay(seed, driver.step, driver.auditor.fired, _ended(driver), failure)


def run_batch(
    *,
    seconds: float | None = None,
    count: int | None = None,
    first_seed: int = 0,
    progress: Callable[[Batch], None] | None = None,
) -> Batch:
    """Seeds one after another, until the time is over or there were `count`. progress: called after each."""
    started = time.monotonic()
    batch = Batch(first_seed)
    while len(batch.failures) < _FAILURES_MAX:
        if count is not None and batch.seeds >= count:
            break
        if seconds is not None and time.monotonic() - started >= seconds:
            break
        if count is None and seconds is None:
            break
        one = replay(first_seed + batch.seeds)
        batch.seeds += 1
        batch.seconds = time.monotonic() - started
        batch.fired |= one.fired
        if one.failure is not None:
            batch.failures.append(one.failure)
        if progress is not None:
            progress(batch)
    return batch


def _ended(driver: Driver) -> dict[str, int]:
    with driver.world.rows.reading() as tx:
        rows = tx.jobs(account_id=None, before=None, limit=1000)
    states = [row.state.value for row in rows]
    return {state: states.count(state) for state in states}


def _failure(seed: int, driver: Driver, sentence: str, broken: Broken | None) -> Failure:
    story: tuple[str, ...] = ()
    if broken is not None and broken.job_key is not None:
        with driver.world.rows.reading() as tx:
            story = tuple(map(_told, tx.story(broken.job_key, chunk_id=broken.chunk_id, limit=200)))  # type: ignore[arg-type]
    return Failure(seed, driver.step, sentence, tuple(driver.events), story)


def _told(row: StoryRow) -> str:
    which = f"attempt {row.attempt_id}" if row.attempt_id is not None else str(row.kind)
    at = f"{row.at % 10**12 / 1e6:.1f}"
    return f"{at} {which}: {row.from_state} -> {row.event} -> {row.to_state} ({row.cause}) by {row.by}"


def _place(wrong: BaseException) -> str:
    at = wrong.__traceback__
    places = []
    while at is not None:
        name = at.tb_frame.f_code.co_filename.rpartition("/fallow/")[2]
        places.append(f"{name}:{at.tb_lineno}")
        at = at.tb_next
    return " < ".join(reversed(places[-6:]))
