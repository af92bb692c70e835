"""A private PostgreSQL, with its durable settings as they come, and a fresh database for each test."""

import contextlib
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from tests.servers.shared import find_program, free_ports, run, shared, start_daemon, wait_until

PACKAGES = "postgresql"


class PostgresServer:
    """A running server. url: of its `postgres` database, as a superuser."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._templates: dict[str, str] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def database(self, prepare: Callable[[str], None] | None = None) -> Iterator[str]:
        """The URL of a database of its own, gone afterwards.

        prepare: fills an empty database (migrations); it runs once, and the later databases are copies of the first.
        It must leave no connection open.
        """
        template = self._template(prepare) if prepare else "template0"
        name = self._create(template)
        try:
            yield self._url_of(name)
        finally:
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _template(self, prepare: Callable[[str], None]) -> str:
        key = f"{prepare.__module__}.{prepare.__qualname__}"
        with self._lock:
            if key not in self._templates:
                name = self._create("template0")
                prepare(self._url_of(name))
                self._templates[key] = name
            return self._templates[key]

    def _create(self, template: str) -> str:
        name = f"t_{secrets.token_hex(6)}"
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        return name

    def _url_of(self, name: str) -> str:
        return f"{self.url.rpartition('/')[0]}/{name}"

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextlib.contextmanager
def running() -> Iterator[PostgresServer]:
    """The server of this test run. Raises MissingPrograms."""
    with shared("pg", _start) as url:
        yield PostgresServer(url)


def _start(directory: Path) -> str:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    initdb, postgres = (find_program(each, PACKAGES, *versions) for each in ("initdb", "postgres"))
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    password, [port] = secrets.token_hex(16), free_ports(1)
    home = directory / "pg"
    home.mkdir(mode=0o700)
    (home / "password").write_text(password)
    if user:
        for each in (home, home / "password"):
            shutil.chown(each, user)
    run([initdb, "-D", f"{home}/data", "-U", "fallow", "-A", "scram-sha-256", "--pwfile", f"{home}/password",
         "-E", "UTF8", "--locale=C"], user)  # fmt: skip
    options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": home, "max_connections": 200}
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    process = start_daemon(
        directory, "postgres", [postgres, "-D", f"{home}/data", *settings], user=user, stop_signal=signal.SIGQUIT
    )
    url = f"postgresql://fallow:{password}@127.0.0.1:{port}/postgres"
    wait_until(lambda: _answers(url), [process], "PostgreSQL", directory / "postgres.out")
    return url


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True
