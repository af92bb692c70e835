"""Rows in SQLite: one file, one writer, many readers beside it (WAL).

Durable: synchronous=FULL syncs the log at each commit. One writing connection behind a lock, since SQLite has one
writer anyway; BEGIN IMMEDIATE keeps other processes' writers out for the while.
"""

import json
import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from queue import Empty, LifoQueue

from fallow.core.chapter import Witness
from fallow.core.refusals import Code, Refusal
from fallow.store.ledger import Specs
from fallow.store.migrations import Migration, migrate, migrations
from fallow.store.port import Tx
from fallow.store.session import Params, Row
from fallow.store.statements import Statement, statements
from fallow.store.transaction import Transaction

MEMORY = ":memory:"
BUSY_MILLISECONDS = 30_000  # another process may be checkpointing a large log
READERS_KEPT = 8
CACHE_KIB = 64 * 1024  # the working set of a busy job: its open chunks, their attempts and the indexes' right edges
CHECKPOINT_PAGES = 4096  # 16 MiB of log: a checkpoint syncs the database too, so not after every thousand pages

BLOCKS = (64, 16, 4)  # rows of one INSERT: half the cost of a statement each; few sizes, since each is compiled once

_FULL = frozenset({sqlite3.SQLITE_FULL})
_UNREACHABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CORRUPT,
    }
)


