"""The house rules that a machine can check: who may import whom, names, docstrings, pins, and what must not be here."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "fallow"
LINES_MAX = 500

ANYTHING = ("",)
MAY_IMPORT = {
    "core": (),
    "settings": ("core",),
    "clock": ("core",),
    "harness": (),
    "store": ("core",),
    "artifacts": ("core",),
    "protocols": ("core",),
    "control": (
        "core",
        "store.port",
        "artifacts.port",
        "artifacts.locations",  # where things are, and signed ways to them: values, not bytes
        "artifacts.signing",
        "clock",
        "settings",
    ),
    "web": (
        "core",
        "control",
        "protocols",
        "artifacts.port",
        "artifacts.signing",
        "artifacts.served",
        "artifacts.ranges",  # what a Range header asks for
        "store.port",
        "settings",
        "clock",
    ),
    "worker": ("core", "protocols", "settings", "clock"),
    "sdk": ("core", "protocols", "harness"),  # the Executor's runner is a program for images, and serves by it
    "cli": ("core", "sdk", "wiring", "sim", "worker", "settings"),
    "__main__": ("cli",),
    "sim": ANYTHING,
    "wiring": ANYTHING,
}
"""Room, or module of the top, -> what of ours it may import beside itself."""

BARE_ROOMS = ("core", "harness", "clock")
"""Rooms that use the standard library only."""

ONE_FILE = ("engines", "contracts", "slot", "receipts", "staging", "assignment", "volunteer")
"""Parts of the worker that also build into one file for machines where nothing can be installed: they, and whatever of
the worker they import, use the standard library and core only."""

VAGUE = {"utils", "util", "common", "manager", "managers", "helper", "helpers", "misc"}

MODULES = sorted(PACKAGE.rglob("*.py"))
CODE = sorted([*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])


def name_of(path: Path) -> str:
    """The dotted name below fallow: "core.words"; a package is named like its folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(source: str, package: str) -> Iterator[str]:
    """Every module that is imported anywhere in the source, in full. package: of the source, for relative imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: -(node.level - 1) or None] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{each.name}" for each in node.names if base.split(".")[0] == "fallow")


def package_of(path: Path) -> str:
    return ".".join(["fallow", *path.parent.relative_to(PACKAGE).parts])


def within(name: str, allowed: tuple[str, ...]) -> bool:
    return any(not each or name == each or name.startswith(each + ".") for each in allowed)


def modules_of(source: str, package: str) -> set[str]:
    """The modules of ours that are imported, below fallow; names of things inside a module are left out."""
    ours = {each.removeprefix("fallow").lstrip(".") for each in imports(source, package) if re.match(r"fallow\b", each)}
    known = {name_of(path) for path in MODULES}
    return {each for each in ours if each and (each in known or each.rpartition(".")[0] not in known)}


def strangers(name: str, source: str, package: str) -> list[str]:
    """Imports of ours that the arrows forbid to this module."""
    room = name.split(".", maxsplit=1)[0]
    allowed = (*MAY_IMPORT.get(room, ()), room)
    found = modules_of(source, package)
    # `from fallow.store import port` names the package too; what counts is the module.
    packages = {each for each in found if any(other.startswith(each + ".") for other in found)}
    return sorted(each for each in found - packages if not within(each, allowed))


def third_party(source: str, package: str) -> list[str]:
    """Imports that are neither ours nor the standard library's."""
    tops = {each.split(".")[0] for each in imports(source, package)}
    return sorted(tops - sys.stdlib_module_names - {"fallow"})


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_arrows_point_one_way(path: Path) -> None:
    name = name_of(path)
    assert not name or name.split(".")[0] in MAY_IMPORT, "a new room: say in MAY_IMPORT what it may import"
    assert strangers(name, path.read_text("utf-8"), package_of(path)) == []


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("core.words", "from fallow.clock import Clock", ["clock"]),
        ("core.words", "import fallow.store.port", ["store.port"]),
        ("core.words", "from fallow.core import chunk", []),
        ("control.planner", "from fallow.store.port import Tx", []),
        ("control.planner", "from fallow.store import port", []),
        ("control.planner", "def f():\n    from fallow.artifacts import filesystem", ["artifacts.filesystem"]),
        ("control.planner", "from fallow import web", ["web"]),
        ("worker.agent", "from fallow.control.intake import take", ["control.intake"]),
        ("worker.agent", "from ..control import intake", ["control.intake"]),
        ("worker.agent", "from .slot import Slot", []),
        ("sim.fleet", "from fallow.web.app import app", []),
    ],
)
def test_a_wrong_arrow_is_seen(name: str, source: str, expected: list[str]) -> None:
    assert strangers(name, source, "fallow." + name.rpartition(".")[0]) == expected


