"""The simulator must be able to fail: a rule is broken on purpose, and some seed sees it."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from fallow.control import planner, reports, verifier, work
from fallow.core import progress, settling, slicing, transition
from fallow.core.agreement import Consensus
from fallow.core.changes import MoveAttempt
from fallow.core.chunk import Attempt, Case, Chunk, ItemFault
from fallow.core.job import RetryPolicy
from fallow.core.lifecycle import AttemptEvent
from fallow.core.words import Micros
from fallow.sim import Failure, replay
from fallow.store import ledger
from fallow.store.port import JobRow
from fallow.store.verbs import jobs

SEEDS = 300


def first_failure(start: int = 0) -> Failure:
    """What the first seed that saw something has to say. Fails when none did.

    start: where to look, for rules whose breach needs a rare moment (one seed in hundreds sees it). A change of code
    gives every seed another course: then look for another start, over some thousand seeds.
    """
    for seed in range(start, start + SEEDS):
        failure = replay(seed).failure
        if failure is not None:
            return failure
    pytest.fail(f"{SEEDS} seeds from {start} did not see it")


def test_leases_that_never_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = transition.next_changes

    def patient(case: Case, *rest: object) -> list[object]:
        made = real(case, *rest)  # type: ignore[arg-type]
        return [each for each in made if not (isinstance(each, MoveAttempt) and each.event is AttemptEvent.EXPIRE)]

    monkeypatch.setattr(settling, "next_changes", patient)
    assert re.search("did not end|does not come to rest", str(first_failure()))


def test_bytes_that_nobody_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    real = reports.examine
    monkeypatch.setattr(reports, "examine", lambda pieces, receipt: replace(real(pieces, receipt), fault=""))
    monkeypatch.setattr(verifier, "examine", lambda pieces, receipt: replace(real(pieces, receipt), fault=""))
    assert first_failure().sentence


def test_signatures_that_nobody_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "checker", lambda _key: lambda _message, _signature: True)
    monkeypatch.setattr(verifier.Verifier, "_checker", lambda _self, _worker: lambda _message, _signature: True)
    assert "manifest.json of" in str(first_failure())


def test_a_quorum_of_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def credulous(answers: Sequence[Attempt], *_: object) -> Consensus:
        return Consensus(answers[0].attempt_id, tuple(each.attempt_id for each in answers))

    monkeypatch.setattr(verifier, "consensus", credulous)
    assert "was believed" in str(first_failure())


def test_a_worker_that_agrees_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "_has_answered", lambda _case, _attempt: False)
    assert "answered chunk" in str(first_failure(900))


def test_an_item_lost_in_a_split(monkeypatch: pytest.MonkeyPatch) -> None:
    real = slicing.pieces_after_failure
    monkeypatch.setattr(transition, "pieces_after_failure", lambda *args: real(*args)[:-1])
    failure = first_failure()
    assert "of job" in failure.sentence
    assert failure.story


def test_a_counter_that_drifts(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ledger.Ledger.flush

    def flush(self: ledger.Ledger) -> None:
        for deltas in self._deltas.values():
            deltas[ledger.ITEMS_DONE] *= 2
        real(self)

    monkeypatch.setattr(ledger.Ledger, "flush", flush)
    assert "items_done" in first_failure().sentence


def test_a_plan_whose_end_is_told_in_two_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """How the planner once was: a crash between the two left the job in planning for ever."""

    def in_two(self, job, batch, cursor) -> None:  # type: ignore[no-untyped-def]
        if self._write(job, batch, cursor):
            with self._store.transaction() as tx:
                if tx.job_by_key(job.job_key).state == "planning":
                    tx.move_job(job.job_key, planner.JobEvent.PLANNED, "", "planner", self._places.clock.now())

    monkeypatch.setattr(planner.Planner, "_write_last", in_two)
    assert "did not end" in str(first_failure(550))


def test_claims_that_nobody_respects(monkeypatch: pytest.MonkeyPatch) -> None:
    real = jobs.JobVerbs.claim_job

    def greedy(self: jobs.JobVerbs, what: str, owner: str, now: Micros, until: Micros) -> JobRow | None:
        return real(self, what, owner, Micros(now + 10**9), until)

    monkeypatch.setattr(jobs.JobVerbs, "claim_job", greedy)
    assert "took the claim on job" in first_failure().sentence


def test_chunks_that_are_given_up_too_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    real = transition._why_no_more

    def impatient(chunk: Chunk, attempts: Sequence[Attempt], missing: int, retry: RetryPolicy) -> ItemFault | None:
        return real(chunk, attempts, missing, replace(retry, max_errors=retry.max_errors - 1))

    monkeypatch.setattr(transition, "_why_no_more", impatient)
    assert "was given up after" in first_failure().sentence


def test_jobs_that_are_given_up_too_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "hopeless", lambda counters, quorum=1: counters.attempts_lost >= 1)
    assert progress.hopeless is not work.hopeless
    assert "failed though all its items are good" in str(first_failure())
