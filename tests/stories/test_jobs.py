"""Stories of jobs: bad items, bad images, changed inputs, and what their owners ask for."""

from fallow.core.words import ChunkState, JobState
from tests.stories.fleet import Fleet, squares


def test_three_bad_items_among_many_are_found(fleet: Fleet) -> None:
    """The image crashes at three items: they become error lines with their numbers, and all others are answered."""
    bad = {7, 420, 421}
    job = fleet.submit(items=1000, bad=bad, chunk_items=100)
    fleet.run()
    assert job.state is JobState.COMPLETED
    assert [each["item"] for each in job.errors] == [7, 420, 421]
    assert [each["line"] for each in job.errors] == [8, 421, 422]
    assert job.errors[0]["log_tail"] == "the last words of the image"
    assert [each for each in job.output if "square" in each] == squares(n for n in range(1000) if n not in bad)
    assert len(job.output) == 1000


def test_a_chunk_that_crashed_keeps_its_finished_head(fleet: Fleet) -> None:
    """What was answered before the crash is not done again: it has its receipt."""
    job = fleet.submit(items=10, bad={6}, chunk_items=10)
    fleet.run()
    assert job.state is JobState.COMPLETED
    assert "attempt salvage -> reported: finished before attempt 1 failed" in job.story(1)
    assert job.chunks(ChunkState.SPLIT) == 1


def test_a_paused_job_waits_and_goes_on(fleet: Fleet) -> None:
    """Nothing more is leased; what ran may finish; then it goes on where it was."""
    job = fleet.submit(items=200)
    fleet.run_seconds(12)
    job.pause()
    fleet.run_seconds(120)
    done = job.counters.items_done
    assert 0 < done < 200
    fleet.run_seconds(600)
    assert job.counters.items_done == done
    job.resume()
    fleet.run()
    assert job.state is JobState.COMPLETED
    assert job.output == squares(range(200))


def test_a_lease_that_runs_out_in_a_pause_is_made_up_for(fleet: Fleet) -> None:
    """The machine dies while the job is paused; the job goes on all the same."""
    gone = fleet.alone("gone")
    job = fleet.submit(items=5)
    fleet.run_seconds(1)
    job.pause()
    gone.is_switched_off()
    fleet.run_seconds(300)
    job.resume()
    fleet.worker("ada")
    fleet.run()
    assert job.state is JobState.COMPLETED


def test_a_cancelled_job_keeps_what_is_finished(fleet: Fleet) -> None:
    """Finished chunks stay readable; nothing of the rest is running."""
    job = fleet.submit(items=200)
    fleet.run_seconds(20)
    job.cancel()
    fleet.run_seconds(60)
    assert job.state is JobState.CANCELLED
    assert 0 < len(job.results) < 200
    assert list(job.results.values()) == squares(job.results)
    assert job.counters.chunks_waiting == job.counters.attempts_leased == 0


def test_a_rerun_does_only_what_is_missing(fleet: Fleet) -> None:
    """Chunks that are done are not done again."""
    job = fleet.submit(items=200)
    fleet.run_seconds(20)
    job.cancel()
    fleet.run_seconds(60)
    done, made = job.chunks(ChunkState.DONE), job.attempts_made()
    job.rerun()
    fleet.run()
    assert job.state is JobState.COMPLETED
    assert job.output == squares(range(200))
    assert job.attempts_made() == made + 20 - done


def test_an_input_that_changed_fails_the_job_with_the_reason(fleet: Fleet) -> None:
    """Between the door and the planner somebody overwrote the file."""
    job = fleet.submit(items=10)
    job.change_input(b'{"n": 1, "do": "ok"}\n')
    fleet.run()
    assert job.state is JobState.FAILED
    assert "changed after the job was submitted" in job.reason


def test_a_hopeless_image_fails_fast_with_its_error(fleet: Fleet) -> None:
    """Every item crashes it: the job gives up early and says what the image said."""
    job = fleet.submit(items=5000, bad=range(5000), chunk_items=100)
    fleet.run()
    assert job.state is JobState.FAILED
    assert "before the first good answer" in job.reason
    assert "exit_code: The image ended with exit code 3." in job.reason
    assert job.attempts_made() < 100


def test_too_many_errors_fail_the_job(fleet: Fleet) -> None:
    """More than half of the items are bad; what could be done was done and can be read."""
    job = fleet.submit(items=12, bad=range(1, 8), chunk_items=3)
    fleet.run()
    assert job.state is JobState.FAILED
    assert "7 of 12 items failed (58 %), more than the error threshold of 50 %" in job.reason
    assert job.results[0] == {"n": 0, "square": 0}


def test_an_expired_job_keeps_partial_results(fleet: Fleet) -> None:
    """Its time is over; what is finished stays, and asked to run again it has its whole time once more."""
    job = fleet.submit(items=400, expires_seconds=60)
    fleet.run()
    assert job.state is JobState.EXPIRED
    assert job.reason == "it was not done within 60 s"
    assert 0 < len(job.results) < 400
    before = len(job.results)
    job.rerun()
    fleet.run()
    assert len(job.results) > before


def test_an_empty_input_is_a_completed_job(fleet: Fleet) -> None:
    job = fleet.submit(items=0)
    fleet.run()
    assert job.state is JobState.COMPLETED
    assert job.output == job.errors == []
