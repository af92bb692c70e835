"""Volunteers' machines in a story: the real calls of the BOINC door, its creditor, and a client that runs its tasks one
after the other and calls only when it has something to say or the time has come."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from fallow.control.boinc.calls import Call, Calls, Outcome
from fallow.control.boinc.creditor import Creditor
from fallow.control.boinc.handing_out import Given, HandingOut
from fallow.control.boinc.hosts import Introduction
from fallow.control.boinc.returned import AnswerFile, Brought, Returned
from fallow.control.boinc.users import BoincCaller, BoincUsers
from fallow.control.passwords import Passwords
from fallow.control.reports import Failed, Reported
from fallow.control.scheduler import Offer, Scheduler
from fallow.core.deadlines import Wanted
from fallow.core.volunteers import HostFacts
from fallow.core.words import AttemptId, Micros
from fallow.protocols.rest import work as wire
from fallow.sim.server import Server
from fallow.sim.signing import identity_of
from fallow.sim.worker import Running, SimWorker
from fallow.sim.world import World
from fallow.store.port import ReputationRow
from fallow.web.work import leases_of

_LOST = Failed("worker", "no_answer", "The task brought no answer.")
EPYC = HostFacts(
    os="Linux Debian",
    vendor="AuthenticAMD",
    model="AMD EPYC [Family 25 Model 1 Stepping 1]",
    platform="x86_64-pc-linux-gnu",
    cores=4.0,
    engine="podman",
)
_CAPABILITY = wire.CapabilityMessage("linux/amd64", 4.0, 8 << 30, 64 << 30, 4, ("podman",), ("stream", "http", "files"))


class Crowd:
    """The door for volunteers, and those who came. chance: what spot checks draw."""

    def __init__(self, world: World, chance: float = 1.0) -> None:
        self.world = world
        rows, clock, settings = world.rows, world.clock, world.settings
        self._users = BoincUsers(rows, clock, Passwords(), b"a secret of thirty-two bytes or so")
        handing_out = HandingOut(Scheduler(rows, clock, settings), settings, lambda: chance)
        self.calls = Calls(rows, clock, settings, self._users, world.server.work, handing_out)
        world.server.roles["creditor"] = Creditor(rows, clock, settings).step

    def volunteer(self, name: str, account: str = "", facts: HostFacts = EPYC) -> "SimVolunteer":
        """A machine attaches. account: whose it is; by itself each has its own."""
        world, account_id = self.world, account or f"{name}s-owner"
        with world.rows.transaction() as tx:
            tx.add_account(account_id, account_id, world.clock.now())
            key = self._users.key_of(self._users.ensured(tx, account_id, world.clock.now()))
        machine = SimVolunteer(
            name=name,
            identity=identity_of(random.Random(f"{world.seed}-{name}").randbytes(32)),
            rng=random.Random(name),
            clock=world.clock,
            folder=world.folder,
            caller=self._users.identify(key).caller,
            inline_bytes_max=world.settings.inline_bytes_max,
            crowd=self,
            who=self._users.identify(key),
            facts=facts,
        )
        world.workers[name] = machine
        return machine


@dataclass(slots=True)
class SimVolunteer(SimWorker):
    """One client. tasks: result -> attempts that have no report yet; done: result -> reports so far."""

    crowd: Crowd | None = None
    who: BoincCaller | None = None
    facts: HostFacts = EPYC
    host_id: int = 0
    known_as: str = ""
    calls_made: int = 0
    next_call: int = 0
    tasks: dict[int, set[int]] = field(default_factory=dict)
    done: dict[int, list[Reported]] = field(default_factory=dict)

    @property
    def worker_id(self) -> str:
        return self.known_as

    @property
    def owner(self) -> str:
        """The account it belongs to."""
        return self.caller.account_id

    def act(self, server: Server) -> bool:
        now = self.clock.now()
        if self.asleep_until > now:
            return False
        self._finish(server, now)
        finished = [result_id for result_id, missing in self.tasks.items() if not missing]
        if not finished and now < self.next_call:
            return False
        assert self.crowd is not None
        assert self.who is not None
        outcome = self.crowd.calls.call(self.who, self._call(finished))
        for result_id in finished:
            del self.tasks[result_id], self.done[result_id]
        self.next_call = now + 60_000_000
        self._hear(server, outcome, now)
        return bool(finished or outcome.given)

    def _call(self, finished: list[int]) -> Call:
        self.calls_made += 1
        introduction = Introduction(
            host_id=self.host_id,
            rpc_seqno=self.calls_made,
            cpid=self.name,
            likeness="",
            name=self.name,
            facts=self.facts,
            capability=msgspec.json.encode(_CAPABILITY).decode(),
            venue="",
            label_said=None,
        )
        idle = len(self.tasks) == len(finished)
        held = [result_id for result_id in self.tasks if result_id not in finished]
        returned = [self._returned(result_id) for result_id in finished]
        return Call(introduction, Wanted(300.0, 1.0) if idle else Wanted(), returned, held)

    def _returned(self, result_id: int) -> Returned:
        answer = AnswerFile(self.identity.public_key, "podman 4.3.1", tuple(self.done[result_id]))
        return Returned(result_id, 0, 5, 1.0, lambda _row: Brought(answer, _LOST))

    def _finish(self, server: Server, now: Micros) -> None:
        for attempt_id, each in list(self.running.items()):
            if each.due > now:
                continue
            result_id = next(number for number, missing in self.tasks.items() if attempt_id in missing)
            said = self._report(server, each)
            why = said.failure
            failed = Failed(why.failure_class, why.code, why.message) if why is not None else None
            self.done[result_id].append(Reported(AttemptId(attempt_id), said.envelope, said.inline, failed))
            self.tasks[result_id].discard(attempt_id)
            del self.running[attempt_id]

    def _hear(self, server: Server, outcome: Outcome, now: Micros) -> None:
        self.host_id, self.known_as = outcome.met.host.host_id, outcome.met.host.worker_id
        self.identity = replace(self.identity, worker_id=outcome.met.host.worker_id)  # by which it signs
        for result_id in outcome.aborts:
            for attempt_id in self.tasks.pop(result_id, set()):
                self.running.pop(attempt_id, None)
            self.done.pop(result_id, None)
        for given in outcome.given:
            self._start(server, given, now)

    def _start(self, server: Server, given: Given, now: Micros) -> None:
        leases = leases_of(server._door, [Offer(given.job, each) for each in given.chunks])
        due = max((each.due for each in self.running.values()), default=now)
        self.tasks[given.result.result_id] = {lease.attempt_id for lease in leases}
        self.done[given.result.result_id] = []
        for lease in leases:
            started, due = due, Micros(due + int(self.seconds_per_item * lease.item_count * 1e6))
            self.running[lease.attempt_id] = Running(lease, self.temper(lease), started, due)

    def record(self) -> ReputationRow:
        """How it has done; with the one image of its story."""
        assert self.crowd is not None
        with self.crowd.world.rows.reading() as tx:
            [found] = tx.reputations(self.known_as)  # type: ignore[arg-type]
        return found


def accounts_of(world: World, job_id: str) -> Mapping[int, list[str]]:
    """Chunk -> whose machines gave its valid answers."""
    found: dict[int, list[str]] = {}
    with world.rows.reading() as tx:
        owners = {row.worker_id: row.account_id for row in tx.workers()}
    for row in world.attempts(job_id):
        if row.attempt.state == "valid" and row.attempt.worker_id is not None:
            found.setdefault(row.attempt.chunk_id, []).append(owners[row.attempt.worker_id])
    return found
