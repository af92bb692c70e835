"""The statements: named, explained, and by an index where it matters."""

import re
import sqlite3
from pathlib import Path

import psycopg
import pytest

from fallow.store.postgresql import OPTIONS
from fallow.store.sqlite import SqliteStore
from fallow.store.statements import parse, statements
from tests.servers.postgresql import PostgresServer
from tests.store.conftest import migrate

# Few rows by nature, or not in the way of a worker: all keys, all workers.
# A handful of rows by nature, or a partial index that holds only what is asked for.
WHOLE_INDEXES = (
    "attempt_late",
    "job_leasable",
    "CONSTANT ROW",
    "SCAN r",
    "SCAN who",  # one step a row, by an index
)
WALKS_ALLOWED = {
    "all_keys",
    "keys",
    "workers",
    "models",  # few by nature
    "watching_accounts",
    "take_attempt_numbers",
    "shares",  # accounts, asked for every few seconds
    "all_grants",
    "forget_signins",  # what failed in a day, looked at once an hour
    "submitters",  # accounts are few
    "standing_deliveries",  # asked for at a scrape; what is older than the retention is swept
    "standing_notices",
    "watched_logs",  # only logs that somebody looks at are there
    "unwatched_logs",
    "ended_logs",
    "app_versions",  # few by nature
    "add_app_version",
    "sign_app_version",
    "sweep_uploads",  # answer files that wait for their report, once an hour
    "worker_record",  # walks what its first query took by an index, which has a bound
}


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
    assert name in WALKS_ALLOWED or not [walk for walk in walks if not any(part in walk for part in WHOLE_INDEXES)]


@pytest.mark.parametrize("name", ["held", "worker", "workers", "worker_leases"])
def test_what_a_worker_holds_is_not_looked_for_among_all_it_did(connection: sqlite3.Connection, name: str) -> None:
    statement = statements("sqlite")[name]
    rows = connection.execute("EXPLAIN QUERY PLAN " + statement.sql, dict.fromkeys(statement.names)).fetchall()
    assert [row[3] for row in rows if "INDEX attempt_leased" in row[3]]
    assert not [row[3] for row in rows if "INDEX attempt_worker" in row[3]]


@pytest.mark.postgres
def test_postgresql_finds_an_index_for_every_statement_while_its_tables_are_empty(
    postgres_server: PostgresServer,
) -> None:
    with postgres_server.database(migrate) as url, psycopg.connect(url, options=OPTIONS, autocommit=True) as connection:
        walks = [name for name in statements("postgresql") if "Seq Scan" in plan_of(connection, name)]
    assert set(walks) <= WALKS_ALLOWED


def plan_of(connection: psycopg.Connection[tuple[str]], name: str) -> str:
    """As it is for values that are not known yet, which is how the store prepares it."""
    statement = statements("postgresql")[name]
    if not statement.sql.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
        return ""
    places = {each: f"${number}" for number, each in enumerate(statement.names, start=1)}
    sql = re.sub(r"%\((\w+)\)s", lambda match: places[match[1]], statement.pyformat).replace("%%", "%")
    nulls = f"({', '.join(['NULL'] * len(places))})" if places else ""
    connection.execute(f"PREPARE {name}_ AS {sql}")
    return "\n".join(row[0] for row in connection.execute(f"EXPLAIN EXECUTE {name}_ {nulls}"))


def test_both_dialects_have_the_same_statements_but_for_locks() -> None:
    only = set(statements("sqlite")) ^ set(statements("postgresql"))
    locks = {"next_chunk_id_lock", "reading_story"}
    leases = {"leasable_attempts", "lease", "leasable_kept_attempts", "lease_kept"}
    assert only == locks | leases | {"extend_all"}


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
