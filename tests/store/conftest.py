"""The same tests on SQLite and on a real PostgreSQL: `store` is an empty, migrated one; `yard` has a job in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fallow.store.opening import open_store
from fallow.store.port import Store
from tests.servers.postgresql import PostgresServer
from tests.store.yard import Yard

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.postgres)


def migrate(url: str) -> None:
    store = open_store(url)
    store.migrate()
    store.close()


@pytest.fixture(params=["sqlite", POSTGRESQL])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'rows.db'}"
        migrate(url)
        yield url
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        with server.database(migrate) as url:
            yield url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url, plan_ahead=50)
    yield opened
    opened.close()


@pytest.fixture
def yard(store: Store) -> Iterator[Yard]:
    made = Yard(store)
    yield made
    made.check()
