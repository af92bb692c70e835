"""Planner, scheduler, janitor and results, each by itself, over real rows."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fallow.control.results import Results
from fallow.core.job import Chunking, ItemRange, VerifyMethod, VerifyPolicy
from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.core.words import InputFormat, JobState
from fallow.settings import Settings
from fallow.sim.deeds import Deed
from fallow.sim.faults import Point, ServerDied
from fallow.sim.world import SUBMITTER, World
from fallow.store.port import ChunkRow


@pytest.fixture
def world() -> Iterator[World]:
    made = World(settings=Settings(plan_ahead=5, open_ahead=2))
    yield made
    made.close()


def submit(world: World, items: int, job_id: str = "j", **more: object) -> None:
    lines = [json.dumps({"n": n, "do": "ok"}) for n in range(items)]
    world.inputs.files[f"{job_id}.jsonl"] = "\n".join(lines).encode()
    given = Submission(f"sim:{job_id}.jsonl", job_id=job_id, image="model", chunking=Chunking(items=2))
    world.server.intake.submit(SUBMITTER, replace(given, **more))  # type: ignore[arg-type]


def ranges(rows: list[ChunkRow]) -> list[tuple[int, int]]:
    return sorted((row.case.chunk.item_start, row.case.chunk.item_count) for row in rows)


@pytest.mark.parametrize("point", [Point.BEFORE_COMMIT, Point.AFTER_COMMIT, Point.BYTES])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_planner_killed_anywhere_goes_on_where_it_was(point: Point, at: int) -> None:
    world = World()
    submit(world, 70)
    seen = 0

    def die(here: Point) -> None:
        nonlocal seen
        seen += here is point
        if here is point and seen == at:
            world.server.process.dead = True
            raise ServerDied

    world.faults.at_point = die
    for _ in range(6):
        try:
            world.server.roles["planner"]()
        except ServerDied:
            world.bury(world.server)
        world.clock.advance(100)  # the dead one's claim runs out
    assert world.job("j").state is JobState.RUNNING
    assert ranges(world.chunks("j")) == [(n, 2) for n in range(0, 70, 2)]
    world.close()


def test_the_planner_stays_just_ahead_of_the_fleet(world: World) -> None:
    submit(world, 100)
    world.rest()
    assert world.job("j").counters.chunks_waiting == 5
    assert world.job("j").state is JobState.PLANNING
    world.add_worker("ada", slots=4)
    assert world.run(1, lambda: world.job("j").state is JobState.COMPLETED)
    assert len(world.output("j").splitlines()) == 100


@pytest.mark.parametrize(
    ("chunking", "wanted", "sizes"),
    [
        (Chunking(chunks=3), None, [4, 3, 3]),
        (Chunking(chunks=99), None, [1] * 10),
        (Chunking(items=4), ItemRange(3, 8), [4, 2]),
        (Chunking(chunks=2), ItemRange(3, 8), [3, 3]),
        (Chunking(size_bytes=1), ItemRange(9, 9), [1]),
    ],
)
@pytest.mark.parametrize("kind", [InputFormat.JSONL, InputFormat.CSV])
def test_sizes_and_ranges(kind: InputFormat, chunking: Chunking, wanted: ItemRange | None, sizes: list[int]) -> None:
    world = World()
    head = b"n,do\n" if kind is InputFormat.CSV else b""
    world.inputs.files["x"] = head + b"".join(b"%d,ok\n" % n for n in range(10))
    given = Submission("sim:x", job_id="j", input_format=kind, image="model", chunking=chunking, range=wanted)
    world.server.intake.submit(SUBMITTER, given)
    world.rest()
    made = ranges(world.chunks("j"))
    assert [count for _, count in made] == sizes
    assert made[0][0] == (wanted.start if wanted else 0)
    world.close()


def test_higher_priority_first_then_the_older(world: World) -> None:
    submit(world, 2, "old")
    submit(world, 2, "young")
    submit(world, 2, "urgent", priority=9)
    worker = world.add_worker("ada", slots=3)
    world.rest()
    worker.act(world.server)
    assert [each.lease.job_id for each in worker.running.values()] == ["urgent", "old", "young"]


def test_never_two_attempts_of_a_chunk_on_one_worker(world: World) -> None:
    submit(world, 4, verify=VerifyPolicy(VerifyMethod.QUORUM, 2))
    worker = world.add_worker("ada", slots=8)
    world.rest()
    worker.act(world.server)
    assert sorted(each.lease.chunk_id for each in worker.running.values()) == [0, 1]


def test_a_worker_that_broke_something_rests_longer_each_time(world: World) -> None:
    submit(world, 2, retry=replace(Submission("").retry, max_errors=20, max_attempts=20))
    worker = world.add_worker("ada", temper=lambda _lease: Deed.BREAK)
    rests: list[float] = []
    for _ in range(600):
        world.turn(1.0)
        with world.rows.reading() as tx:
            row = tx.worker(worker.identity.worker_id)
        if row is not None and row.failures > len(rests):
            rests.append((row.backoff_until - row.seen_at) / 1e6)
        if len(rests) == 4:
            break
    assert rests == sorted(set(rests))
    assert max(rests) <= 300
    assert "rests after 4 failures in a row" in world.server.views.why_waiting(world.job("j"))[0]


def test_the_janitor_erases_what_is_past_its_time(world: World) -> None:
    submit(world, 4, retention_seconds=600)
    world.add_worker("ada")
    assert world.run(1, lambda: world.job("j").state is JobState.COMPLETED)
    world.run(0.1)
    assert any(key.startswith("jobs/j/") for key in world.artifacts.objects)
    world.run(0.2)
    with world.rows.reading() as tx:
        assert tx.job("j") is None
    assert not [key for key in world.artifacts.objects if key.startswith("jobs/j/")]


def test_results_have_gaps_that_a_later_call_fills(world: World) -> None:
    submit(world, 6)
    worker = world.add_worker("ada", slots=2)
    world.rest()
    worker.act(world.server)
    first = next(iter(worker.running.values()))
    first.due = world.clock.now() + 10**12  # chunk 0 takes ages
    world.clock.advance(3)
    worker.act(world.server)
    results: Results = world.server.results

    def items(after: int, limit: int = 100) -> list[int]:
        return [json.loads(line)["item"] for line in results.lines(SUBMITTER, "j", after, limit)]

    assert items(-1) == [2, 3]
    assert items(2) == [3]
    assert items(-1, limit=1) == [2]
    first.due = world.clock.now()
    world.run(0.1)
    assert items(-1) == [0, 1, 2, 3, 4, 5]
    assert items(0, limit=2) == [1, 2]


def test_outputs_are_there_when_the_job_is_done_and_not_before(world: World) -> None:
    submit(world, 2)
    with pytest.raises(Refusal) as caught:
        world.server.results.output(SUBMITTER, "j", "output.jsonl")
    assert caught.value.code is Code.NOT_FOUND
    world.add_worker("ada")
    world.run(1, lambda: world.job("j").state is JobState.COMPLETED)
    content = world.server.results.output(SUBMITTER, "j", "output.jsonl")
    assert b"".join(content.read(0, None)) == world.output("j")
    with pytest.raises(Refusal):
        world.server.results.output(SUBMITTER, "j", "../secrets")


def test_one_jobs_lost_input_keeps_nobody_from_other_jobs(world: World) -> None:
    """The list of its objects is gone from the object store: its pieces are given up, the other job is done."""
    world.inputs.files["dir/a"] = b"ok 1"
    given = Submission("sim:dir/", job_id="lost", image="model", input_format=InputFormat.OBJECTS, priority=9)
    world.server.intake.submit(SUBMITTER, given)
    submit(world, 4)
    world.rest()
    world.artifacts.delete(["jobs/lost/items.jsonl"])
    world.add_worker("ada")
    assert world.run(3, lambda: world.job("j").state is JobState.COMPLETED)
    assert world.run(3, lambda: world.job("lost").state is JobState.FAILED)
    assert world.chunks("lost")[0].case.chunk.fault is not None
