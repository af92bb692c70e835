"""Stories of strangers' machines: they come when they come, and some of them lie."""

from dataclasses import replace
from pathlib import Path

import pytest

from fallow.core.job import Compare, Distinct, Homogeneous, Requirements, VerifyMethod, VerifyPolicy
from fallow.core.words import AttemptState, JobState
from fallow.sdk.verdict import Finding
from fallow.sdk.verify import verify
from tests.stories.fleet import PATIENT, Fleet, Job, Worker, squares
from tests.stories.volunteers import EPYC, Crowd, accounts_of

FOR_VOLUNTEERS = Requirements(volunteers=True)
ADAPTIVE = VerifyPolicy(VerifyMethod.QUORUM, 2, Compare.EXACT, adaptive=True)
INTEL = replace(EPYC, vendor="GenuineIntel", model="Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz [Family 6 Model 142]")


def proof_of(fleet: Fleet, job: Job, folder: Path) -> list[Finding]:
    """What is wrong with a finished job's files, as anybody may check them."""
    folder.mkdir()
    for name in ("manifest.json", "output.jsonl", "errors.jsonl"):
        (folder / name).write_bytes(fleet.world.output(job.job_id, name))
    return verify(folder).findings


@pytest.fixture
def crowd(fleet: Fleet) -> Crowd:
    fleet.world.workers.clear()
    return Crowd(fleet.world)


def test_a_stranger_gets_only_what_is_for_strangers(fleet: Fleet, crowd: Crowd) -> None:
    """The job waits and says why; its owner's own BOINC machine may run it."""
    crowd.volunteer("vera")
    job = fleet.submit(items=20)
    fleet.run_seconds(120)
    assert job.why_waiting == ["volunteers=false excludes 1 of 1 workers"]
    crowd.volunteer("alices-laptop", account="alice")
    fleet.run()
    assert job.state is JobState.COMPLETED
    assert all(owners == ["alice"] for owners in accounts_of(fleet.world, job.job_id).values())


def test_strangers_finish_a_job_that_is_for_them(fleet: Fleet, crowd: Crowd) -> None:
    """The first task is one chunk and measures; later ones are bundles."""
    vera = crowd.volunteer("vera")
    job = fleet.submit(items=400, requirements=FOR_VOLUNTEERS)
    fleet.run(hours=3)
    assert job.state is JobState.COMPLETED
    assert job.output == squares(range(400))
    assert vera.record().valid == 40
    assert 0.5 <= vera.record().seconds_per_item < 5.0  # the story's clock moves in large steps
    assert vera.record().sent_today < 20


def test_trust_has_to_be_earned_and_a_liar_loses_it(fleet: Fleet, crowd: Crowd) -> None:
    """Three newcomers are compared with each other until their words are enough; the one that begins to lie is found
    when it is checked, and is compared again from then on."""
    machines = [crowd.volunteer(name) for name in ("vera", "victor", "mallory")]
    first = fleet.submit(items=600, verify=ADAPTIVE, requirements=FOR_VOLUNTEERS, retry=PATIENT)
    fleet.run(hours=12)
    assert first.state is JobState.COMPLETED
    assert first.output == squares(range(600))
    assert all(machine.record().valid_in_row >= 10 for machine in machines)
    assert "the chunk went to a worker whose answer alone is not enough" in first.story(0)
    mallory = Worker(machines[2]).lies()
    careful = Crowd(fleet.world, chance=0.0)  # every trusted answer is checked
    for machine in machines:
        machine.crowd = careful
    second = fleet.submit(items=1500, verify=ADAPTIVE, requirements=FOR_VOLUNTEERS, retry=PATIENT)
    fleet.run(hours=12)
    assert second.state is JobState.COMPLETED
    assert second.output == squares(range(1500))
    assert AttemptState.INVALID in second.attempts_of(mallory)
    assert AttemptState.VALID not in second.attempts_of(mallory)
    assert machines[2].record().valid_in_row == 0


