"""What the stories are told with: a fleet in one thread, real core, SQL and signatures, a clock that is moved."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fallow.control.callers import Caller
from fallow.core.chunk import Attempt
from fallow.core.job import Chunking, RetryPolicy, VerifyMethod, VerifyPolicy
from fallow.core.lifecycle import JOB_OVER
from fallow.core.progress import Counters
from fallow.core.submission import Submission
from fallow.core.words import AttemptState, ChunkState, JobState, Label
from fallow.sim.deeds import Deed
from fallow.sim.worker import SimWorker
from fallow.sim.world import SUBMITTER, World
from fallow.store.port import Store


class Fleet:
    """The world of one story. Two honest machines, ada and grace, are there unless the story wants it otherwise."""

    def __init__(self, store: Store | None) -> None:
        self.world = World(store=store)
        for name in ("ada", "grace"):
            self.world.add_worker(name)

    def submit(
        self,
        items: int,
        *,
        bad: Iterable[int] = (),
        quorum: int = 1,
        chunk_items: int = 10,
        by: Caller = SUBMITTER,
        **more: object,
    ) -> "Job":
        """A job over {"n": 0..items-1}; the items in `bad` make the image crash. more: members of Submission."""
        name = f"job-{len(self.world.inputs.files)}"
        broken = set(bad)
        lines = [json.dumps({"n": n, "do": "crash" if n in broken else "ok"}) for n in range(items)]
        self.world.inputs.files[f"{name}.jsonl"] = "".join(line + "\n" for line in lines).encode()
        submission = Submission(
            input_uri=f"sim:{name}.jsonl",
            job_id=name,
            image="model:1",
            chunking=Chunking(items=chunk_items),
            verify=VerifyPolicy(VerifyMethod.QUORUM, quorum) if quorum > 1 else VerifyPolicy(),
        )
        self.world.server.intake.submit(by, replace(submission, **more))  # type: ignore[arg-type]
        return Job(self.world, name)

    def worker(self, name: str, label: Label | None = None) -> "Worker":
        """A machine joins."""
        return Worker(self.world.add_worker(name, label=label))

    def alone(self, name: str) -> "Worker":
        """This machine, and no other."""
        self.world.workers.clear()
        return self.worker(name)

    def run(self, hours: float = 2.0) -> None:
        """Until every job is over, or so long."""
        self.world.run(hours, self._all_over)
        self.world.rest()

    def run_seconds(self, seconds: float) -> None:
        self.world.run(seconds / 3600)

    def _all_over(self) -> bool:
        with self.world.rows.reading() as tx:
            return all(row.state in JOB_OVER for row in tx.jobs(account_id=None, before=None, limit=100))

    def server_dies(self) -> None:
        """Its process is killed; another one starts over the same rows and bytes."""
        self.world.bury(self.world.server)


@dataclass(slots=True)
class Worker:
    """One machine and its habits, for the attempts that it takes from now on."""

    machine: SimWorker

    @property
    def id(self) -> str:
        return self.machine.worker_id

    def lies(self) -> "Worker":
        return self._always(Deed.LIE)

    def corrupts_its_artifacts(self) -> "Worker":
        return self._always(Deed.CORRUPT)

    def reports_late(self) -> "Worker":
        return self._always(Deed.STALL)

    def fails(self, times: int) -> "Worker":
        """Its disk is full so many times; then it is not."""
        left = iter([Deed.BREAK] * times)
        self.machine.temper = lambda _lease: next(left, Deed.HONEST)
        return self

    def is_switched_off(self) -> None:
        self.machine.asleep_until = 2**62

    def _always(self, deed: Deed) -> "Worker":
        self.machine.temper = lambda _lease: deed
        return self


@dataclass(slots=True)
class Job:
    """A job as its owner sees it."""

    world: World
    job_id: str

    @property
    def state(self) -> JobState:
        return self.world.job(self.job_id).state

    @property
    def reason(self) -> str:
        return self.world.job(self.job_id).reason

    @property
    def counters(self) -> Counters:
        return self.world.job(self.job_id).counters

    @property
    def output(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.world.output(self.job_id).splitlines()]

    @property
    def errors(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.world.output(self.job_id, "errors.jsonl").splitlines()]

    @property
    def results(self) -> dict[int, object]:
        """Item -> answer, of what is finished so far."""
        lines = self.world.server.results.lines(SUBMITTER, self.job_id, -1, 10**9)
        return {each["item"]: each["output"] for each in map(json.loads, lines)}

    @property
    def why_waiting(self) -> list[str]:
        return self.world.server.views.why_waiting(self.world.job(self.job_id))

    def story(self, chunk_id: int | None = None) -> str:
        """One line a move: what, to which state, why, by whom."""
        rows = self.world.story(self.job_id, chunk_id)
        return "\n".join(f"{row.kind} {row.event} -> {row.to_state}: {row.cause} by {row.by}" for row in rows)

    def attempts_of(self, worker: Worker) -> set[AttemptState]:
        """The states of what this worker has had of the job."""
        return {each.state for each in self._attempts() if each.worker_id == worker.id}

    def chunks(self, state: ChunkState) -> int:
        return sum(each.case.chunk.state is state for each in self.world.chunks(self.job_id))

    def attempts_made(self) -> int:
        return sum(each.worker_id is not None for each in self._attempts())

    def _attempts(self) -> list[Attempt]:
        return [row.attempt for row in self.world.attempts(self.job_id)]

    def pause(self) -> None:
        self.world.server.jobs.pause(SUBMITTER, self.job_id)

    def resume(self) -> None:
        self.world.server.jobs.resume(SUBMITTER, self.job_id)

    def cancel(self) -> None:
        self.world.server.jobs.cancel(SUBMITTER, self.job_id)

    def rerun(self) -> None:
        self.world.server.jobs.rerun(SUBMITTER, self.job_id)

    def change_input(self, data: bytes) -> None:
        self.world.inputs.files[f"{self.job_id}.jsonl"] = data


def squares(items: Iterable[int]) -> list[dict[str, object]]:
    """What honest machines answer to good items."""
    return [{"n": n, "square": n * n} for n in items]


PATIENT = RetryPolicy(max_attempts=20, max_errors=10)
