"""Writes async_client.py and async_jobs.py, the asynchronous faces of Client, Job and Feed, from their own signatures.

python -m fallow.sdk.asynchronous

There is one client, and it is synchronous; its twin is never written by hand. A test writes it again and compares.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_AWAITED = {"Job": "AsyncJob", "Feed": "AsyncFeed"}
_ITERATED = {"Results": "Result", "JobPages": "JobSummary"}
_CALLBACKS = ("OnProgress", "OnBytes")
_AT_ONCE = ("Client.handle", "Feed.job")  # ask no server
_BY_HAND = {"Client": ("close", "server")}

_HEAD = '''"""AsyncClient: what Client does, for programs on an event loop. Written by fallow.sdk.asynchronous.

Each call runs in a thread of its own, so that waiting for one holds up nothing else; callbacks run on the event loop.
"""
'''
_HEAD_JOBS = '''"""What Job and Feed do, for programs on an event loop. Written by fallow.sdk.asynchronous."""
'''
_CLIENT = '''
class AsyncClient:
    """See Client, whose methods these are. May be used in an `async with`."""

    def __init__(self, server: str | None = None, token: str | None = None) -> None:
        self._sync = Client(server, token)

    @property
    def server(self) -> str:
        """The server's URL."""
        return self._sync.server

    async def close(self) -> None:
        """Closes the connections."""
        await called(self._sync.close)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()
'''
_JOB = '''
class AsyncJob:
    """See Job: knows its id, and asks the server for everything else."""

    def __init__(self, job: Job) -> None:
        self._sync = job

    @property
    def job_id(self) -> str:
        return self._sync.job_id
'''


_FEED = '''
class AsyncFeed:
    """See Feed. May be used in an `async with`, at whose end it is closed."""

    def __init__(self, feed: Feed) -> None:
        self._sync = feed

    @property
    def job_id(self) -> str:
        return self._sync.job_id

    async def __aenter__(self) -> "AsyncFeed":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()
