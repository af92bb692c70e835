"""The image spec: a small TOML file that says what is in an image. docs/images.md describes it for its writers."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from fallow.core.refusals import Code, Refusal

HARNESS_LABEL = "io.fallow.harness"
_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
_PINNED = re.compile(r"[A-Za-z0-9._-]+(\[[A-Za-z0-9._,-]*\])?\s*==\s*[A-Za-z0-9.!+_-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USER = re.compile(r"[A-Za-z0-9_-]+(:[A-Za-z0-9_-]+)?")
_PYTHON = re.compile(r"3\.\d+")


@dataclass(frozen=True, slots=True)
class WheelData:
    """Files taken out of a wheel; nothing of it is run. requirement: "name==version". source: a folder in the wheel.
    files: shell patterns below `source`. to: an absolute folder in the image."""

    requirement: str
    sha256: str
    source: str
    files: tuple[str, ...]
    to: str


@dataclass(frozen=True, slots=True)
class Copy:
    """source: a file or folder on this machine. to: an absolute path in the image; ends in "/" for a folder."""

    source: Path
    to: str


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """requirements: pip's lines, complete and pinned. python: "3.12", or "" to take the base's."""

    name: str
    base: str
    folder: Path
    python: str = ""
    requirements: tuple[str, ...] = ()
    data: tuple[WheelData, ...] = ()
    copies: tuple[Copy, ...] = ()
    harness: str = ""
    env: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    user: str = "1000:1000"
    workdir: str = "/"
    compress: bool = False


def read_spec(path: Path) -> ImageSpec:
    """Reads and checks a spec. Raises Refusal BAD_REQUEST, or INPUT_MISSING for a file that is not there."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refusal(Code.INPUT_MISSING, f"There is no image spec at {path}.", "Check the path.") from None
    except (OSError, ValueError) as problem:
        raise Refusal(
            Code.BAD_REQUEST, f"The image spec {path} cannot be read: {problem}.", "Correct the file."
        ) from None
    return _Reader(path, table).spec()


def pinned(lines: tuple[str, ...]) -> str | None:
    """The first requirement that does not name one version, or None. Such a line would mean something else tomorrow.

    A line with a condition ("; python_version < ...") does not either: pip would ask this machine, not the image.
    """
    for line in lines:
        requirement = line.split(" --hash=")[0].strip()
        if not _PINNED.fullmatch(requirement):
            return requirement
    return None


def requirement_lines(text: str) -> tuple[str, ...]:
    """A requirements file as one line per requirement: continuations joined, comments gone."""
    joined = re.sub(r"\\\r?\n", " ", text)
    lines = (re.sub(r"(^|\s)#.*", "", line) for line in joined.splitlines())
    return tuple(" ".join(line.split()) for line in lines if line.strip())


class _Reader:
    """Takes the table apart member by member; what is left at the end is a mistake of the writer."""

    def __init__(self, path: Path, table: dict[str, Any]) -> None:
        self.path = path
        self.folder = path.resolve().parent
        self.table = dict(table)

    def spec(self) -> ImageSpec:
        harness = self.text("harness", "")
        labels = self.names("labels")
        if harness:
            self.check(harness.startswith("/"), "harness", 'an absolute path, as "/app/harness.py"')
            labels[HARNESS_LABEL] = "1"
        spec = ImageSpec(
            name=self.text("name", None, _NAME),
            base=self.text("base", "debian:python3"),
            folder=self.folder,
            python=self.text("python", "", _PYTHON),
            requirements=self.requirements(),
            data=tuple(self.wheel_data(entry) for entry in self.tables("data")),
            copies=tuple(self.copy(entry) for entry in self.tables("copy")),
            harness=harness,
            env=self.names("env", _VARIABLE),
            labels=labels,
            command=self.texts("command"),
            user=self.text("user", "1000:1000", _USER),
            workdir=self.text("workdir", "/"),
            compress=self.flag("compress"),
        )
        self.nothing_left(self.table, "the spec")
        return spec

    def requirements(self) -> tuple[str, ...]:
        value = self.table.pop("requirements", [])
        if isinstance(value, str):
            file = self.folder / value
            if not file.is_file():
                self.refuse(f"requirements names {value}, which is not a file beside the spec")
            lines = requirement_lines(file.read_text(encoding="utf-8"))
        else:
            self.check(_is_texts(value), "requirements", "a file name or a list of requirements")
            lines = requirement_lines("\n".join(value))
        loose = pinned(lines)
        if loose is not None:
            self.refuse(f"the requirement {loose!r} does not name one version for all machines; write name==version")
        return lines

    def wheel_data(self, entry: dict[str, Any]) -> WheelData:
        inner = _Reader(self.path, entry)
        data = WheelData(
            requirement=inner.text("wheel", None, _PINNED),
            sha256=inner.text("sha256", None, _SHA256),
            source=inner.text("from", "").strip("/"),
            files=inner.texts("files") or ("*",),
            to=inner.absolute("to"),
        )
        inner.nothing_left(inner.table, "[[data]]")
        return data

    def copy(self, entry: dict[str, Any]) -> Copy:
        inner = _Reader(self.path, entry)
        name, to = inner.text("from", None), inner.absolute("to")
        inner.nothing_left(inner.table, "[[copy]]")
        source = (self.folder / name).resolve()
        if not source.exists():
            self.refuse(f"[[copy]] names {name}, which does not exist beside the spec")
        return Copy(source, to)

    def text(self, key: str, default: str | None, pattern: re.Pattern[str] | None = None) -> str:
        value = self.table.pop(key, default)
        if value is None:
            self.refuse(f"{key} is missing")
        good = isinstance(value, str) and (value == default or pattern is None or bool(pattern.fullmatch(value)))
        self.check(good, key, "text" if pattern is None else f"text like {pattern.pattern}")
        return str(value)

    def absolute(self, key: str) -> str:
        value = self.text(key, None)
        self.check(value.startswith("/") and ".." not in PurePosixPath(value).parts, key, "an absolute path")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.table.pop(key, [])
        self.check(_is_texts(value), key, "a list of text")
        return tuple(value)

    def flag(self, key: str) -> bool:
        value = self.table.pop(key, False)
        self.check(isinstance(value, bool), key, "true or false")
        return bool(value)

    def names(self, key: str, pattern: re.Pattern[str] | None = None) -> dict[str, str]:
        value = self.table.pop(key, {})
        self.check(isinstance(value, dict) and _is_texts([*value, *value.values()]), key, "a table of text")
        self.check(all(pattern is None or pattern.fullmatch(name) for name in value), key, "a table of variable names")
        return dict(value)

    def tables(self, key: str) -> list[dict[str, Any]]:
        value = self.table.pop(key, [])
        self.check(isinstance(value, list) and all(isinstance(v, dict) for v in value), key, f"[[{key}]] tables")
        return [dict(entry) for entry in value]

    def nothing_left(self, table: dict[str, Any], where: str) -> None:
        if table:
            self.refuse(f"{where} has a member that is not known: {sorted(table)[0]}")

    def check(self, good: bool, key: str, wanted: str) -> None:
        if not good:
            self.refuse(f"{key} must be {wanted}")

    def refuse(self, what: str) -> NoReturn:
        raise Refusal(Code.BAD_REQUEST, f"In {self.path}: {what}.", "Correct the spec; docs/images.md describes it.")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


Progress = Callable[[str], None]
