"""/boinc/stats/...: statistics sites fetch them without any key."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from fallow.control.boinc.statistics import Statistics
from fallow.core.credit import HALF_LIFE_SECONDS
from fallow.core.words import AttemptId, JobKey, WorkerId
from fallow.protocols.boinc import statistics as form
from fallow.settings import Settings
from fallow.store.port import CreditRow
from fallow.wiring import EmbeddedServer, start_embedded


def earn(server: EmbeddedServer) -> None:
    store, now = server.system.store, server.system.clock.now()
    with store.transaction() as tx:
        tx.add_account("ada", "Ada", now)
        tx.add_boinc_user("ada", "a" * 64, "b" * 32, now)
        row = CreditRow(AttemptId(1), JobKey(1), WorkerId("b-1.1"), "ada", now, 5.0, 5.0)
        tx.grant_credit([row], HALF_LIFE_SECONDS)


def export(server: EmbeddedServer) -> None:
    """As the server's own role does, which may have been faster."""
    system = server.system
    Statistics(system.store, system.places.artifacts, system.clock, system.settings, form).step()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    started = start_embedded(Settings(data_dir=tmp_path_factory.mktemp("stats") / "data"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def stats(server: EmbeddedServer) -> str:
    earn(server)
    export(server)
    return f"{server.url}/boinc/stats"


def test_a_file_is_served_whole_with_its_type(stats: str) -> None:
    tables = httpx2.get(f"{stats}/tables.xml")
    assert tables.status_code == 200
    assert tables.headers["content-type"] == "text/xml"
    assert b"<nusers_total>1</nusers_total>" in tables.content
    users = httpx2.get(f"{stats}/user.gz")
    assert users.headers["content-type"] == "application/gzip"
    assert "content-encoding" not in users.headers
    assert b"<name>Ada</name>" in gzip.decompress(users.content)
    assert int(users.headers["content-length"]) == len(users.content)


def test_what_one_has_already_is_not_sent_again(stats: str) -> None:
    first = httpx2.head(f"{stats}/user.gz")
    assert (first.status_code, first.content) == (200, b"")
    again = httpx2.get(f"{stats}/user.gz", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["other.gz", "user.gz.gz", "..%2f..%2fboinc%2fstats%2fuser.gz", "", "user.gz/x"])
def test_there_are_no_other_files(stats: str, name: str) -> None:
    assert httpx2.get(f"{stats}/{name}").status_code == 404


def test_nothing_is_served_where_nothing_was_made_or_is_wanted(tmp_path: Path) -> None:
    server = start_embedded(Settings(data_dir=tmp_path / "data", boinc_statistics=False))
    try:
        earn(server)
        export(server)
        assert httpx2.get(f"{server.url}/boinc/stats/tables.xml").status_code == 404
    finally:
        server.stop()
