"""A store by its URL."""

from pathlib import Path

from fallow.core.chapter import Witness
from fallow.core.refusals import Code, Refusal
from fallow.store.port import Store
from fallow.store.sqlite import MEMORY, SqliteStore

PLAN_AHEAD = 20_000  # chunks waiting: minutes of work for a large fleet, some megabytes of rows


def open_store(url: str, plan_ahead: int = PLAN_AHEAD, witness: Witness | None = None) -> Store:
    """url: "postgresql://...", "sqlite:///relative/or//absolute/path", "sqlite::memory:", or a file's path.

    witness: hears of every move, after its commit.
    Raises Refusal SETTING_INVALID for another scheme, STORAGE_UNREACHABLE when the file cannot be opened. The schema is
    brought up to date by migrate(), not here.
    """
    if url.startswith(("postgresql://", "postgres://")):
        from fallow.store.postgresql import PostgresStore  # a laptop needs no psycopg

        return PostgresStore(url, plan_ahead, witness)
    if url == "sqlite::memory:":
        return SqliteStore(MEMORY, plan_ahead, witness)
    if url.startswith("sqlite:///"):
        return SqliteStore(Path(url.removeprefix("sqlite:///")), plan_ahead, witness)
    if ":" in url.partition("/")[0]:
        raise Refusal(
            Code.SETTING_INVALID,
            f"{url.partition(':')[0]}: is no database that fallow knows.",
            "Use a file's path, sqlite:///path or postgresql://user@host/database.",
        )
    return SqliteStore(Path(url), plan_ahead, witness)
