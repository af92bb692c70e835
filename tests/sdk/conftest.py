"""A real server with a worker that runs bare commands, for what only the two ends together can show."""

import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import fallow
from fallow.core.words import Engine
from fallow.settings import Settings
from fallow.wiring import EmbeddedServer, start_embedded
from fallow.worker.agent import run_agent
from fallow.worker.options import AgentOptions


@dataclass(frozen=True)
class Farm:
    """folder: where file: inputs may lie."""

    server: EmbeddedServer
    folder: Path
    client: fallow.Client

    def another_worker(self, folder: Path) -> AbstractContextManager[None]:
        """A second one, for as long as the block lasts."""
        return working(self.server, folder)

    def input(self, items: int, name: str = "in.jsonl") -> str:
        path = self.folder / name
        path.write_text("".join(json.dumps({"n": number}) + "\n" for number in range(items)))
        return path.as_uri()


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("farm")
    server = start_embedded(Settings(data_dir=folder / "data", allowed_roots=(folder,), allow_process_jobs=True))
    with fallow.Client(server.url, server.admin_key) as client, working(server, folder / "worker"):
        yield Farm(server, folder, client)
    server.stop()


@contextmanager
def working(server: EmbeddedServer, folder: Path) -> Iterator[None]:
    """A worker of two slots, for as long as the block lasts."""
    stop = threading.Event()
    options = AgentOptions(
        server=server.url,
        token=server.admin_key,
        data_dir=folder,
        engine=Engine.PROCESS,
        allow_process=True,
        slots=2,
        drain_seconds=5,
    )
    worker = threading.Thread(target=run_agent, args=(options, stop))
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join(60)
