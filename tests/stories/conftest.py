from collections.abc import Iterator

import pytest

from fallow.store.opening import open_store
from fallow.store.port import Store
from tests.servers.postgresql import PostgresServer
from tests.stories.fleet import Fleet


def migrated(url: str) -> None:
    store = open_store(url)
    store.migrate()
    store.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> Iterator[Store | None]:
    """None: SQLite in memory."""
    if request.param == "sqlite":
        yield None
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database(migrated) as url:
        yield open_store(url)


@pytest.fixture
def fleet(store: Store | None) -> Iterator[Fleet]:
    made = Fleet(store)
    yield made
    made.world.close()
