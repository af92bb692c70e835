"""A server in memory, and agents in threads that work for it."""

import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from fallow.core.receipt import Receipt, unseal
from fallow.core.refusals import Refusal
from fallow.worker.agent import run_agent
from fallow.worker.assignment import ImageNeed
from fallow.worker.contracts.contract import Ceiling
from fallow.worker.contracts.session import JobMemory
from fallow.worker.control import Control
from fallow.worker.engines.engine import Engine
from fallow.worker.engines.oci_engine import OciEngine
from fallow.worker.engines.probe import probe
from fallow.worker.engines.process import ProcessEngine
from fallow.worker.faults import Fault
from fallow.worker.options import AgentOptions
from fallow.worker.receipts import Signer
from fallow.worker.slot import Finished, Outfit, Slot
from fallow.worker.wire import from_lease
from tests.worker.tinyimage import busybox_root
from tests.worker.workserver import WorkServer


class RunningAgent:
    """An agent in a thread, stopped at the end of the test."""

    def __init__(self, options: AgentOptions) -> None:
        self.options = options
        self.stop, self.abort = threading.Event(), threading.Event()
        self.result: object = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = run_agent(self.options, self.stop, self.abort)
        except Refusal as refused:
            self.result = refused

    def leave(self, at_once: bool = False) -> None:
        self.stop.set()
        if at_once:
            self.abort.set()
        self.join()

    def join(self) -> object:
        self._thread.join(60)
        assert not self._thread.is_alive(), "the agent did not end"
        return self.result


@pytest.fixture
def server() -> Iterator[WorkServer]:
    server = WorkServer()
    yield server
    server.down()


@pytest.fixture
def agent(server: WorkServer, tmp_path: Path) -> Iterator[Callable[..., RunningAgent]]:
    """Starts agents of the process engine, unless told otherwise."""
    started: list[RunningAgent] = []

    def start(**options: Any) -> RunningAgent:
        said: list[str] = []
        options.setdefault("data_dir", tmp_path / "worker")
        options.setdefault("allow_process", True)
        options.setdefault("drain_seconds", 20.0)
        options.setdefault("note", said.append)
        agent = RunningAgent(AgentOptions(server=server.url, token="key", **options))
        agent.said = said  # type: ignore[attr-defined]
        started.append(agent)
        return agent

    yield start
    for each in started:
        each.leave(at_once=True)


@dataclass
class Ended:
    """What a slot said about an attempt, with the bytes that are gone from the slot by now."""

    fault: Fault | None
    answers: bytes
    log: bytes
    receipt: Receipt | None
    finished: Finished


class Rig:
    """One slot with one engine, without an agent: runs attempts in the test's own thread."""

    def __init__(self, server: WorkServer, directory: Path, engine: Engine, image: ImageNeed | None) -> None:
        self.server = server
        self.directory = directory
        self.engine = engine
        self.image = image
        self.notes: list[str] = []
        self.memory = JobMemory()
        self.control = Control()
        self.ceiling = Ceiling()
        self._slot: Slot | None = None

    @property
    def slot(self) -> Slot:
        if self._slot is None:
            signer = Signer("w-test", lambda message: hashlib.sha256(message).digest())
            isolates = self.engine.isolates
            outfit = Outfit(
                signer=signer,
                containers=self.engine if isolates else None,
                process=None if isolates else self.engine,
                ceiling=self.ceiling,
                memory=self.memory,
                note=self.notes.append,
            )
            self._slot = Slot(self.directory / "slot", outfit)
        return self._slot

    def run(self, *command: str, items: bytes = b"", **fields: Any) -> Ended:
        """One attempt; its files must be gone afterwards."""
        fields.setdefault("reuse", "never")
        lease = self.server.lease(items, command=command, **fields)
        self.server.waiting.clear()
        assignment = replace(from_lease(lease), image=self.image)
        seen: list[Ended] = []

        def finished(what: Finished) -> None:
            answers = what.artifact.read_bytes() if what.artifact else b""
            log = what.log.read_bytes() if what.log else b""
            receipt = unseal(what.envelope, lambda _m, _s: True) if what.envelope else None
            seen.append(Ended(what.fault, answers, log, receipt, what))

        self.slot.run(assignment, self.control, finished)
        assert len(seen) == 1
        assert not list((self.directory / "slot").glob("attempt-*")), "the slot is not clean"
        return seen[0]

    def sh(self, script: str, **fields: Any) -> Ended:
        """A shell script as the image's program."""
        return self.run("/bin/sh", "-c", script, **fields)

    def left_running(self) -> list[str]:
        """Containers of this rig's worker, running or not."""
        if not isinstance(self.engine, OciEngine):
            return []
        return self.engine.command("ps", "-aq", "--filter=label=io.fallow.worker=w-rig").stdout.split()

    def close(self) -> None:
        self.slot.close()
        assert not list((self.directory / "slot").rglob("*")), "the slot is not clean"
        assert not self.left_running()


@pytest.fixture(scope="session")
def podman() -> OciEngine:
    """podman, as the worker's own probe finds it to work here."""
    verdict = probe("podman", "w-rig")
    assert verdict.flavour, f"{verdict.message} {verdict.remedy}"
    return OciEngine(verdict.flavour, "w-rig")


@pytest.fixture(scope="session")
def busybox(podman: OciEngine) -> ImageNeed:
    """An image with a shell, made from the machine's own static busybox; no registry is asked."""
    name = "localhost/fallow-test-busybox:3"
    if not podman.has_image(name):
        with tempfile.TemporaryFile() as file:
            file.write(busybox_root())
            file.seek(0)
            answer = podman.command("import", "-", name, stdin=file)
            assert answer.returncode == 0, answer.stderr
    return ImageNeed(name, "", podman.image_id(name), "engine")


@pytest.fixture
def rig(server: WorkServer, tmp_path: Path, podman: OciEngine, busybox: ImageNeed) -> Iterator[Rig]:
    """A slot with podman."""
    rig = Rig(server, tmp_path, podman, busybox)
    yield rig
    rig.close()


@pytest.fixture(params=["process", pytest.param("podman", marks=pytest.mark.containers)])
def any_rig(request: pytest.FixtureRequest, server: WorkServer, tmp_path: Path) -> Iterator[Rig]:
    """A slot with each engine in turn."""
    if request.param == "podman":
        rig = Rig(server, tmp_path, request.getfixturevalue("podman"), request.getfixturevalue("busybox"))
    else:
        rig = Rig(server, tmp_path, ProcessEngine(True, tmp_path / "processes"), None)
    yield rig
    rig.close()
