"""A real server on a real socket, with SQLite and files, and one job that a real worker ran."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from fallow.core.words import Engine
from fallow.settings import Settings
from fallow.wiring import EmbeddedServer, start_embedded
from fallow.worker.agent import run_agent
from fallow.worker.options import AgentOptions


@dataclass(frozen=True)
class House:
    """folder: where file: inputs may lie."""

    server: EmbeddedServer
    folder: Path

    @property
    def url(self) -> str:
        return self.server.url

    def client(self, key: str | None = None) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, headers={"authorization": f"Bearer {key or self.server.admin_key}"})

    def key(self, *scopes: str, account: str = "alice") -> str:
        with self.client() as admin:
            answer = admin.post("/api/keys", json={"name": "k", "scopes": list(scopes), "account_id": account})
        return str(answer.json()["key"])

    def input(self, items: int = 25, name: str = "in.jsonl") -> str:
        path = self.folder / name
        path.write_text("".join(json.dumps({"n": number}) + "\n" for number in range(items)))
        return f"file://{path}"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    settings = Settings(
        data_dir=folder / "data", allowed_roots=(folder,), allow_process_jobs=True, request_bytes_max=100_000
    )
    server = start_embedded(settings)
    yield House(server, folder)
    server.stop()


@pytest.fixture(scope="module")
def admin(house: House) -> Iterator[httpx2.Client]:
    with house.client() as client:
        yield client


@pytest.fixture(scope="module")
def finished(house: House, admin: httpx2.Client) -> str:
    """The id of a job of 25 items in 3 chunks that `cat` answered, and whose item 7 said something on stderr."""
    script = 'while IFS= read -r line; do case "$line" in *": 7}"*) echo "seven!" >&2;; esac; echo "$line"; done'
    job = {
        "input_uri": house.input(),
        "command": ["sh", "-c", script],
        "chunk_items": 10,
        "contract": "stream",
        "reuse": "never",
    }
    job_id = admin.post("/api/jobs", json=job).json()["job_id"]
    stop = threading.Event()
    options = AgentOptions(
        server=house.url,
        token=house.server.admin_key,
        data_dir=house.folder / "worker",
        engine=Engine.PROCESS,
        allow_process=True,
        drain_seconds=5,
    )
    worker = threading.Thread(target=run_agent, args=(options, stop))
    worker.start()
    with admin.stream("GET", f"/api/jobs/{job_id}/events", timeout=60) as events:
        assert "event: over" in list(events.iter_lines())
    stop.set()
    worker.join(30)
    return str(job_id)
