"""The door for jobs: everything that is impossible is refused there, with a code, before a row is written."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fallow.control.callers import Caller
from fallow.core.job import (
    Chunking,
    Distinct,
    ItemRange,
    Plugins,
    Requirements,
    RetryPolicy,
    VerifyMethod,
    VerifyPolicy,
)
from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.core.words import InputFormat, JobState, Scope
from fallow.settings import Settings
from fallow.sim.world import OWNER, SUBMITTER, World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.inputs.files["in.jsonl"] = b'{"n":0,"do":"ok"}\n' * 5
    made.inputs.files["in.bin"] = b"?"
    yield made
    made.close()


GOOD = Submission(input_uri="sim:in.jsonl", image="model:1")


def test_a_good_submission_is_a_job_in_planning(world: World) -> None:
    job = world.server.intake.submit(SUBMITTER, GOOD)
    assert job.state is JobState.PLANNING
    assert job.account_id == SUBMITTER.account_id
    assert job.job_id.startswith("job-")
    assert job.spec.input.size_bytes == 90
    assert job.spec.input.etag


REFUSED: list[tuple[dict[str, Any], Code]] = [
    ({"input_uri": "sim:none.jsonl"}, Code.INPUT_MISSING),
    ({"input_uri": "sim:in.bin"}, Code.INPUT_FORMAT),
    ({"input_uri": "fallow:jobs/other/output/output.jsonl"}, Code.INPUT_NOT_ALLOWED),
    ({"input_uri": "sim:nothing", "input_format": InputFormat.OBJECTS}, Code.INPUT_MISSING),
    ({"range": ItemRange(-1, 3)}, Code.RANGE_INVALID),
    ({"range": ItemRange(3, -1)}, Code.RANGE_INVALID),
    ({"range": ItemRange(3, 2)}, Code.RANGE_INVALID),
    ({"range": ItemRange(0, 5)}, Code.RANGE_PAST_END),
    ({"chunking": Chunking(chunks=0)}, Code.CHUNKS_INVALID),
    ({"chunking": Chunking(chunks=10**9)}, Code.CHUNKS_INVALID),
    ({"chunking": Chunking(items=0)}, Code.CHUNKS_INVALID),
    ({"chunking": Chunking(size_bytes=-5)}, Code.CHUNKS_INVALID),
    ({"chunking": Chunking(items=3, chunks=2)}, Code.CHUNKS_INVALID),
    ({"job_id": "../../x"}, Code.JOB_ID_INVALID),
    ({"job_id": ".hidden"}, Code.JOB_ID_INVALID),
    ({"job_id": "a" * 129}, Code.JOB_ID_INVALID),
    ({"job_id": "a/b"}, Code.JOB_ID_INVALID),
    ({"job_id": "ä"}, Code.JOB_ID_INVALID),
    ({"job_id": "taken"}, Code.JOB_ID_TAKEN),
    ({"image": "no-such-image"}, Code.IMAGE_UNKNOWN),
    ({"image": None, "command": ()}, Code.BAD_REQUEST),
    ({"image": None, "command": ("cat",), "requirements": Requirements(volunteers=True)}, Code.BAD_REQUEST),
    ({"verify": VerifyPolicy(adaptive=True)}, Code.BAD_REQUEST),
    ({"verify": VerifyPolicy(VerifyMethod.QUORUM, 1, distinct=Distinct.ACCOUNT)}, Code.BAD_REQUEST),
    ({"env": {"AI_JOB_ID": "x"}}, Code.BAD_REQUEST),
    ({"env": {"1X": "x"}}, Code.BAD_REQUEST),
    ({"env": {"": "x"}}, Code.BAD_REQUEST),
    ({"env": {"A": "x\0y"}}, Code.BAD_REQUEST),
    ({"command": ("a\0b",)}, Code.BAD_REQUEST),
    ({"env": {"A": "x" * 200_000}}, Code.TOO_LARGE),
    ({"plugins": Plugins(verifier="none-such")}, Code.PLUGIN_UNKNOWN),
    ({"plugins": Plugins(planner="exec:/bin/true")}, Code.PLUGIN_UNKNOWN),
    (
        {"verify": VerifyPolicy(VerifyMethod.QUORUM, 4), "retry": RetryPolicy(max_attempts=3)},
        Code.BAD_REQUEST,
    ),
    ({"output_uri": "sim:there"}, Code.OUTPUT_EXISTS),
]


@pytest.mark.parametrize(("changes", "code"), REFUSED, ids=lambda each: str(each)[:60])
def test_the_impossible_is_refused_and_leaves_nothing(world: World, changes: dict[str, Any], code: Code) -> None:
    world.server.intake.submit(SUBMITTER, replace(GOOD, job_id="taken"))
    world.artifacts.put("there/output.jsonl", [b""])
    with pytest.raises(Refusal) as caught:
        world.server.intake.submit(SUBMITTER, replace(GOOD, **changes))
    assert caught.value.code is code
    assert caught.value.message.endswith(".")
    with world.rows.reading() as tx:
        assert [row.job_id for row in tx.jobs(account_id=None, before=None, limit=10)] == ["taken"]


def test_outputs_may_be_overwritten_by_whoever_says_so(world: World) -> None:
    world.artifacts.put("there/output.jsonl", [b""])
    assert world.server.intake.submit(SUBMITTER, replace(GOOD, output_uri="sim:there", overwrite=True))


def test_a_server_without_bare_commands_takes_none() -> None:
    world = World(settings=Settings(allow_process_jobs=False))
    world.inputs.files["in.jsonl"] = b"1\n"
    with pytest.raises(Refusal) as caught:
        world.server.intake.submit(SUBMITTER, replace(GOOD, image=None, command=("true",)))
    assert caught.value.code is Code.IMAGE_INVALID
    world.close()


def test_a_worker_owner_may_not_submit(world: World) -> None:
    with pytest.raises(Refusal) as caught:
        world.server.intake.submit(OWNER, GOOD)
    assert caught.value.code is Code.FORBIDDEN


def test_other_peoples_jobs_are_not_there(world: World) -> None:
    """For reading, for every verb and in every listing; operators see all."""
    job = world.server.intake.submit(SUBMITTER, GOOD)
    bob = Caller("k-bob", "bob", frozenset({Scope.SUBMIT}))
    server = world.server
    calls = [
        lambda: server.views.job(bob, job.job_id),
        lambda: server.views.chunks(bob, job.job_id, -1, 10),
        lambda: server.views.attempts(bob, job.job_id, None, 0, 10),
        lambda: server.views.story(bob, job.job_id, None, 0, 10),
        lambda: server.views.events(bob, job.job_id, 0, 10),
        lambda: server.results.lines(bob, job.job_id, -1, 10),
        lambda: server.results.output(bob, job.job_id, "output.jsonl"),
        lambda: server.jobs.pause(bob, job.job_id),
        lambda: server.jobs.cancel(bob, job.job_id),
        lambda: server.jobs.rerun(bob, job.job_id),
        lambda: server.jobs.delete(bob, job.job_id),
    ]
    for call in calls:
        with pytest.raises(Refusal) as caught:
            call()
        assert caught.value.code is Code.NOT_FOUND
    assert server.views.jobs(bob, None, 10) == ([], None)
    operator = Caller("k-op", "op", frozenset({Scope.OPERATE}))
    assert server.views.job(operator, job.job_id).job_id == job.job_id
