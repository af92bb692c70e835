"""A whole fallow in one thread: a clock that is moved, rows, bytes, server processes and a fleet of workers."""

import random
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fallow.artifacts.signing import Signer
from fallow.clock import ManualClock
from fallow.control.callers import Caller
from fallow.control.plugins import Plugs
from fallow.core.job import ITEM_BYTES_MAX
from fallow.core.words import AttemptId, ChunkId, Label, Scope
from fallow.settings import Settings
from fallow.sim.faults import Faults
from fallow.sim.objects import Inputs, MemoryArtifacts
from fallow.sim.server import Ground, Server
from fallow.sim.signing import identity_of
from fallow.sim.worker import SimWorker, Temper, honest
from fallow.store.port import AttemptRow, ChunkRow, JobRow, Store, StoryRow
from fallow.store.sqlite import MEMORY, SqliteStore

SUBMITTER = Caller("k-submitter", "alice", frozenset({Scope.SUBMIT}))
OPERATOR = Caller("k-operator", "operators", frozenset(Scope))
OWNER = Caller("k-owner", "olga", frozenset({Scope.WORK}))
_STEPS_MAX = 1000  # of one role in one go; more would be a role that never comes to rest
_FOLDER = Path("/dev/shm")  # noqa: S108  memory, where there is such a thing: a chunk's extent is written for each attempt


@dataclass(slots=True)
class World:
    """Everything there is. seed: of all that is left to chance."""

    seed: int = 0
    settings: Settings = field(default_factory=lambda: Settings(allow_process_jobs=True))
    store: Store | None = None
    server_count: int = 1
    item_bytes_max: int = ITEM_BYTES_MAX
    plugs: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    clock: ManualClock = field(default_factory=ManualClock)
    faults: Faults = field(default_factory=Faults)
    rng: random.Random = field(init=False)
    rows: Store = field(init=False)
    artifacts: MemoryArtifacts = field(init=False)
    inputs: Inputs = field(init=False)
    ground: Ground = field(init=False)
    servers: list[Server] = field(init=False)
    workers: dict[str, SimWorker] = field(default_factory=dict)
    folder: Path = field(init=False)
    _temporary: tempfile.TemporaryDirectory[str] = field(init=False)
    _lives: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.rows = self.store or SqliteStore(MEMORY, self.settings.plan_ahead)
        self.rows.migrate()
        signer = Signer(b"a secret of thirty-two bytes or so", "http://sim")
        self.artifacts = MemoryArtifacts(signer, self.clock, self.faults.touch_bytes)
        self.inputs = Inputs(self.faults.touch_bytes)
        self._temporary = tempfile.TemporaryDirectory(dir=_FOLDER if _FOLDER.is_dir() else None, prefix="fallow-sim-")
        self.folder = Path(self._temporary.name)
        self.ground = Ground(
            self.rows,
            self.artifacts,
            self.inputs,
            signer,
            self.clock,
            self.settings,
            Plugs(allow_exec=self.settings.allow_exec_plugins, extra=dict(self.plugs)),
            self.folder / "uploads",
            self.faults,
            self.item_bytes_max,
        )
        with self.rows.transaction() as tx:
            for caller in (SUBMITTER, OPERATOR, OWNER):
                tx.add_account(caller.account_id, caller.account_id, self.clock.now())
        self.servers = [self._started(index) for index in range(self.server_count)]

    def close(self) -> None:
        """The database and the files are gone afterwards."""
        self.rows.close()
        self._temporary.cleanup()

    def _started(self, index: int) -> Server:
        self._lives += 1
        return Server(self.ground, f"server-{index}-{self._lives}")

    @property
    def server(self) -> Server:
        return self.servers[0]

    def bury(self, server: Server) -> None:
        """A server process is dead; another one starts in its place and knows nothing but the rows."""
        server.process.dead = True
        self.faults.writing = False
        specs = getattr(self.rows, "_specs", None)
        if specs is not None:
            self.rows._specs = type(specs)()  # type: ignore[attr-defined]  # the memory of the process that died
        index = self.servers.index(server)
        self.servers[index] = self._started(index)

    def add_worker(
        self, name: str, *, temper: Temper = honest, label: Label | None = None, slots: int = 1, seconds: float = 0.5
    ) -> SimWorker:
        """A machine that will join with its first turn. seconds: per item."""
        identity = identity_of(random.Random(f"{self.seed}-{name}").randbytes(32))
        worker = SimWorker(
            name=name,
            identity=identity,
            rng=random.Random(f"{self.seed}-{name}-luck"),
            clock=self.clock,
            folder=self.folder,
            caller=OWNER,
            label=label,
            slots=slots,
            seconds_per_item=seconds,
            temper=temper,
        )
        self.workers[name] = worker
        return worker

    def rest(self) -> bool:
        """Every role of every server works until it finds nothing more. True when one found something."""
        found = False
        for server in list(self.servers):
            for step in server.roles.values():
                found = _until_idle(step) or found
        return found

    def turn(self, seconds: float) -> bool:
        """Roles, then one turn of each worker, then time passes. True when anything happened."""
        busy = self.rest()
        for worker in list(self.workers.values()):
            busy = worker.act(self.server) or busy
        self.clock.advance(seconds)
        return busy

    def run(
        self,
        hours: float,
        until: Callable[[], bool] = lambda: False,
        tick_seconds: float = 1.0,
        idle_seconds: float = 10.0,
    ) -> bool:
        """Turns until `until()` or so many hours have passed. True when it was `until()`.

        Where nothing happens time goes by in larger ticks, idle_seconds at most: less than a lease without heartbeat.
        """
        end = self.clock.now() + hours * 3600e6
        tick = tick_seconds
        while self.clock.now() < end:
            busy = self.turn(tick)
            if until():
                return True
            tick = tick_seconds if busy else min(tick * 2, idle_seconds)
        return until()

    def job(self, job_id: str) -> JobRow:
        """As it is now."""
        with self.rows.reading() as tx:
            found = tx.job(job_id)
        assert found is not None, f"there is no job {job_id}"
        return found

    def chunks(self, job_id: str) -> list[ChunkRow]:
        job = self.job(job_id)
        with self.rows.reading() as tx:
            return tx.chunk_rows(job.job_key, -1, 100_000)

    def attempts(self, job_id: str) -> list[AttemptRow]:
        job = self.job(job_id)
        with self.rows.reading() as tx:
            return tx.attempts_of_job(job.job_key, AttemptId(0), 100_000)

    def story(self, job_id: str, chunk_id: int | None = None) -> list[StoryRow]:
        job = self.job(job_id)
        with self.rows.reading() as tx:
            return tx.story(job.job_key, chunk_id=None if chunk_id is None else ChunkId(chunk_id), limit=10_000)

    def output(self, job_id: str, name: str = "output.jsonl") -> bytes:
        """A finished job's file, as it lies in the object store."""
        return self.artifacts.objects[f"jobs/{job_id}/output/{name}"]


def _until_idle(step: Callable[[], bool]) -> bool:
    for count in range(_STEPS_MAX):
        if not step():
            return count > 0
    raise AssertionError(f"{step} found something to do {_STEPS_MAX} times and does not come to rest")
