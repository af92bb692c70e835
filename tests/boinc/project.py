"""A whole server in one thread: real door, real roles, real rows, a clock that is moved. Its network is a call."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from fallow.clock import ManualClock
from fallow.core.words import JobState
from fallow.settings import Settings
from fallow.sim.boinc_host import SimHost
from fallow.store.port import Tx
from fallow.wiring.system import System, build
from tests.e2e.conftest import write_layout
from tests.worker.tinyimage import busybox_root


@dataclass
class Project:
    """key: of the operators' account, which also submits."""

    folder: Path
    clock: ManualClock
    system: System
    http: TestClient
    image: str
    key: str
    hosts: list[SimHost] = field(default_factory=list)

    def ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """One request of a client. Its Content-Type lies, as the real one's does."""
        headers = {"content-type": "application/x-www-form-urlencoded"} if body else {}
        answer = self.http.request(method, path, content=body, headers=headers)
        return answer.status_code, answer.content

    def account(self, name: str) -> str:
        """A new account that owns workers and submits; its BOINC key."""
        said = {"name": name, "account_id": name, "scopes": ["work", "submit"]}
        made = self.http.post("/api/accounts", json=said, headers=self.bearer)
        assert made.status_code == 201, made.text
        return self.system.door.people.boinc_users.authenticator_of(name)

    def host(self, name: str, account: str, **more: Any) -> SimHost:
        """A client that is attached and was never heard of. account: it exists already."""
        key = self.system.door.people.boinc_users.authenticator_of(account)
        more = {"cpid": name.encode().hex().ljust(32, "0")[:32], "seed": name.encode().ljust(32, b"."), **more}
        made = SimHost(ask=self.ask, key=key, name=name, **more)
        self.hosts.append(made)
        return made

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def submit(self, job_id: str, items: int = 20, chunk_items: int = 10, **more: Any) -> str:
        """A job for volunteers over {"n": 0..items-1}, planned and ready to be sent."""
        path = self.folder / f"{job_id}.jsonl"
        path.write_text("".join(json.dumps({"n": n, "do": "ok"}) + "\n" for n in range(items)))
        job = {
            "job_id": job_id,
            "input_uri": f"file://{path}",
            "container_image": self.image,
            "chunk_items": chunk_items,
            "requirements": {"volunteers": True},
            **more,
        }
        answer = self.http.post("/api/jobs", json=job, headers=self.bearer)
        assert answer.status_code == 201, answer.text
        self.settle()
        return job_id

    def settle(self) -> None:
        """The roles do all that there is to do now."""
        while self.system.roles.step_all():
            pass

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.settle()

    def state(self, job_id: str) -> JobState:
        return self.read(lambda tx: _job(tx, job_id).state)

    def counts(self, job_id: str) -> dict[str, int]:
        """How many attempts are in which state."""
        job_key = self.read(lambda tx: _job(tx, job_id).job_key)
        rows = self.read(lambda tx: tx.attempts_of_job(job_key, 0, 10_000))  # type: ignore[arg-type]
        found: dict[str, int] = {}
        for row in rows:
            found[row.attempt.state] = found.get(row.attempt.state, 0) + 1
        return found

    def read(self, what: Callable[[Tx], Any]) -> Any:
        with self.system.store.reading() as tx:
            return what(tx)

    def output(self, job_id: str) -> bytes:
        answer = self.http.get(f"/api/jobs/{job_id}/results", headers=self.bearer)
        assert answer.status_code == 200, answer.text
        return answer.content


def _job(tx: Tx, job_id: str) -> Any:
    job = tx.job(job_id)
    assert job is not None, job_id
    return job


def open_project(folder: Path, database: str, **settings: Any) -> Project:
    clock = ManualClock()
    chosen = Settings(
        data_dir=folder / "data",
        database=database,
        allowed_roots=(folder,),
        public_url="http://testserver",
        boinc_call_seconds=1.0,
        **settings,
    )
    system = build(chosen, clock)
    key = system.keys.first()
    assert key is not None
    image = write_layout(folder / "image", busybox_root())
    return Project(folder, clock, system, TestClient(system.app), image, key)