@pytest.mark.parametrize("path", [each for each in MODULES if name_of(each).split(".")[0] in BARE_ROOMS], ids=name_of)
def test_bare_rooms_use_the_standard_library_only(path: Path) -> None:
    assert third_party(path.read_text("utf-8"), package_of(path)) == []


def one_file_modules() -> list[Path]:
    """The worker's modules of ONE_FILE, and those of the worker that they import, in turn."""
    files = {name_of(path): path for path in MODULES if name_of(path).startswith("worker.")}
    found = {name for name in files if name.split(".")[1] in ONE_FILE}
    while True:
        more = {each for name in found for each in modules_of(files[name].read_text("utf-8"), package_of(files[name]))}
        if (more & set(files)) <= found:
            return [files[name] for name in sorted(found)]
        found |= more & set(files)


@pytest.mark.parametrize("path", one_file_modules(), ids=name_of)
def test_what_builds_into_one_file_needs_nothing_installed(path: Path) -> None:
    source = path.read_text("utf-8")
    assert third_party(source, package_of(path)) == []
    assert [each for each in modules_of(source, package_of(path)) if not within(each, ("core", "worker"))] == []


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_and_says_what_it_is(path: Path) -> None:
    source = path.read_text("utf-8")
    assert source.count("\n") <= LINES_MAX, "one idea a file: find the second noun"
    assert path.stem not in VAGUE, "find the noun"
    assert not VAGUE & set(path.relative_to(ROOT).parts)
    bare = not source.strip() or (path.name in ("__init__.py", "conftest.py") and PACKAGE not in path.parents)
    assert bare or ast.get_docstring(ast.parse(source)), "it opens with a docstring"


def public_functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions of the module and methods of its classes whose names do not start with an underscore."""
    classes = [each for each in tree.body if isinstance(each, ast.ClassDef)]
    for body in (tree.body, *(each.body for each in classes)):
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                yield node


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").glob("*.py")), ids=lambda path: path.stem)
def test_public_functions_of_core_are_described(path: Path) -> None:
    functions = public_functions(ast.parse(path.read_text("utf-8")))
    assert [each.name for each in functions if ast.get_docstring(each) is None] == []


def kept_files() -> list[Path]:
    """What the repository holds, or is about to."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(listing, check=False, cwd=ROOT, capture_output=True, encoding="utf-8")
    if listed.returncode == 0:
        files = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:  # an unpacked archive
        files = [each for each in ROOT.rglob("*") if not any(p.startswith(".") for p in each.relative_to(ROOT).parts)]
    return [each for each in files if each.is_file() and not each.is_symlink()]


UNWANTED = {
    "the address of a package registry": re.compile(
        rb"(?://|\.)(?:pypi\.org|pythonhosted\.org|registry\.npmjs\.org|proxy\.golang\.org)\b"
        rb"|--(?:extra-)?index-url[ =]|(?:PIP|UV)_(?:DEFAULT_|EXTRA_)?INDEX(?:_URL)?="
    ),
    "a path of somebody's machine": re.compile(rb"(?<![\w./-])/(?:root|home)/\w"),
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\n"),
}


@pytest.mark.parametrize("what", UNWANTED)
def test_nothing_here_that_should_not_be(what: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group().decode(errors='replace')}"
        for path in kept_files()
        if (match := UNWANTED[what].search(path.read_bytes()))
    ]
    assert found == []


def test_no_configuration_of_a_registry_is_kept() -> None:
    names = {each.name for each in kept_files()}
    assert not names & {"pip.conf", ".npmrc", ".pypirc", "uv.toml"}


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_requirements_are_pinned_by_hash(path: Path) -> None:
    joined = path.read_text("utf-8").replace("\\\n", " ")
    lines = [each.strip() for each in joined.splitlines() if each.strip() and not each.strip().startswith("#")]
    pin = re.compile(r"[a-z0-9._-]+(?:\[[a-z0-9,_-]+\])?==[\w.!+]+(?: *;[^:]+?)?(?: +--hash=sha256:[0-9a-f]{64})+")
    assert lines
    assert [each[:80] for each in lines if not pin.fullmatch(each)] == []


def test_ci_runs_what_people_run() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111, "it can be executed"
    assert re.search(r"^\s*(?:exec )?make test\b", script.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile"])
def test_the_papers_are_there(name: str) -> None:
    assert (ROOT / name).read_text("utf-8").strip()


def test_decisions_are_numbered_without_gaps() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(each.name[:4]) for each in decisions]
    assert numbers == list(range(1, len(numbers) + 1))
    for each in decisions:
        text = each.read_text("utf-8")
        assert re.match(rf"# 0*{int(each.name[:4])}[.:] ", text), each.name
        for part in ("Context", "Decision", "Consequences"):
            assert re.search(rf"^(?:## |\*\*){part}\b", text, re.MULTILINE), f"{each.name} lacks its {part}"
