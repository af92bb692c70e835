"""Builds the one file that BOINC clients run: the volunteer's program and what it imports of the worker and the core.

A zip application behind a few lines of shell that look for a Python. The same sources give the same bytes, because the
file is signed and its name never stands for other bytes.
"""

import ast
import io
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

START: Final = "fallow.worker.volunteer.__main__"
EPOCH: Final = (1980, 1, 1, 0, 0, 0)

PROLOGUE: Final = rb"""#!/bin/sh
# fallow's program for BOINC clients: a zip archive of Python modules behind these lines.
PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}"
# A service of macOS does not look where its package managers put programs.
[ -d /System/Library ] && PATH="$PATH:/usr/local/bin:/opt/homebrew/bin:/opt/podman/bin"
export PATH
# Newest first. The bare name comes last: on macOS it may be a stub that only offers to install something.
for python in python3.14 python3.13 python3.12 python3.11 python3; do
  if "$python" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
    exec "$python" -I -S "$0" "$@"
  fi
done
echo 'This task needs Python 3.11 or newer, and this machine has none.' >&2
echo 'Install it: apt-get install python3 (Debian 12, Ubuntu 24.04 or newer), or brew install python3 (macOS).' >&2
printf '3600\nPython 3.11 or newer is missing: apt-get install python3\nnotice\n' >boinc_temporary_exit
exit 0
"""

MAIN: Final = b"""import sys

from fallow.worker.volunteer.program import main

sys.exit(main())
"""


def build_runner() -> bytes:
    """The file, to be stored and signed as it is."""
    buffer = io.BytesIO(PROLOGUE)
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, source in sorted({"__main__.py": MAIN, **_sources()}.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is built
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, source, compresslevel=9)
    return buffer.getvalue()


def _sources() -> dict[str, bytes]:
    """File name in the archive -> bytes, of every module of ours that the program may import, and their packages."""
    found: dict[str, bytes] = {}
    waiting = [START]
    while waiting:
        name = waiting.pop()
        file = _file_of(name)
        if file is None:
            continue
        path = "/".join((*name.split("."), "__init__.py") if file.name == "__init__.py" else name.split("."))
        path = path if path.endswith("__init__.py") else f"{path}.py"
        if path in found:
            continue
        found[path] = file.read_bytes()
        waiting += [*_imports(found[path]), *_packages_above(name)]
    return found


def _file_of(name: str) -> Traversable | None:
    """The module's source; None for what is no module of ours, such as a class's name."""
    place: Traversable = files("fallow")
    *above, last = name.split(".")[1:] or [""]
    for each in above:
        place = place / each
    for file in (place / last / "__init__.py", place / f"{last}.py"):
        if file.is_file():
            return file
    return None


def _imports(source: bytes) -> Iterator[str]:
    """Names of ours that are imported anywhere in it when it runs; those of things inside a module lead nowhere."""
    for node in ast.walk(_Running().visit(ast.parse(source))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.split(".")[0] == "fallow")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fallow":
            yield from (node.module or "", *(f"{node.module}.{each.name}" for each in node.names))


class _Running(ast.NodeTransformer):
    """Leaves out what type checkers only read."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        typing = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return None if typing else self.generic_visit(node)


def _packages_above(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:length]) for length in range(1, len(parts)))