def test_a_trusted_machines_word_is_enough(fleet: Fleet, crowd: Crowd, tmp_path: Path) -> None:
    """Once both are trusted and nobody draws a spot check, a chunk takes one attempt; what comes out is proved by the
    machines' own signatures."""
    for name in ("vera", "victor"):
        crowd.volunteer(name)
    first = fleet.submit(items=400, verify=ADAPTIVE, requirements=FOR_VOLUNTEERS)
    fleet.run(hours=12)
    job = fleet.submit(items=200, verify=ADAPTIVE, requirements=FOR_VOLUNTEERS)
    fleet.run(hours=12)
    assert job.state is JobState.COMPLETED
    assert job.attempts_made() == 20
    assert proof_of(fleet, first, tmp_path / "first") == proof_of(fleet, job, tmp_path / "second") == []


def test_workers_of_our_own_are_trusted(fleet: Fleet) -> None:
    job = fleet.submit(items=100, verify=ADAPTIVE)
    fleet.run()
    assert job.state is JobState.COMPLETED
    assert job.attempts_made() == 10


def test_classes_of_machines_never_mix(fleet: Fleet, crowd: Crowd) -> None:
    """Every chunk has its two answers from two machines of one maker."""
    names = {"ann": EPYC, "abe": EPYC, "ida": INTEL, "ivy": INTEL}
    machines = {name: crowd.volunteer(name, facts=facts) for name, facts in names.items()}
    policy = VerifyPolicy(VerifyMethod.QUORUM, 2, homogeneous=Homogeneous.VENDOR)
    job = fleet.submit(items=300, verify=policy, requirements=FOR_VOLUNTEERS)
    fleet.run(hours=12)
    assert job.state is JobState.COMPLETED
    makers = {machine.owner: facts.vendor for machine, facts in zip(machines.values(), names.values(), strict=True)}
    pairs = [{makers[owner] for owner in owners} for owners in accounts_of(fleet.world, job.job_id).values()]
    assert all(len(pair) == 1 for pair in pairs)
    assert set.union(*pairs) == {"AuthenticAMD", "GenuineIntel"}


def test_a_class_is_given_up_when_its_only_machine_is_gone(fleet: Fleet, crowd: Crowd) -> None:
    ann = crowd.volunteer("ann")
    policy = VerifyPolicy(VerifyMethod.QUORUM, 2, homogeneous=Homogeneous.MODEL)
    job = fleet.submit(items=10, verify=policy, requirements=FOR_VOLUNTEERS, retry=PATIENT)
    fleet.run_seconds(3)
    Worker(ann).is_switched_off()
    for name in ("ida", "ivy"):
        crowd.volunteer(name, facts=INTEL)
    fleet.run(hours=48)
    assert job.state is JobState.COMPLETED
    assert accounts_of(fleet.world, job.job_id) == {0: ["idas-owner", "ivys-owner"]}


def test_two_machines_of_one_account_never_agree_with_each_other(fleet: Fleet, crowd: Crowd) -> None:
    for name, account in (("one", "mallory"), ("two", "mallory"), ("three", "mallory"), ("honest", "vera")):
        crowd.volunteer(name, account=account)
    policy = VerifyPolicy(VerifyMethod.QUORUM, 2, distinct=Distinct.ACCOUNT)
    job = fleet.submit(items=100, verify=policy, requirements=FOR_VOLUNTEERS)
    fleet.run(hours=12)
    assert job.state is JobState.COMPLETED
    assert {tuple(sorted(owners)) for owners in accounts_of(fleet.world, job.job_id).values()} == {("mallory", "vera")}


def test_one_account_alone_does_not_get_its_answers_accepted(fleet: Fleet, crowd: Crowd) -> None:
    for name in ("one", "two", "three"):
        crowd.volunteer(name, account="mallory")
    policy = VerifyPolicy(VerifyMethod.QUORUM, 2, distinct=Distinct.ACCOUNT)
    job = fleet.submit(items=20, verify=policy, requirements=FOR_VOLUNTEERS)
    fleet.run(hours=2)
    assert job.counters.chunks_done == 0
    crowd.volunteer("honest", account="vera")
    fleet.run(hours=2)
    assert job.state is JobState.COMPLETED
