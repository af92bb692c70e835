"""The named statements: read once from queries/*.sql, a dialect's own file over the portable one.

A statement starts with the comment line `-- its_name`, then a comment that says in a sentence what it does, then the
SQL. Parameters are `:name`. An override keeps the name and says why it differs.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

_NAME = re.compile(r"^-- ([a-z][a-z0-9_]*)$")
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Statement:
    """names: the parameters, in order of first use."""

    name: str
    sentence: str
    sql: str
    names: tuple[str, ...]

    def positional(self, columns: tuple[str, ...]) -> str:
        """The SQL with `?n` for the n-th of `columns`. KeyError names a parameter that is not among them."""
        places = {column: f"?{number}" for number, column in enumerate(columns, start=1)}
        return _PARAMETER.sub(lambda match: places[match[1]], self.sql)

    @property
    def pyformat(self) -> str:
        """The SQL with `%(name)s`, as psycopg wants it."""
        return _PARAMETER.sub(lambda match: f"%({match[1]})s", self.sql.replace("%", "%%"))


@cache
def statements(dialect: str) -> Mapping[str, Statement]:
    """All statements of a dialect by name. Raises ValueError for a file that breaks the rules above."""
    root = files("fallow.store") / "queries"
    portable = _of_folder(root)
    own = _of_folder(root / dialect)
    for statement in own.values():
        if statement.name in portable and "differs because" not in statement.sentence.lower():
            raise ValueError(f"{dialect}: {statement.name} does not say why it differs")
    return {**portable, **own}


def _of_folder(folder: Traversable) -> dict[str, Statement]:
    found: dict[str, Statement] = {}
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if not file.name.endswith(".sql"):
            continue
        for statement in parse(file.read_text(encoding="utf-8")):
            if statement.name in found:
                raise ValueError(f"{file.name}: {statement.name} is there twice")
            found[statement.name] = statement
    return found


def parse(text: str) -> Iterator[Statement]:
    """The statements of one file. Raises ValueError for one without a sentence or without SQL."""
    blocks = [block.strip().splitlines() for block in re.split(r"\n\s*\n", text) if block.strip()]
    for lines in blocks:
        head = _NAME.match(lines[0])
        if head is None:
            if all(line.startswith("--") for line in lines):
                continue  # words about the whole file
            raise ValueError(f"no name before: {lines[0]}")
        comment = [line for line in lines[1:] if line.startswith("--")]
        sql = "\n".join(line for line in lines[1:] if not line.startswith("--")).rstrip().rstrip(";")
        if not comment or not sql:
            raise ValueError(f"{head[1]} needs a sentence and SQL")
        sentence = " ".join(line.removeprefix("--").strip() for line in comment)
        yield Statement(head[1], sentence, sql, tuple(dict.fromkeys(_PARAMETER.findall(sql))))
