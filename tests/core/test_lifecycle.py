"""Every (state, event) pair of the tables, legal or not."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import pytest

from fallow.core import lifecycle
from fallow.core.lifecycle import (
    ATTEMPT,
    ATTEMPT_ANSWERED,
    ATTEMPT_OVER,
    CHUNK,
    CHUNK_OVER,
    DELIVERY,
    DELIVERY_OVER,
    JOB,
    JOB_OVER,
    UPLOAD,
    UPLOAD_OVER,
    AttemptEvent,
    ChunkEvent,
    DeliveryEvent,
    IllegalMove,
    JobEvent,
    UploadEvent,
)
from fallow.core.notices import DeliveryState
from fallow.core.words import AttemptState, ChunkState, JobState, UploadState

Table = Mapping[tuple[Any, Any], Any]
Machine = tuple[Table, type[StrEnum], type[StrEnum], Callable[..., StrEnum]]

MACHINES: dict[str, Machine] = {
    "job": (JOB, JobState, JobEvent, lifecycle.job_after),
    "chunk": (CHUNK, ChunkState, ChunkEvent, lifecycle.chunk_after),
    "attempt": (ATTEMPT, AttemptState, AttemptEvent, lifecycle.attempt_after),
    "delivery": (DELIVERY, DeliveryState, DeliveryEvent, lifecycle.delivery_after),
    "upload": (UPLOAD, UploadState, UploadEvent, lifecycle.upload_after),
}

# The moves once more, as a picture to hold the tables against: from, then event>to.
DRAWN = {
    "job": """
        - submit>planning
        planning planned>running fail>failed cancel>cancelled expire>expired pause>paused
        running pause>paused merge>merging fail>failed cancel>cancelled expire>expired
        paused resume>running cancel>cancelled expire>expired fail>failed
        merging complete>completed fail>failed cancel>cancelled
        completed rerun>running
        failed rerun>running
        cancelled rerun>running
        expired rerun>running
    """,
    "chunk": """
        - plan>planned
        planned open>open refuse>failed cancel>cancelled
        open verify>verifying fail>failed split>split cancel>cancelled
        verifying more>open accept>done cancel>cancelled
        failed rerun>planned
        cancelled rerun>planned
    """,
    "attempt": """
        - queue>queued salvage>reported
        queued lease>leased drop>dropped
        leased report>reported fail>errored abort>aborted expire>lost
        lost report>reported
        reported agree>valid disagree>invalid
    """,
    "delivery": """
        - make>waiting
        waiting claim>sending drop>dropped
        sending claim>sending confirm>delivered retry>waiting give_up>failed drop>dropped
        delivered send_again>waiting
        failed send_again>waiting
        dropped send_again>waiting
    """,
    "upload": """
        - create>pending
        pending complete>completed cancel>cancelled expire>expired
    """,
}


def drawn(what: str) -> dict[tuple[str | None, str], str]:
    moves: dict[tuple[str | None, str], str] = {}
    for line in DRAWN[what].split("\n"):
        start, *steps = line.split() or [""]
        for step in steps:
            event, _, end = step.partition(">")
            moves[None if start == "-" else start, event] = end
    return moves


PAIRS = [
    pytest.param(what, state, event, id=f"{what}-{state or 'unborn'}-{event}")
    for what, (_, states, events, _) in MACHINES.items()
    for state in (None, *states)
    for event in events
]


@pytest.mark.parametrize(("what", "state", "event"), PAIRS)
def test_a_move_is_in_the_picture_or_illegal(what: str, state: StrEnum | None, event: StrEnum) -> None:
    after = MACHINES[what][3]
    wanted = drawn(what).get((state and state.value, event.value))
    if wanted is not None:
        assert after(state, event) == wanted
        return
    with pytest.raises(IllegalMove, match=f"^a {what} that is {state or 'not there'} cannot {event}$"):
        after(state, event)


@pytest.mark.parametrize("what", MACHINES)
def test_every_state_is_reachable_and_every_event_fires(what: str) -> None:
    table, states, events, _ = MACHINES[what]
    reached: set[Any] = {None}
    while more := {end for (start, _), end in table.items() if start in reached} - reached:
        reached |= more
    assert reached - {None} == set(states)
    assert {event for _, event in table} == set(events)


@pytest.mark.parametrize("what", MACHINES)
def test_every_state_can_end(what: str) -> None:
    """From each state some way leads to a state that is over: nothing can be stuck for ever."""
    table = MACHINES[what][0]
    over: set[Any] = set(
        {
            "job": JOB_OVER,
            "chunk": CHUNK_OVER,
            "attempt": ATTEMPT_OVER,
            "delivery": DELIVERY_OVER,
            "upload": UPLOAD_OVER,
        }[what]
    )
    while more := {start for (start, _), end in table.items() if end in over} - over:
        over |= more
    assert over >= set(MACHINES[what][1])


def test_what_is_over_stays_so_unless_it_is_run_again() -> None:
    assert {event for state, event in JOB if state in JOB_OVER} == {JobEvent.RERUN}
    assert {event for state, event in CHUNK if state in CHUNK_OVER} == {ChunkEvent.RERUN}
    assert not [event for state, event in ATTEMPT if state in ATTEMPT_OVER]
    assert {event for state, event in DELIVERY if state in DELIVERY_OVER} == {DeliveryEvent.SEND_AGAIN}
    assert not [event for state, event in UPLOAD if state in UPLOAD_OVER]


def test_done_and_split_chunks_are_never_run_again() -> None:
    """Their items have an answer, or are other chunks' business."""
    assert not [event for state, event in CHUNK if state in (ChunkState.DONE, ChunkState.SPLIT)]


def test_a_lost_attempt_is_not_over() -> None:
    """It may still arrive late."""
    assert AttemptState.LOST not in ATTEMPT_OVER | ATTEMPT_ANSWERED