class SqliteSession:
    """One transaction on one connection."""

    def __init__(self, connection: sqlite3.Connection, writing: bool) -> None:
        self._connection = connection
        self._statements = statements("sqlite")
        self.writing = writing

    def all(self, name: str, params: Params) -> list[Row]:
        return self._execute(name, params).fetchall()

    def one(self, name: str, params: Params) -> Row | None:
        row: Row | None = self._execute(name, params).fetchone()
        return row

    def run(self, name: str, params: Params) -> int:
        return self._execute(name, params).rowcount

    def _execute(self, name: str, params: Params) -> sqlite3.Cursor:
        statement = self._statements[name]
        return self._connection.execute(statement.sql, _bound(statement, params))

    def many(self, name: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        done = 0
        for size in BLOCKS:
            sql = _positional(name, columns, size)
            while sql and len(rows) - done >= size:
                self._connection.execute(sql, list(chain.from_iterable(rows[done : done + size])))
                done += size
        if done < len(rows):
            self._connection.executemany(_positional(name, columns, 1), rows[done:])


def _bound(statement: Statement, params: Params) -> Mapping[str, object]:
    """Sets travel as JSON arrays."""
    return {name: json.dumps(value) if isinstance(value := params[name], list) else value for name in statement.names}


@cache
def _positional(name: str, columns: tuple[str, ...], rows: int) -> str:
    """The statement for so many rows at once; "" where it cannot take more than one."""
    sql = statements("sqlite")[name].positional(columns)
    if rows == 1:
        return sql
    head, values, one = sql.partition("VALUES ")
    if not head.startswith("INSERT") or not one.endswith(")"):
        return ""
    return head + values + ", ".join(_moved(one, row * len(columns)) for row in range(rows))


def _moved(values: str, by: int) -> str:
    """The same with the places of its parameters moved on."""
    return re.sub(r"(?<=\?)\d+", lambda place: str(int(place[0]) + by), values)


class SqliteStore:
    """path: of the database file, or ":memory:" (one connection, gone with the store)."""

    dialect = "sqlite"

    def __init__(self, path: Path | str, plan_ahead: int = 20_000, witness: Witness | None = None) -> None:
        self._path = str(path)
        self._witness = witness
        self._plan_ahead = plan_ahead
        self._specs = Specs()
        self._writing = threading.Lock()
        self._writing_thread: int | None = None
        self._readers: LifoQueue[sqlite3.Connection] = LifoQueue(READERS_KEPT)
        with _refusing(self._path):
            self._writer = self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_MILLISECONDS / 1000, isolation_level=None, check_same_thread=False
        )
        for pragma in (
            f"busy_timeout = {BUSY_MILLISECONDS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            f"cache_size = -{CACHE_KIB}",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection

    def migrate(self) -> None:
        with self._exclusive(), _refusing(self._path):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                migrate(_Migrating(self._writer), migrations("sqlite"))
            except BaseException:
                _roll_back(self._writer)
                raise
            self._writer.execute("COMMIT")

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        me = threading.get_ident()
        if self._writing_thread == me:
            raise RuntimeError("a transaction inside a transaction would wait for itself")
        with self._writing:
            self._writing_thread = me
            try:
                yield
            finally:
                self._writing_thread = None

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        with self._exclusive(), _refusing(self._path):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                tx = Transaction(SqliteSession(self._writer, writing=True), self._specs, self._plan_ahead)
                yield tx
                tx.finish()
                self._writer.execute("COMMIT")
            except BaseException:
                _roll_back(self._writer)
                raise
        if self._witness is not None and tx.ledger.chapter.rows:  # others may write meanwhile
            self._witness.heard(tx.ledger.chapter)

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        if self._path == MEMORY:
            with self._exclusive(), _refusing(self._path):
                yield from self._read(self._writer)
            return
        with _refusing(self._path):
            try:
                connection = self._readers.get_nowait()
            except Empty:
                connection = self._connect()
                connection.execute("PRAGMA query_only = ON")
            try:
                yield from self._read(connection)
            finally:
                if self._readers.full():
                    connection.close()
                else:
                    self._readers.put_nowait(connection)

    def _read(self, connection: sqlite3.Connection) -> Iterator[Tx]:
        connection.execute("BEGIN")
        try:
            yield Transaction(SqliteSession(connection, writing=False), self._specs, self._plan_ahead)
        finally:
            _roll_back(connection)

    def ping(self) -> None:
        with _refusing(self._path):
            if self._path != MEMORY and not Path(self._path).exists():
                raise Refusal(
                    Code.STORAGE_UNREACHABLE, f"The database file {self._path} is gone.", "Restore it from a backup."
                )
            with self.reading() as tx:
                tx.setting("")

    def backup(self, path: Path) -> None:
        """A copy of the whole database at one moment, beside readers and writers. Raises Refusal ALREADY_EXISTS."""
        if path.exists():
            raise Refusal(Code.ALREADY_EXISTS, f"{path} exists already.", "Choose another name for the backup.")
        with _refusing(str(path)):
            source = self._writer if self._path == MEMORY else self._connect()
            try:
                source.execute("VACUUM INTO ?", (str(path),))
            finally:
                if source is not self._writer:
                    source.close()

    def close(self) -> None:
        with self._exclusive():
            while not self._readers.empty():
                self._readers.get_nowait().close()
            self._writer.close()


class _Migrating:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def version(self) -> int:
        self._connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT")
        row = self._connection.execute("SELECT max(version) FROM schema_version").fetchone()
        return int(row[0] or 0)

    def apply(self, migration: Migration) -> None:
        for statement in _split(migration.sql):  # executescript() would commit first
            self._connection.execute(statement)
        self._connection.execute("INSERT INTO schema_version (version) VALUES (?)", (migration.version,))


def _split(script: str) -> Iterator[str]:
    """The statements of a script."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # a full disk has rolled back by itself already
        connection.execute("ROLLBACK")


@contextmanager
def _refusing(path: str) -> Iterator[None]:
    """Database errors that a person can do something about, as Refusals."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF
        if primary in _FULL:
            raise Refusal(
                Code.STORAGE_FULL, "The disk under the database is full.", f"Make room beside {path}."
            ) from error
        if primary in _UNREACHABLE:
            raise Refusal(
                Code.STORAGE_UNREACHABLE,
                f"The database {path} cannot be used: {error}.",
                "Look whether the file is there, is readable and writable, and is not held by another program.",
            ) from error
        raise
