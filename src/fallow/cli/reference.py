"""Writes docs/cli.md from the commands' own help: python -m fallow.cli.reference > docs/cli.md"""

import sys
from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

_HEAD = """\
# The command line

Made from the commands' own help by `python -m fallow.cli.reference`; a test fails when it is stale.

**Exit codes**

| code | meaning |
|---|---|
| 0 | done; `run` and `submit --wait`: the job completed; `verify`: everything is as it was written and signed |
| 1 | it failed: the job failed, was cancelled or expired; `verify` or `doctor` found something wrong |
| 2 | refused: what was asked cannot be done, or the command was misspelt |
| 3 | `run`, `submit --wait`: the job completed, and some items have error lines |
| 130 | interrupted with Ctrl-C |

A refusal is one line on stderr, `error [code]: what is wrong. what to do.` The codes are those of the REST door.

**Environment**: `FALLOW_SERVER` and `FALLOW_TOKEN` stand in for `--server` and `--token` everywhere. `FALLOW_DEBUG=1`
shows where an error came from. Each of the server's settings can be given as `FALLOW_<NAME>`, too.

Results go to stdout, everything for people to stderr; on a terminal progress is a bar, in a pipe a line now and then,
and tables become lines with tabs. `--json` prints one JSON document.

**Quantities**: sizes are written like `512M` or `2G` (powers of 1024), times like `30s`, `5m`, `2h` or `30d`.
"""


def reference() -> str:
    """The whole page."""
    from fallow.cli.main import app

    parts = [_HEAD]
    for words, command in _commands(get_command(app), ("fallow",)):
        context = typer.Context(command, info_name=" ".join(words), terminal_width=110, max_content_width=110)
        text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
        parts.append(f"## {' '.join(words)}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    parts = getattr(command, "commands", None)
    if parts is None:
        yield words, command
        return
    for name, part in parts.items():
        yield from _commands(part, (*words, name))


if __name__ == "__main__":
    sys.stdout.write(reference())
