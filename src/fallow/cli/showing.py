"""How things look on a terminal and in a pipe."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer


def show_json(value: Any) -> None:
    """One JSON document on stdout: of a message, or of plain values."""
    body = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    typer.echo(json.dumps(body, ensure_ascii=False, indent=2))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A table; in a pipe, lines whose fields are separated by tabs, without a heading."""
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(one_line(each) for each in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(each)) for each in row))
    if table.row_count:
        Console(highlight=False).print(table)
    else:
        typer.echo(empty)


def one_line(value: object) -> str:
    """Foreign text for one field of one line: without control characters."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else " " for char in text)


def note(text: str) -> None:
    """For people, on stderr."""
    typer.echo(text, err=True)


def many(count: int, noun: str) -> str:
    """1 item, 2,000 items."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
