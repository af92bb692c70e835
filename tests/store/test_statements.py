"""The statements: named, explained, and by an index where it matters."""

import sqlite3
from pathlib import Path

import pytest

from fallow.store.sqlite import SqliteStore
from fallow.store.statements import parse, statements

# Few rows by nature, or not in the way of a worker: all keys, all workers.
WALKS_ALLOWED = {"all_keys", "keys", "workers", "take_attempt_numbers"}


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    store = SqliteStore(tmp_path / "rows.db")
    store.migrate()
    return store._writer


@pytest.mark.parametrize("name", sorted(statements("sqlite")))
def test_no_statement_walks_a_table(connection: sqlite3.Connection, name: str) -> None:
    statement = statements("sqlite")[name]
    rows = connection.execute("EXPLAIN QUERY PLAN " + statement.sql, dict.fromkeys(statement.names)).fetchall()
    walks = [row[3] for row in rows if row[3].startswith("SCAN") and "VIRTUAL TABLE" not in row[3]]
    ordered = [walk for walk in walks if "USING INDEX job_leasable" not in walk and "CONSTANT ROW" not in walk]
    assert name in WALKS_ALLOWED or not ordered


def test_both_dialects_have_the_same_statements_but_for_locks() -> None:
    only = set(statements("sqlite")) ^ set(statements("postgresql"))
    locks = {"next_chunk_id_lock", "reading_story", "writing_story"}
    assert only == locks | {"leasable_attempts", "lease", "extend_all"}


def test_a_statement_without_a_sentence_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a sentence"):
        list(parse("-- lonely\nSELECT 1"))
    with pytest.raises(ValueError, match="no name"):
        list(parse("SELECT 1"))


def test_parameters_are_found_and_casts_are_not() -> None:
    [one] = parse("-- it\n-- Does it.\nSELECT :a, :b::bigint[], :a")
    assert one.names == ("a", "b")
    assert one.positional(("b", "a")) == "SELECT ?2, ?1::bigint[], ?2"
    assert one.pyformat == "SELECT %(a)s, %(b)s::bigint[], %(a)s"
