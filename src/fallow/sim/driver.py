"""Drives a scenario: one seed chooses what happens next, at every step and at every point in between."""

import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fallow.core.lifecycle import JOB_OVER
from fallow.core.refusals import Code, Refusal
from fallow.core.words import JobState, Label
from fallow.protocols.rest import work as wire
from fallow.sim.deeds import Deed
from fallow.sim.faults import Point, ServerDied
from fallow.sim.invariants import Auditor, Broken
from fallow.sim.scenario import JobPlan, Scenario
from fallow.sim.server import Server
from fallow.sim.worker import SimWorker
from fallow.sim.world import SUBMITTER, World
from fallow.store.port import JobRow

_CALM_HOURS = 12.0
_EXPECTED = frozenset({Code.STORAGE_UNREACHABLE, Code.STATE_CONFLICT, Code.NOT_FOUND, Code.JOB_ID_TAKEN})
_VERBS = ("pause", "resume", "resume", "cancel", "rerun", "rerun", "delete")


@dataclass(slots=True)
class Driver:
    """events: the last things that happened, for whoever looks for a fault. lies: attempts answered with lies."""

    scenario: Scenario
    world: World
    auditor: Auditor
    rng: random.Random
    calm: bool = False
    step: int = 0
    events: deque[str] = field(default_factory=lambda: deque(maxlen=40))
    lies: dict[int, str] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)  # jobs whose input was changed
    deleted: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)  # jobs that a verb has moved
    waiting: list[JobPlan] = field(default_factory=list)
    old_reports: list[tuple[SimWorker, wire.Report]] = field(default_factory=list)
    _running: list[tuple[Server, str]] = field(default_factory=list)

    def chaos(self) -> None:
        """The rough part. Raises Broken."""
        self.world.faults.at_point = self._at_point
        self.waiting = list(self.scenario.jobs)
        self._submit()
        for step in range(1, self.scenario.steps + 1):
            self.step = step
            self._act()
            self._check()

    def still(self) -> None:
        """Faults stop, honest machines join, and every job must end; also when it is asked to run once more. Raises
        Broken."""
        self.calm = True
        while self.waiting:
            self._submit()
        self._let_honest_machines_join()
        self._wait()
        if self.scenario.verbs:
            self._run_again()
            self._wait()

    def _run_again(self) -> None:
        for row in self._jobs():
            self._ask(row.job_id, "rerun")

    def _let_honest_machines_join(self) -> None:
        for worker in self.world.workers.values():
            worker.temper = lambda _lease: Deed.HONEST
            worker.asleep_until = 0
        for number in range(4):
            self.world.add_worker(f"helper-{number}", label=Label.EDGE, slots=4, seconds=0.05)
        self._resume_all()

    def _wait(self) -> None:
        if not self.world.run(_CALM_HOURS, self._all_over, tick_seconds=4.0, idle_seconds=30.0):
            late = [(row.job_id, row.state.value) for row in self._jobs() if row.state not in JOB_OVER]
            raise Broken(f"{late} did not end within {_CALM_HOURS} h after the last fault", self._first_late())
        self.world.run(1.0, self._all_swept, tick_seconds=4.0, idle_seconds=30.0)
        self._check()

    def _first_late(self) -> int | None:
        return next((row.job_key for row in self._jobs() if row.state not in JOB_OVER), None)

    def _jobs(self) -> list[JobRow]:
        with self.world.rows.reading() as tx:
            return tx.jobs(account_id=None, before=None, limit=100)

    def _all_over(self) -> bool:
        self._check()
        return all(row.state in JOB_OVER for row in self._jobs())

    def _all_swept(self) -> bool:
        return all(not row.counters.chunks_waiting and not row.counters.attempts_leased for row in self._jobs())

    def _resume_all(self) -> None:
        for row in self._jobs():
            if row.state is JobState.PAUSED:
                self.world.server.jobs.resume(SUBMITTER, row.job_id)

    def _check(self) -> None:
        if self.world.faults.broken:
            raise Broken(self.world.faults.broken[0])
        self.auditor.look()

    # what can happen

    def _act(self) -> None:
        chosen: Callable[[], None] = self.rng.choices(
            (self._worker_turn, self._role_turn, self._pass_time, self._verb, self._worker_trouble, self._submit),
            (50, 35, 20, 3 if self.scenario.verbs else 0, 4, 2),
        )[0]
        chosen()

    def _meanwhile(self) -> None:
        """Somebody else gets a turn while a role or a call is in the middle of its work."""
        verbs = 0 if not self.scenario.verbs else 6 if self._running[-1][1] == "assimilator" else 1
        self.rng.choices((self._worker_turn, self._role_turn, self._verb), (3, 3, verbs))[0]()

    def _note(self, what: str) -> None:
        self.events.append(f"{self.step}{'  ' * len(self._running)} {what}")

    @contextmanager
    def _inside(self, server: Server, what: str) -> Iterator[None]:
        """The server works on something; it may die at it, and it may refuse."""
        self._note(f"{server.name}: {what}")
        self._running.append((server, what))
        try:
            yield
        except ServerDied:
            self._note(f"{server.name} died")
            if server in self.world.servers:
                self.world.bury(server)
        except Refusal as refusal:
            self._note(f"refused: {refusal}")
            if refusal.code not in _EXPECTED:
                raise Broken(f"{what} was refused: {refusal}") from refusal
        finally:
            self._running.pop()
            self.world.faults.writing = False

    def _at_point(self, point: Point) -> None:
        if self.calm or not self._running:
            return
        server = self._running[-1][0]
        if self.rng.random() < self.scenario.death_rate:
            server.process.dead = True
            raise ServerDied
        if point is Point.BYTES and self.rng.random() < self.scenario.outage_rate:
            raise Refusal(Code.STORAGE_UNREACHABLE, "The object store cannot be reached.", "Wait.")
        free = point is not Point.BEFORE_COMMIT and len(self._running) < 3
        if free and self.scenario.ambush and self.rng.random() < 0.3:
            self._ambush(self._running[-1][1])
        if free and self.rng.random() < self.scenario.meanwhile_rate:
            self._meanwhile()
            if server.process.dead:
                raise ServerDied

    def _role_turn(self) -> None:
        server = self.rng.choice(self.world.servers)
        name = self.rng.choice(tuple(server.roles))
        if any(at is server and what == name for at, what in self._running):
            return  # one thread a role
        with self._inside(server, name):
            server.roles[name]()

    def _worker_turn(self) -> None:
        worker = self.rng.choice(tuple(self.world.workers.values()))
        if any(what == worker.name for _, what in self._running):
            return
        server = self.rng.choice(self.world.servers)
        spooled = list(worker.spool)
        with self._inside(server, worker.name):
            worker.act(server)
        self.old_reports.extend((worker, report) for report in spooled)

    def _pass_time(self) -> None:
        seconds = self.rng.choice((0.1, 1.0, 1.0, 5.0, 5.0, 9.0, 65.0, 130.0))
        self._note(f"{seconds} s pass")
        self.world.clock.advance(seconds)

    def _verb(self) -> None:
        self._ask(self.rng.choice(self.scenario.jobs).job_id, self.rng.choice(_VERBS))

    def _ask(self, job_id: str, verb: str) -> None:
        server = self.rng.choice(self.world.servers)
        self.touched.add(job_id)
        with self._inside(server, f"{verb} {job_id}"):
            if verb == "delete":
                self.deleted.add(job_id)  # also when the server dies over it: some of its bytes may be gone
                server.jobs.delete(SUBMITTER, job_id)
            else:
                getattr(server.jobs, verb)(SUBMITTER, job_id)

    def _worker_trouble(self) -> None:
        worker = self.rng.choice(tuple(self.world.workers.values()))
        kind = self.rng.randrange(5)
        self._note(f"{worker.name}: trouble {kind}")
        if kind == 0:
            worker.restart()
        elif kind == 1:
            worker.asleep_until = self.world.clock.now() + int(self.rng.choice((30, 100, 400)) * 1e6)
        elif kind == 2 and self.old_reports:
            teller, report = self.rng.choice(self.old_reports)
            (teller if self.rng.random() < 0.5 else worker).repeat(report)
        elif kind == 3:
            worker.repeat(
                wire.Report(self.rng.randrange(1, 200), failure=wire.Failure("worker", "made_up", "Made up."))
            )
        elif not self.scenario.strict and self.rng.random() < 0.15:
            self._change_input()

    def _ambush(self, what: str) -> None:
        """The worst moment: the input changes under the planner while its owner does something about the job, or a job
        is cancelled while it is merged."""
        if what == "planner":
            plan = self._change_input()
            if plan is not None:
                self._ask(plan.job_id, self.rng.choice(("pause", "pause", "cancel", "resume")))
        elif what == "assimilator":
            self._ask(self.rng.choice(self.scenario.jobs).job_id, "cancel")

    def _change_input(self) -> JobPlan | None:
        plan = self.rng.choice(self.scenario.jobs)
        if plan in self.waiting:
            return None
        self.changed.add(plan.job_id)
        for name in plan.files:
            self.world.inputs.files[name] = b'{"n": 1, "do": "ok"}\n'
        return plan

    def _submit(self) -> None:
        if not self.waiting:
            return
        plan = self.waiting[0]
        for name, data in plan.files.items():
            self.world.inputs.files.setdefault(name, data)
        server = self.rng.choice(self.world.servers)
        with self._inside(server, f"submit {plan.job_id}"):
            try:
                server.intake.submit(SUBMITTER, plan.submission)
                self.waiting.pop(0)
            except Refusal as refusal:
                if refusal.code is Code.JOB_ID_TAKEN:  # the answer to the first call was lost
                    self.waiting.pop(0)
                raise


def tempered(driver: Driver, worker: SimWorker, faults: tuple[Deed, ...], rate: float) -> Callable[[wire.Lease], Deed]:
    """What this worker does with each lease, drawn from its own luck."""

    def temper(lease: wire.Lease) -> Deed:
        deed = worker.rng.choice(faults) if worker.rng.random() < rate else Deed.HONEST
        if deed is Deed.LIE:
            driver.lies[lease.attempt_id] = worker.name
        return deed

    return temper
