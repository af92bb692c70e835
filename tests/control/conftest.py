"""A bench for batches: see batch_bench.py."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.control.batch_bench import Bench
from tests.servers.radosgw import S3Server

MANY = pytest.param("many", marks=[pytest.mark.postgres, pytest.mark.s3])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["embedded", MANY])
def any_bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The same on SQLite and files, and on PostgreSQL and S3."""
    settings: dict[str, Any] = {}
    if request.param == "many":
        server: S3Server = request.getfixturevalue("s3_server")
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        settings = {"database": request.getfixturevalue("postgres_url"), "objects": server.uri(tmp_path.name)}
    made = Bench(tmp_path, **settings)
    yield made
    made.close()
