"""What a person is told when the database cannot go on, and that it goes on afterwards."""

import sqlite3
from pathlib import Path

import psycopg
import pytest

from fallow.core.refusals import Code, Refusal
from fallow.store.opening import open_store
from fallow.store.port import Store
from fallow.store.sqlite import SqliteStore
from tests.servers.postgresql import PostgresServer
from tests.store.conftest import migrate
from tests.store.yard import Yard


def fill_settings(store: Store) -> None:
    with store.transaction() as tx:
        for n in range(200):
            tx.set_setting(f"s{n}", "x" * 1000)


def test_a_full_disk_is_refused_loses_nothing_and_is_got_over(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "rows.db")
    store.migrate()
    with store.transaction() as tx:
        tx.set_setting("before", "here")
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {pages + 2}")  # SQLite's own way to run out of room
    with pytest.raises(Refusal) as refused:
        fill_settings(store)
    assert refused.value.code is Code.STORAGE_FULL
    with store.reading() as tx:
        assert (tx.setting("before"), tx.setting("s0")) == ("here", None)
    store._writer.execute("PRAGMA max_page_count = 1000000")
    fill_settings(store)
    store.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.db"
    path.write_bytes(b"not a database, but long enough to look like one" * 100)
    with pytest.raises(Refusal) as refused:
        SqliteStore(path)
    assert refused.value.code is Code.STORAGE_UNREACHABLE


def test_a_file_that_went_away_fails_the_ping(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "rows.db")
    store.migrate()
    store.ping()
    (tmp_path / "rows.db").unlink()
    with pytest.raises(Refusal) as refused:
        store.ping()
    assert refused.value.code is Code.STORAGE_UNREACHABLE
    store.close()


def test_an_unknown_kind_of_database_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        open_store("mysql://host/db")
    assert refused.value.code is Code.SETTING_INVALID


def test_a_newer_schema_is_refused(store: Store, store_url: str) -> None:
    if store.dialect == "sqlite":
        with sqlite3.connect(store_url.removeprefix("sqlite:///")) as connection:
            connection.execute("INSERT INTO schema_version (version) VALUES (99)")
        connection.close()
    else:
        with psycopg.connect(store_url) as other:
            other.execute("INSERT INTO schema_version (version) VALUES (99)")
    with pytest.raises(Refusal) as refused:
        store.migrate()
    assert refused.value.code is Code.SETTING_INVALID
    assert "99" in refused.value.message


def test_migrating_again_changes_nothing(yard: Yard) -> None:
    yard.job(2, 1)
    yard.store.migrate()


@pytest.mark.postgres
def test_connections_that_postgresql_cut_are_replaced(postgres_server: PostgresServer) -> None:
    with postgres_server.database(migrate) as url:
        store = open_store(url)
        with store.transaction() as tx:
            tx.set_setting("a", "1")
        with psycopg.connect(postgres_server.url, autocommit=True) as other:
            name = url.rpartition("/")[2]
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        with pytest.raises(Refusal) as refused:
            store.ping()
        assert refused.value.code is Code.STORAGE_UNREACHABLE
        with store.reading() as tx:
            assert tx.setting("a") == "1"
        store.close()


def test_a_backup_is_a_whole_database(tmp_path: Path) -> None:
    """SQLite only: PostgreSQL has pg_dump."""
    store = SqliteStore(tmp_path / "rows.db")
    store.migrate()
    yard = Yard(store)
    job = yard.job(3, 2)
    store.backup(tmp_path / "copy.db")
    with pytest.raises(Refusal):
        store.backup(tmp_path / "copy.db")
    copy = SqliteStore(tmp_path / "copy.db")
    with copy.reading() as tx:
        assert tx.job_by_key(job.job_key) == yard.row(job)
    copy.close()
    store.close()


def test_memory_has_one_connection_for_everything() -> None:
    store = open_store("sqlite::memory:")
    store.migrate()
    with store.transaction() as tx:
        tx.set_setting("a", "1")
    with store.reading() as tx:
        assert tx.setting("a") == "1"
    store.ping()
    store.close()
