"""A real server on a socket whose clock stands at the moment of the recordings, so that they never grow old."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fallow.clock import ManualClock
from fallow.core.words import Engine, Micros
from fallow.settings import Settings
from fallow.store.port import Store
from fallow.wiring.serving import Listener, bound
from fallow.wiring.system import System, build, reachable
from fallow.worker.agent import run_agent
from fallow.worker.options import AgentOptions
from tests.boinc_submit.recorded import KEY, TEMPLATE_IN, TEMPLATE_OUT
from tests.boinc_submit.script import Script
from tests.e2e.conftest import busybox, house
from tests.servers.radosgw import S3Server

RECORDED_AT = 1795312753
APP = "shtest"

__all__ = ["busybox", "house"]  # fixtures of the end-to-end tests


@dataclass(frozen=True)
class Project:
    """A server with the recorded application, and the recorded user, who is the account alice."""

    system: System
    clock: ManualClock
    url: str
    admin_key: str

    @property
    def alice(self) -> Script:
        return Script(f"{self.url}/boinc/")

    def script(self, account: str) -> Script:
        """For another account, which is made if there is none."""
        self.api("POST", "/api/accounts", {"name": account, "account_id": account})
        return Script(f"{self.url}/boinc/", self.system.door.people.boinc_users.authenticator_of(account))

    def api(self, method: str, path: str, body: object = None) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.admin_key}"}
        answer = httpx2.request(method, self.url + path, json=body, headers=headers, timeout=60)
        assert answer.status_code < 400, answer.text
        return answer

    def work(self) -> None:
        """All roles, until none has anything to do."""
        while self.system.roles.step_all():
            pass

    def work_until(self, over: Callable[[], bool], folder: Path) -> None:
        """A real worker of this machine, and all roles, until something is true."""
        stop = threading.Event()
        options = AgentOptions(
            server=self.url,
            token=self.admin_key,
            data_dir=folder / "worker",
            engine=Engine.PROCESS,
            allow_process=True,
            drain_seconds=5,
        )
        worker = threading.Thread(target=run_agent, args=(options, stop))
        worker.start()
        until = time.monotonic() + 120
        while not over():
            assert time.monotonic() < until, "it is not over in time"
            self.work()
            time.sleep(0.05)
        stop.set()
        worker.join(30)

    def key_of(self, account: str) -> str:
        """What the server itself takes for the account's key: get_output's signatures are made with it."""
        return self.system.door.people.boinc_users.authenticator_of(account)


def register(store: Store, account: str) -> None:
    """The account comes with the recorded key."""
    with store.transaction() as tx:
        tx.add_boinc_user(account, hashlib.sha256(KEY.encode()).hexdigest(), "c" * 32, Micros(RECORDED_AT * 1_000_000))


@contextmanager
def running(folder: Path, **said: Any) -> Iterator[Project]:
    """A project with these settings."""
    door = bound("127.0.0.1:0")
    settings = Settings(data_dir=folder / "data", allowed_roots=(folder,), allow_process_jobs=True, **said)
    settings = reachable(settings, door.getsockname()[1])
    clock = ManualClock(RECORDED_AT * 1_000_000)
    system = build(settings, clock, workers_here=True)
    listening = threading.Event()
    listener = Listener(system, listening.set)
    thread = threading.Thread(target=listener.run, args=([door],), daemon=True)
    thread.start()
    assert listening.wait(30)
    admin_key = system.keys.first()
    assert admin_key is not None
    made = Project(system, clock, settings.base_url, admin_key)
    made.api("POST", "/api/accounts", {"name": "alice", "account_id": "alice"})
    register(system.store, "alice")
    add_app(made)
    yield made
    listener.should_exit = True
    thread.join()
    system.close()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with running(tmp_path) as made:
        yield made


MANY = pytest.param("many", marks=[pytest.mark.postgres, pytest.mark.s3])


@pytest.fixture(params=["embedded", MANY])
def any_project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The same on SQLite and files, and on PostgreSQL and S3. Jobs may name files on this machine's web servers."""
    settings: dict[str, Any] = {}
    if request.param == "many":
        server: S3Server = request.getfixturevalue("s3_server")
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        settings = {"database": request.getfixturevalue("postgres_url"), "objects": server.uri(tmp_path.name)}
    with running(tmp_path, allow_private_addresses=True, **settings) as made:
        yield made


def add_app(project: Project, name: str = APP, **job: object) -> None:
    """A model whose program puts its input file, in capitals, and its command line into its output file."""
    script = 'in="${AI_INPUT_URI#file://}"; out="${AI_OUTPUT_URI#file://}"; dir="${in%/*}"; '
    script += 'tr a-z A-Z <"$dir/in" >"$out/out"; echo "$ARGS" >>"$out/out"; echo "said by $ARGS" >&2'
    template = {"command": ["sh", "-c", script], "contract": "files", **job}
    project.api("POST", "/api/models", {"name": name, "endpoints": ["/boinc"], "job": template})


def stage_templates(script: Script, name: str = APP) -> None:
    script.upload({f"{name}_in": TEMPLATE_IN.encode(), f"{name}_out": TEMPLATE_OUT.encode()})
