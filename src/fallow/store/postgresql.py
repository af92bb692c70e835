"""Rows in PostgreSQL: many doors and roles at once, work claimed with SKIP LOCKED.

READ COMMITTED is enough, since what a decision is made from is locked first. Lock order: chunks by (job_key, chunk_id),
attempts by number, jobs by key at the end of the transaction; claims and leases skip what is locked. A connection that
was lost is replaced; the call that lost it is refused, and the next one works.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import msgspec
import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8BinaryDumper
from psycopg_pool import ConnectionPool, PoolTimeout

from fallow.core.chapter import Witness
from fallow.core.refusals import Code, Refusal
from fallow.core.words import AttemptId, JobKey, Micros, WorkerId
from fallow.store.ledger import Specs
from fallow.store.migrations import Migration, migrate, migrations
from fallow.store.port import StoryRow, Tx
from fallow.store.session import Params, Row
from fallow.store.statements import statements
from fallow.store.transaction import Transaction

CONNECTIONS_MAX = 12
CONNECT_SECONDS = 10.0
MIGRATION_LOCK = 3  # beside 1 (chunk numbers) and 2 (story numbers) in queries/postgresql

# Every statement takes few rows by an index, so plans are made once and are nested loops over indexes. Which index is
# best cannot be seen while a table is empty, so plans are thrown away now and then; making them costs milliseconds.
OPTIONS = (
    "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off "
    "-c plan_cache_mode=force_generic_plan -c timezone=UTC"
)
TRANSACTIONS_PER_PLAN = 250

_SQL: dict[str, tuple[bytes, tuple[str, ...]]] = {}


class PostgresSession:
    """One transaction on one connection."""

    def __init__(self, connection: psycopg.Connection[Row], writing: bool) -> None:
        self._connection = connection
        self._cursor = connection.cursor(binary=True)
        self.writing = writing

    def take_picture(self) -> None:
        """From the next statement on all see the same moment."""
        self._connection.rollback()
        self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def drop_picture(self) -> None:
        """From now on each statement sees its own moment."""
        self._connection.rollback()

    def all(self, name: str, params: Params) -> list[Row]:
        return self._execute(name, params).fetchall()

    def one(self, name: str, params: Params) -> Row | None:
        return self._execute(name, params).fetchone()

    def run(self, name: str, params: Params) -> int:
        return self._execute(name, params).rowcount

    def _execute(self, name: str, params: Params) -> psycopg.Cursor[Row]:
        sql, names = _sql(name)
        return self._cursor.execute(sql, _bound(names, params), prepare=True)

    def many(self, name: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        """As one statement: the rows travel as one JSON array of objects."""
        sql, _ = _sql(name)
        text = msgspec.json.encode([dict(zip(columns, row, strict=True)) for row in rows]).decode()
        self._cursor.execute(sql, {"rows": text}, prepare=True)


def _sql(name: str) -> tuple[bytes, tuple[str, ...]]:
    found = _SQL.get(name)
    if found is None:
        statement = statements("postgresql")[name]
        found = _SQL[name] = statement.pyformat.encode(), statement.names
    return found


def _bound(names: tuple[str, ...], params: Params) -> Mapping[str, object]:
    return {name: _literal(value) if isinstance(value := params[name], list) else value for name in names}


def _literal(values: list[object]) -> str:
    """A set of numbers or plain words in PostgreSQL's own array notation: psycopg's takes a call for each element."""
    return "{" + ",".join(map(str, values)) + "}"


class PostgresTransaction(Transaction):
    """Where PostgreSQL needs a lock, or can do in one round trip what SQLite does in two calls."""

    def chunk_numbers(self, job_key: JobKey, count: int) -> range:
        self.session.one("next_chunk_id_lock", {"job_key": job_key})
        return super().chunk_numbers(job_key, count)

    def attempt_numbers(self, count: int) -> list[int]:
        """Each as the sequence gave it: others take numbers at the same moment, so they need not be in a row."""
        return [row[0] for row in self.session.all("take_attempt_numbers", {"count": count})] if count else []

    def job_events(self, after: int, limit: int, job_key: JobKey | None = None) -> list[StoryRow]:
        """A reading transaction gets a new picture by this: one taken before the lock could miss a lower number."""
        session = self.session
        if session.writing or not isinstance(session, PostgresSession):
            return super().job_events(after, limit, job_key)
        session.drop_picture()
        session.one("reading_story", {})
        found = super().job_events(after, limit, job_key)
        session.take_picture()
        return found

    def story_mark(self) -> int:
        """The same: nobody who has a lower number is still on the way to the commit."""
        session = self.session
        if session.writing or not isinstance(session, PostgresSession):
            return super().story_mark()
        session.drop_picture()
        session.one("reading_story", {})
        session.take_picture()
        return super().story_mark()

    def _lease_rows(self, params: dict[str, object], leasable: str = "leasable_attempts") -> list[Row]:
        return sorted(self.session.all("lease" if leasable == "leasable_attempts" else "lease_kept", params))

    def extend(self, worker_id: WorkerId, attempt_ids: Sequence[AttemptId], deadline: Micros) -> list[AttemptId]:
        self._forget_locked()
        params = {"worker_id": worker_id, "ids": list(attempt_ids), "deadline": deadline}
        kept = {row[0] for row in self.session.all("extend_all", params)} if attempt_ids else set()
        return [attempt_id for attempt_id in attempt_ids if attempt_id in kept]


class PostgresStore:
    """url: as libpq knows it, postgresql://user@host/database."""

    dialect = "postgresql"

    def __init__(self, url: str, plan_ahead: int = 20_000, witness: Witness | None = None) -> None:
        self._plan_ahead = plan_ahead
        self._witness = witness
        self._specs = Specs()
        self._used: WeakKeyDictionary[psycopg.Connection[Row], int] = WeakKeyDictionary()  # transactions
        own = conninfo_to_dict(url).get("options") or ""
        self._pool: ConnectionPool[psycopg.Connection[Row]] = ConnectionPool(
            url,
            kwargs={"options": f"{own} {OPTIONS}".strip(), "connect_timeout": int(CONNECT_SECONDS)},
            min_size=1,
            max_size=CONNECTIONS_MAX,
            timeout=CONNECT_SECONDS,
            reconnect_timeout=CONNECT_SECONDS,
            configure=_configure,
            open=True,
        )

    def migrate(self) -> None:
        with self._connection() as connection, connection.transaction():
            migrate(_Migrating(connection), migrations("postgresql"))

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        with self._connection() as connection:
            self._plan_anew(connection)
            tx = PostgresTransaction(PostgresSession(connection, writing=True), self._specs, self._plan_ahead)
            yield tx
            tx.finish()
            connection.commit()
        if self._witness is not None and tx.ledger.chapter.rows:
            self._witness.heard(tx.ledger.chapter)

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        with self._connection() as connection:
            session = PostgresSession(connection, writing=False)
            session.take_picture()
            yield PostgresTransaction(session, self._specs, self._plan_ahead)
            connection.rollback()

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Row]]:
        """A connection whose transaction is rolled back unless it was committed."""
        with self._refusing(), self._pool.connection() as connection:
            yield connection

    def _plan_anew(self, connection: psycopg.Connection[Row]) -> None:
        used = self._used[connection] = self._used.get(connection, 0) + 1
        if used % TRANSACTIONS_PER_PLAN == 0:
            connection.execute("DISCARD PLANS")

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Database errors that a person can do something about, as Refusals."""
        try:
            yield
        except errors.DiskFull as error:
            raise Refusal(
                Code.STORAGE_FULL, "The disk under the database is full.", "Make room on the database's machine."
            ) from error
        except (errors.DeadlockDetected, errors.SerializationFailure) as error:
            raise Refusal(Code.STATE_CONFLICT, "Somebody else changed the same rows first.", "Ask again.") from error
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
            threading.Thread(target=self._drop_broken, name="fallow-store-check", daemon=True).start()
            words = str(error).strip().splitlines() or ["no answer"]
            raise Refusal(
                Code.STORAGE_UNREACHABLE,
                f"The database cannot be reached: {words[0]}.",
                "Look whether PostgreSQL runs and lets this machine in; fallow goes on as soon as it does.",
            ) from error

    def _drop_broken(self) -> None:
        """When one connection is lost the others probably are: replaced now, not one failing call each."""
        if not self._pool.closed:
            self._pool.check()

    def ping(self) -> None:
        with self.reading() as tx:
            tx.setting("")

    def close(self) -> None:
        self._pool.close()


def _configure(connection: psycopg.Connection[Row]) -> None:
    """Numbers travel as bigint whatever their size: else each mix of sizes would be a prepared statement of its own."""
    connection.adapters.register_dumper(int, Int8BinaryDumper)


class _Migrating:
    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection

    def version(self) -> int:
        self._connection.execute(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK}, 0)".encode())
        self._connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)")
        row = self._connection.execute("SELECT max(version) FROM schema_version").fetchone()
        return int(row[0] or 0) if row else 0

    def apply(self, migration: Migration) -> None:
        self._connection.execute(migration.sql.encode())
        self._connection.execute("INSERT INTO schema_version (version) VALUES (%s)", (migration.version,))
