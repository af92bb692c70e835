"""A real server that BOINC clients attach to, with accounts, jobs and what its database says."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.house import House, fallow, lines_of, numbered
from tests.e2e_boinc.client import BoincClient

# Calls come each 5 seconds and tasks hold one or a few chunks, so that a test sees many of them.
_QUICK = {
    "FALLOW_BOINC_CALL_SECONDS": "1",
    "FALLOW_BOINC_POLL_SECONDS": "5",
    "FALLOW_BOINC_TASK_SECONDS": "10",
}


@dataclass(frozen=True)
class Account:
    """key: for the API. boinc_key: for boinccmd."""

    account_id: str
    key: str
    boinc_key: str


@dataclass
class Project:
    """A started server; close() stops it and every client."""

    home: Path
    image: str
    settings: dict[str, str] = field(default_factory=dict)
    clients: list[BoincClient] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.house = House(self.home, **{**_QUICK, **self.settings})
        self.house.start_server()

    @property
    def url(self) -> str:
        """What volunteers type."""
        return self.settings.get("FALLOW_PUBLIC_URL", self.house.url) + "/boinc/"

    def close(self) -> None:
        for each in self.clients:
            each.quit()
        self.house.stop()

    def client(self, name: str, **more: Any) -> BoincClient:
        """A started client that is attached to nothing."""
        client = BoincClient(self.home / name, **more)
        self.clients.append(client)
        return client.start()

    def attached(self, name: str, account: Account, **more: Any) -> BoincClient:
        client = self.client(name, **more)
        client.attach(self.url, account.boinc_key)
        return client

    def account(self, name: str, *scopes: str) -> Account:
        """A new one. scopes: "submit" and "work" unless said otherwise."""
        granted = list(scopes) or ["submit", "work"]
        made = self.house.call("POST", "/api/accounts", {"name": name, "account_id": name, "scopes": granted})
        assert made.status_code == 201, made.text
        key = self.house.call("POST", "/api/keys", {"name": "test", "scopes": granted, "account_id": name})
        assert key.status_code == 201, key.text
        return Account(name, key.json()["key"], self.boinc_key(name))

    def boinc_key(self, account_id: str) -> str:
        told = self.cli("boinc", "key", "--account", account_id)
        return told.split()[-1]

    def cli(self, *words: object, key: str | None = None) -> str:
        """What the command prints."""
        ran = fallow(*words, FALLOW_SERVER=self.house.url, FALLOW_TOKEN=key or self.house.key)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def submit(self, account: Account, job_id: str, command: Sequence[str], items: int, **more: object) -> Path:
        """A job of {"n": 0}, {"n": 1}, ...; the path of its items."""
        path = self.home / f"{job_id}.jsonl"
        path.write_bytes(b"".join(numbered(items)))
        body = {
            "job_id": job_id,
            "input_uri": path.as_uri(),
            "container_image": self.image,
            "command": list(command),
            "chunk_items": 5,
            **more,
        }
        answer = self.house.call("POST", "/api/jobs", body, key=account.key)
        assert answer.status_code == 201, answer.text
        return path

    def progress(self, job_id: str) -> int:
        """Items that are done."""
        return int(self.house.job(job_id)["progress"]["completed_items"])

    def outputs(self, job_id: str) -> list[Any]:
        """The lines of the job's output, proved by `fallow verify`."""
        directory = self.home / f"{job_id}-out"
        self.cli("results", job_id, "--output", directory)
        proved = fallow("verify", directory)
        assert proved.returncode == 0, proved.stdout + proved.stderr
        return lines_of(directory / "output.jsonl")

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Rows of the server's database, which is only read."""
        database = sqlite3.connect(f"file:{self.home / 'server' / 'fallow.db'}?mode=ro", uri=True, timeout=30)
        try:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query, values)]
        finally:
            database.close()

    def attempts(self, job_id: str) -> list[dict[str, Any]]:
        """Of all chunks, oldest first: chunk_id, state, worker_id, failure_class, code, message."""
        return self.rows(
            "SELECT a.attempt_id, a.chunk_id, a.state, a.worker_id, a.failure_class, a.code, a.message"
            " FROM attempt AS a JOIN job AS j USING (job_key) WHERE j.job_id = ? ORDER BY a.attempt_id",
            job_id,
        )

    def hosts(self, account: Account) -> list[dict[str, Any]]:
        """Of the account, oldest first."""
        return self.rows("SELECT * FROM boinc_host WHERE account_id = ? ORDER BY host_id", account.account_id)

    def host(self, client: BoincClient) -> dict[str, Any]:
        """The row of this client's machine."""
        return self.rows("SELECT * FROM boinc_host WHERE host_id = ?", client.host_id())[0]
