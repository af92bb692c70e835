from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.boinc.project import Project, open_project
from tests.servers.postgresql import PostgresServer


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Its URL; "" for SQLite in the data directory."""
    if request.param == "sqlite":
        yield ""
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database(lambda _url: None) as url:
        yield url


@pytest.fixture
def make(tmp_path: Path, database: str) -> Iterator[Callable[..., Project]]:
    made: list[Project] = []

    def one(**settings: Any) -> Project:
        made.append(open_project(tmp_path, database, **settings))
        return made[-1]

    yield one
    for each in made:
        each.http.close()
        each.system.close()


@pytest.fixture
def project(make: Callable[..., Project]) -> Project:
    """With the account of one volunteer, ada."""
    made = make()
    made.account("ada")
    return made
