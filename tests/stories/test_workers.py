"""Stories of machines: those that lie, break, go silent, come late, or are the only one there is."""

from fallow.core.words import AttemptState, ChunkState, JobState, Label
from tests.stories.fleet import PATIENT, Fleet, squares


def test_a_lying_worker_is_outvoted(fleet: Fleet) -> None:
    """Two honest answers agree; the third is INVALID and earns no credit."""
    mallory = fleet.worker("mallory").lies()
    job = fleet.submit(items=100, quorum=2)
    fleet.run(hours=2)
    assert job.state is JobState.COMPLETED
    assert job.output == squares(range(100))
    assert job.attempts_of(mallory) == {AttemptState.INVALID}
    assert "its answer differs from the others'" in job.story(0) + job.story(1)


def test_a_worker_that_corrupts_is_named_in_the_story(fleet: Fleet) -> None:
    """Its bytes are not what it signed for; somebody else does the chunk."""
    fleet.world.workers.clear()
    hexer = fleet.worker("hexer").corrupts_its_artifacts()
    fleet.worker("ada")
    job = fleet.submit(items=5)
    fleet.run()
    assert job.state is JobState.COMPLETED
    assert job.output == squares(range(5))
    assert job.attempts_of(hexer) == {AttemptState.INVALID}
    assert f"SHA-256 is not the one in its receipt by worker {hexer.id}" in job.story(0)


def test_a_killed_workers_chunk_goes_elsewhere(fleet: Fleet) -> None:
    """It is silent past its lease; the chunk is LOST for it and done by another."""
    fleet.world.workers.clear()
    gone = fleet.worker("gone")
    job = fleet.submit(items=5)
    fleet.run_seconds(1)
    gone.is_switched_off()
    fleet.worker("ada")
    fleet.run()
    assert job.state is JobState.COMPLETED
    assert job.attempts_of(gone) == {AttemptState.LOST}
    assert "was silent past the lease" in job.story(0)


def test_one_laptop_alone_finishes_after_failures(fleet: Fleet) -> None:
    """There is nobody else to ask: the machine that failed a chunk gets it again, and does it."""
    laptop = fleet.alone("laptop").fails(times=4)
    job = fleet.submit(items=30, retry=PATIENT)
    fleet.run()
    assert job.state is JobState.COMPLETED
    assert job.output == squares(range(30))
    assert job.attempts_of(laptop) == {AttemptState.ERRORED, AttemptState.VALID}


def test_a_late_answer_is_welcome(fleet: Fleet) -> None:
    """The lease is over, nobody else has answered: why do it twice?"""
    snail = fleet.alone("snail").reports_late()
    job = fleet.submit(items=5)
    fleet.run()
    assert job.state is JobState.COMPLETED
    assert job.output == squares(range(5))
    assert job.attempts_of(snail) == {AttemptState.VALID}
    assert "attempt report -> reported: late, but kept" in job.story(0)


def test_a_late_answer_does_not_make_a_quorum_with_the_same_workers_next_one(fleet: Fleet) -> None:
    """A machine that was thought lost has the chunk again: what it says twice counts once."""
    snail = fleet.alone("snail").reports_late()
    job = fleet.submit(items=5, quorum=2)
    fleet.run(hours=1)
    assert job.state is JobState.RUNNING
    assert job.chunks(ChunkState.DONE) == 0
    fleet.worker("ada")
    fleet.run()
    assert job.state is JobState.COMPLETED
    assert AttemptState.VALID in job.attempts_of(snail)


def test_why_nobody_takes_it_is_explained(fleet: Fleet) -> None:
    """Machines with another label, or with none, do not fit, and the job says so."""
    from fallow.core.job import Requirements

    fleet.worker("rack", label=Label.CLOUD)
    job = fleet.submit(items=5, requirements=Requirements(label=Label.EDGE))
    fleet.run_seconds(10)
    assert job.why_waiting == ["label=edge excludes 3 of 3 workers"]
    fleet.worker("router", label=Label.EDGE)
    fleet.run()
    assert job.state is JobState.COMPLETED
    assert job.why_waiting == []


def test_the_server_dies_and_nothing_is_lost(fleet: Fleet) -> None:
    """What workers hold and have finished is still theirs to report; the output is that of an undisturbed run."""
    job = fleet.submit(items=100)
    for _ in range(6):
        fleet.run_seconds(4)
        fleet.server_dies()
    fleet.run()
    assert job.state is JobState.COMPLETED
    assert job.output == squares(range(100))
    assert job.attempts_made() == 10
