"""Feeds: what is appended, planned, run and ended, over real rows, with servers that die at any point."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fallow.control.callers import Caller
from fallow.control.feeds import EXPIRES_SECONDS
from fallow.core.job import Chunking, ItemRange, Plugins
from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.core.words import InputFormat, JobState, Scope
from fallow.settings import Settings
from fallow.sim.faults import Point, ServerDied
from fallow.sim.world import SUBMITTER, World
from fallow.store.port import FeedRow

FEED = Submission(input_uri="", job_id="f", image="model:1", feed=True, chunking=Chunking(items=3))


@pytest.fixture
def world() -> Iterator[World]:
    made = World(settings=Settings(plan_ahead=5, open_ahead=2))
    yield made
    made.close()


def lines(first: int, count: int) -> bytes:
    return b"".join(json.dumps({"n": n, "do": "ok"}).encode() + b"\n" for n in range(first, first + count))


def feed(world: World, number: int, first: int, count: int) -> FeedRow:
    return world.server.feeds.append(SUBMITTER, "f", number, lines(first, count))


def ranges(world: World) -> list[tuple[int, int]]:
    return sorted((row.case.chunk.item_start, row.case.chunk.item_count) for row in world.chunks("f"))


def code_of(refused: pytest.ExceptionInfo[Refusal]) -> Code:
    return refused.value.code


def test_items_are_answered_while_the_feed_is_open_and_the_job_ends_when_it_is_closed(world: World) -> None:
    world.server.intake.submit(SUBMITTER, FEED)
    world.add_worker("ada")
    world.run(0.1)
    assert world.job("f").state is JobState.PLANNING
    feed(world, 0, 0, 4)
    assert world.run(1, lambda: world.job("f").counters.items_done == 4)
    assert world.job("f").state is JobState.RUNNING
    world.run(1)
    assert world.job("f").state is JobState.RUNNING, "more may come"
    feed(world, 1, 4, 2)
    assert world.run(1, lambda: world.job("f").counters.items_done == 6)
    closed = world.server.feeds.close(SUBMITTER, "f")
    assert (closed.parts, closed.closed_at is not None) == (2, True)
    assert world.run(1, lambda: world.job("f").state is JobState.COMPLETED)
    assert ranges(world) == [(0, 3), (3, 1), (4, 2)], "no chunk reaches from one part into the next"
    given = [json.loads(line)["n"] for line in world.output("f").splitlines()]
    assert given == [0, 1, 2, 3, 4, 5]


def test_a_feed_closed_without_an_item_completes(world: World) -> None:
    world.server.intake.submit(SUBMITTER, FEED)
    world.server.feeds.close(SUBMITTER, "f")
    assert world.run(1, lambda: world.job("f").state is JobState.COMPLETED)
    assert world.output("f") == b""


def test_an_append_that_is_repeated_changes_nothing(world: World) -> None:
    world.server.intake.submit(SUBMITTER, FEED)
    first = feed(world, 0, 0, 4)
    assert feed(world, 0, 0, 4) == first
    second = feed(world, 1, 4, 1)
    assert feed(world, 0, 0, 4) == second
    world.server.feeds.close(SUBMITTER, "f")
    assert feed(world, 1, 4, 1).parts == 2, "also after the end"
    world.rest()
    assert world.job("f").counters.items_total == 5


def test_gaps_other_items_under_an_old_number_and_items_after_the_end_are_refused(world: World) -> None:
    world.server.intake.submit(SUBMITTER, FEED)
    with pytest.raises(Refusal, match="Append 1 came before append 0") as refused:
        feed(world, 1, 0, 1)
    assert (code_of(refused), refused.value.details) == (Code.STATE_CONFLICT, {"next": 0})
    feed(world, 0, 0, 1)
    with pytest.raises(Refusal, match="Other items were appended"):
        feed(world, 0, 5, 1)
    with pytest.raises(Refusal, match="no items") as empty:
        world.server.feeds.append(SUBMITTER, "f", 1, b" \n\n")
    assert code_of(empty) is Code.BAD_REQUEST
    world.server.feeds.close(SUBMITTER, "f")
    with pytest.raises(Refusal, match="is closed"):
        feed(world, 1, 1, 1)
    assert [key for key in world.artifacts.objects if "/feed/" in key][1:] == [], "what was refused was not kept"


def test_feeds_of_others_and_jobs_that_are_none(world: World) -> None:
    world.server.intake.submit(SUBMITTER, FEED)
    stranger = Caller("k", "stranger", frozenset({Scope.SUBMIT}))
    for verb in (
        lambda: world.server.feeds.append(stranger, "f", 0, lines(0, 1)),
        lambda: world.server.feeds.close(stranger, "f"),
        lambda: world.server.feeds.append(SUBMITTER, "none", 0, lines(0, 1)),
    ):
        with pytest.raises(Refusal) as hidden:
            verb()
        assert code_of(hidden) is Code.NOT_FOUND
    world.inputs.files["in.jsonl"] = lines(0, 1)
    world.server.intake.submit(SUBMITTER, Submission(input_uri="sim:in.jsonl", job_id="plain", image="model:1"))
    with pytest.raises(Refusal, match="is no feed"):
        world.server.feeds.close(SUBMITTER, "plain")
    world.server.jobs.cancel(SUBMITTER, "f")
    with pytest.raises(Refusal, match="is cancelled"):
        feed(world, 0, 0, 1)


@pytest.mark.parametrize(
    "more",
    [
        {"input_uri": "sim:in.jsonl"},
        {"range": ItemRange(0, 1)},
        {"chunking": Chunking(chunks=2)},
        {"plugins": Plugins(planner="exec:/bin/true")},
        {"input_format": InputFormat.CSV},
    ],
)
def test_what_only_a_whole_input_allows_is_refused(world: World, more: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        world.server.intake.check(SUBMITTER, replace(FEED, **more))
    assert code_of(refused) in (Code.BAD_REQUEST, Code.INPUT_FORMAT, Code.PLUGIN_UNKNOWN)


def test_a_planner_without_anything_to_plan_is_not_called(world: World) -> None:
    world.server.intake.submit(SUBMITTER, FEED)
    assert world.server.roles["planner"]()
    assert not world.server.roles["planner"]()
    feed(world, 0, 0, 1)
    assert world.server.roles["planner"]()
    assert not world.server.roles["planner"]()


def test_a_large_part_waits_for_room_and_nothing_is_lost(world: World) -> None:
    world.server.intake.submit(SUBMITTER, FEED)
    feed(world, 0, 0, 100)
    feed(world, 1, 100, 7)
    world.rest()
    assert world.job("f").counters.chunks_waiting == 5, "as far ahead of the fleet as for any job"
    world.add_worker("ada", slots=4)
    world.server.feeds.close(SUBMITTER, "f")
    assert world.run(1, lambda: world.job("f").state is JobState.COMPLETED)
    assert [json.loads(line)["n"] for line in world.output("f").splitlines()] == list(range(107))


@pytest.mark.parametrize("point", [Point.BEFORE_COMMIT, Point.AFTER_COMMIT, Point.BYTES])
@pytest.mark.parametrize("at", range(1, 12))
def test_a_server_killed_anywhere_loses_no_item_and_doubles_none(point: Point, at: int) -> None:
    """Whoever feeds sends again what was not answered, under the same number."""
    world = World(settings=Settings(plan_ahead=5, open_ahead=2))
    world.server.intake.submit(SUBMITTER, FEED)
    seen = 0

    def die(here: Point) -> None:
        nonlocal seen
        seen += here is point
        if here is point and seen == at:
            world.server.process.dead = True
            raise ServerDied

    world.faults.at_point = die
    for number in range(4):
        alive(world, lambda number=number: feed(world, number, number * 4, 4))
        alive(world, lambda: plan(world))
    alive(world, lambda: world.server.feeds.close(SUBMITTER, "f"))
    world.faults.at_point = lambda _here: None
    world.clock.advance(100)  # the dead one's claim runs out
    world.add_worker("ada", slots=4)
    assert world.run(1, lambda: world.job("f").state is JobState.COMPLETED)
    assert [json.loads(line)["n"] for line in world.output("f").splitlines()] == list(range(16))
    world.close()


def plan(world: World) -> bool:
    return world.server.roles["planner"]()


def alive(world: World, call: Any) -> None:
    """Calls a server that may die of it, and then the one that takes its place."""
    try:
        call()
    except ServerDied:
        world.bury(world.server)
        call()


def test_a_feed_that_nobody_feeds_expires(world: World) -> None:
    world.server.intake.submit(SUBMITTER, replace(FEED, expires_seconds=3600))
    world.clock.advance(3000)
    feed(world, 0, 0, 1)
    world.clock.advance(3000)
    world.rest()
    assert world.job("f").state is JobState.RUNNING
    world.clock.advance(700)
    world.rest()
    assert world.job("f").state is JobState.EXPIRED


def test_a_feed_has_an_end_also_when_its_submitter_named_none(world: World) -> None:
    assert world.server.intake.check(SUBMITTER, FEED).expires_seconds == EXPIRES_SECONDS
    assert world.server.intake.check(SUBMITTER, replace(FEED, expires_seconds=5)).expires_seconds == 5


def test_a_short_queue_is_shared_by_the_fleet(world: World) -> None:
    """No worker takes ahead what another could run now."""
    world.add_worker("ada", slots=4)
    world.add_worker("grace", slots=4)
    world.turn(1)
    world.server.intake.submit(SUBMITTER, FEED)
    feed(world, 0, 0, 6)
    world.turn(1)
    holders = [row.attempt.worker_id for row in world.attempts("f")]
    assert len(holders) == len(set(holders)) == 2


def test_results_from_single_items_on(world: World) -> None:
    world.server.intake.submit(SUBMITTER, FEED)
    world.add_worker("ada")
    feed(world, 0, 0, 7)
    assert world.run(1, lambda: world.job("f").counters.items_done == 7)

    def items(*wanted: int, size_bytes_max: int = 10_000) -> list[int]:
        given = world.server.results.runs(SUBMITTER, "f", wanted, size_bytes_max)
        return [json.loads(line)["item"] for line in given]

    assert items(0) == [0, 1, 2]
    assert items(4, 6, 4) == [4, 5, 6]
    assert items(99) == []
    assert items(3, 0, 6, size_bytes_max=1) == [3, 4, 5], "a whole run, and then no more"