'''


@dataclass(frozen=True, slots=True)
class Face:
    """A class to be written: its head, and the classes whose methods it has, as (module, class)."""

    head: str
    sources: tuple[tuple[str, str], ...]


_MODULES = {
    "async_jobs.py": (_HEAD_JOBS, (Face(_JOB, (("job", "Job"),)), Face(_FEED, (("feeds", "Feed"),)))),
    "async_client.py": (
        _HEAD,
        (
            Face(
                _CLIENT,
                (
                    ("client", "Client"),
                    ("people_calls", "PeopleCalls"),
                    ("notice_calls", "NoticeCalls"),
                    ("boinc_calls", "BoincCalls"),
                ),
            ),
        ),
    ),
}


def written() -> dict[Path, str]:
    """Each module's text."""
    return {_HERE / name: _module(head, faces) for name, (head, faces) in _MODULES.items()}


def _module(head: str, faces: tuple[Face, ...]) -> str:
    trees = {module: ast.parse((_HERE / f"{module}.py").read_text("utf-8")) for f in faces for module, _ in f.sources}
    body = "\n\n".join(
        "\n".join([face.head, *(each for module, kind in face.sources for each in _methods(trees[module], kind))])
        for face in faces
    )
    return _formatted(head + _imports(trees, body) + "\n\n" + body)


def _methods(tree: ast.Module, name: str) -> Iterator[str]:
    (kind,) = [each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == name]
    for method in kind.body:
        if (
            isinstance(method, ast.FunctionDef)
            and not method.name.startswith("_")
            and method.name not in _BY_HAND.get(name, ())
        ):
            yield _indented(_method(method, name))


def _method(method: ast.FunctionDef, owner: str) -> str:
    """The asynchronous form of one method."""
    decorators = [each.id for each in method.decorator_list if isinstance(each, ast.Name)]
    result = ast.unparse(method.returns) if method.returns else "None"
    bare = result.strip("'\"")
    item = _ITERATED.get(bare) or (bare[len("Iterator[") : -1] if bare.startswith("Iterator[") else "")
    arguments = ast.unparse(method.args)
    if item:
        head = f"def {method.name}({arguments}) -> AsyncIterator[{item}]:"
        passed = _passed(method)
        start = f"lambda: self._sync.{method.name}({passed})" if passed else f"self._sync.{method.name}"
        body = f"return iterated({start})"
    elif f"{owner}.{method.name}" in _AT_ONCE:
        head = f"def {method.name}({arguments}) -> {_AWAITED.get(bare, result)}:"
        asked = f"self._sync.{method.name}" + ("" if "property" in decorators else f"({_passed(method)})")
        head = "@property\n" + head if "property" in decorators else head
        body = f"return {_wrapped(bare, asked)}"
    else:
        head = f"async def {method.name}({arguments}) -> {_AWAITED.get(bare, result)}:"
        body = f"return {_wrapped(bare, f'await called({_function(method, decorators)})')}"
    if "overload" in decorators:
        return f"@overload\n{head} ..."
    return f"{head}\n    {_described(method)}{body}"


def _function(method: ast.FunctionDef, decorators: list[str]) -> str:
    if "property" in decorators:
        return f"lambda: self._sync.{method.name}"
    passed = _passed(method)
    return f"self._sync.{method.name}, {passed}" if passed else f"self._sync.{method.name}"


def _wrapped(kind: str, value: str) -> str:
    return f"{_AWAITED[kind]}({value})" if kind in _AWAITED else value


def _described(method: ast.FunctionDef) -> str:
    said = ast.get_docstring(method)
    if not said:
        return ""
    return (
        '"""'
        + said.replace("\n", "\n    ").replace("\n    \n", "\n\n")
        + ('\n    """' if "\n" in said else '"""')
        + "\n    "
    )


def _passed(method: ast.FunctionDef) -> str:
    """The arguments, handed on by the names they came by."""
    plain = [_value(each) for each in method.args.args if each.arg != "self"]
    named = [f"{each.arg}={_value(each)}" for each in method.args.kwonlyargs]
    rest = [f"**{method.args.kwarg.arg}"] if method.args.kwarg else []
    return ", ".join([*plain, *named, *rest])


def _value(argument: ast.arg) -> str:
    kind = ast.unparse(argument.annotation) if argument.annotation else ""
    return f"on_loop({argument.arg})" if any(each in kind for each in _CALLBACKS) else argument.arg


def _indented(text: str) -> str:
    return "\n" + "\n".join(f"    {line}" if line else "" for line in text.split("\n"))


def _imports(trees: dict[str, ast.Module], body: str) -> str:
    """What the body names, from where the sources have it."""
    used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    used |= {word for node in ast.walk(ast.parse(body)) for word in _quoted(node)}
    places = {
        "AsyncIterator": "collections.abc",
        "Client": "fallow.sdk.client",
        "Job": "fallow.sdk.job",
        "Feed": "fallow.sdk.feeds",
        **dict.fromkeys(("AsyncJob", "AsyncFeed"), "fallow.sdk.async_jobs"),
        **dict.fromkeys(("called", "iterated", "on_loop"), "fallow.sdk.threads"),
    }
    for module, tree in trees.items():
        own = (each.name for each in tree.body if isinstance(each, ast.ClassDef))
        places |= {name: f"fallow.sdk.{module}" for name in own if name not in places}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                places |= {each.name: node.module for each in node.names if each.name not in places}
    here = {each.name for each in ast.parse(body).body if isinstance(each, ast.ClassDef)}
    lines = [f"from {places[name]} import {name}" for name in sorted((used & set(places)) - here)]
    if any("pa." in line for line in body.splitlines()):
        lines.append("if TYPE_CHECKING:\n    import pyarrow as pa")
        lines.append("from typing import TYPE_CHECKING")
        lines = [
            *[each for each in lines if not each.startswith("if")],
            *[each for each in lines if each.startswith("if")],
        ]
    return "\n".join(lines) + "\n"


def _quoted(node: ast.AST) -> Iterator[str]:
    """Names inside annotations that are texts."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
        yield node.value


def _formatted(text: str) -> str:
    """As ruff would have it."""
    for words in (["check", "--select", "I", "--fix", "-q", "-"], ["format", "-q", "-"]):
        command = [sys.executable, "-m", "ruff", *words[:-1], "--stdin-filename", str(_HERE / "async_client.py"), "-"]
        text = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    return text


if __name__ == "__main__":
    for target, text in written().items():
        target.write_text(text, "utf-8")
