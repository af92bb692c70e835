"""The schema's versions: schema/<dialect>/NNNN_name.sql, applied in order, each once and in one transaction."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Protocol

from fallow.core.refusals import Code, Refusal


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sql: str


class Migrating(Protocol):
    """A database with the migrator's lock taken: nobody else migrates until it is over."""

    def version(self) -> int:
        """Of the schema that is there; 0: none. Creates the table that says so."""
        ...

    def apply(self, migration: Migration) -> None:
        """Runs the migration and notes its version, both or neither."""
        ...


def migrations(dialect: str) -> list[Migration]:
    """In order. Raises ValueError when a number is missing or taken twice."""
    folder = files("fallow.store") / "schema" / dialect
    found = []
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if file.name.endswith(".sql"):
            number, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(number), name, file.read_text(encoding="utf-8")))
    if [each.version for each in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"the migrations of {dialect} are not numbered 1, 2, 3, ...")
    return found


def migrate(database: Migrating, known: list[Migration]) -> None:
    """Brings the schema to the newest version. Raises Refusal SETTING_INVALID when it is newer than this release."""
    there = database.version()
    if there > len(known):
        raise Refusal(
            Code.SETTING_INVALID,
            f"The database has schema version {there}; this release knows versions up to {len(known)}.",
            "Start the newer release, or restore a backup that this release made.",
        )
    for migration in known[there:]:
        database.apply(migration)
