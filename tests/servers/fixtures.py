"""The servers as fixtures. They start when the first test asks, once for all processes of a run.

What is not installed fails the test with the names of the packages; nothing is skipped.
"""

from collections.abc import Iterator

import pytest

from tests.servers import postgresql, radosgw
from tests.servers.postgresql import PostgresServer
from tests.servers.radosgw import S3Server
from tests.servers.shared import MissingPrograms


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL; `postgres_server.database()` gives the URL of a fresh database."""
    try:
        with postgresql.running() as server:
            yield server
    except MissingPrograms as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database that is this test's own."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real S3 (Ceph radosgw) with one account and one bucket."""
    try:
        with radosgw.running() as server:
            yield server
    except MissingPrograms as missing:
        pytest.fail(str(missing), pytrace=False)
