"""A server in memory, and agents in threads that work for it."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fallow.worker.agent import run_agent
from fallow.worker.options import AgentOptions
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
        except BaseException as wrong:
            self.result = wrong

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
