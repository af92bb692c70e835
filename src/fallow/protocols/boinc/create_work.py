"""The command line of BOINC's create_work, as values. Each option that BOINC has is known here.

Source: BOINC tools/create_work.cpp.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

LINE_BYTES_MAX: Final = 4096

TAKEN: Final = (
    "appname",
    "wu_name",
    "wu_template",
    "result_template",
    "command_line",
    "min_quorum",
    "max_error_results",
    "max_total_results",
    "delay_bound",
    "priority",
)
"""Options with one value that say something here."""

IGNORED: Final = (
    "app_version_num",
    "batch",
    "broadcast_user",
    "broadcast_team",
    "config_dir",
    "credit",
    "d",
    "hr_class",
    "keywords",
    "max_success_results",
    "rsc_disk_bound",
    "rsc_fpops_bound",
    "rsc_fpops_est",
    "rsc_memory_bound",
    "size_class",
    "sub_appname",
    "target_host",
    "target_nresults",
    "target_team",
    "target_user",
    "wu_id",
)
"""Options with one value that mean nothing here."""

_FLAGS: Final = ("broadcast", "verbose")
_OF_A_LINE: Final = frozenset({"command_line", "wu_name", "wu_template", "result_template", "remote_file", "priority"})
_OF_A_LINE_TOO: Final = frozenset({"target_host", "target_team", "target_user"})
_NUMBERS: Final = ("min_quorum", "max_error_results", "max_total_results", "delay_bound", "priority")


class BadOption(ValueError):
    """Says in a sentence what is wrong with the command."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file that is fetched from elsewhere."""

    url: str
    size_bytes: int
    md5: str


@dataclass(frozen=True, slots=True)
class Work:
    """One job, or what all jobs of --stdin share. said: values by option. files: what the positional words and
    --remote_file name, in order. ignored: options that mean nothing here."""

    said: dict[str, str] = field(default_factory=dict)
    files: tuple[str | Remote, ...] = ()
    ignored: tuple[str, ...] = ()
    stdin: bool = False

    def text(self, name: str, default: str = "") -> str:
        return self.said.get(name, default)

    def number(self, name: str) -> int | None:
        return int(float(self.said[name])) if name in self.said else None


def parse_words(words: Sequence[str]) -> Work:
    """A command. Raises BadOption."""
    work = _parsed(words, None)
    if not work.text("appname"):
        raise BadOption("--appname is missing")
    return work


def parse_lines(shared: Work, lines: Iterator[str]) -> Iterator[Work]:
    """The jobs that the lines of --stdin describe: what a line does not say, the command has said. Raises BadOption,
    which names the line."""
    for number, line in enumerate(lines, start=1):
        if len(line.encode("utf-8", "replace")) > LINE_BYTES_MAX:
            raise BadOption(f"line {number} is longer than {LINE_BYTES_MAX} bytes")
        try:
            own = _parsed(shlex.split(line), _OF_A_LINE | _OF_A_LINE_TOO)
        except ValueError as wrong:
            raise BadOption(f"line {number}: {wrong}") from None
        yield replace(own, said={**shared.said, **own.said}, files=own.files or shared.files)


def _parsed(words: Sequence[str], allowed: frozenset[str] | None) -> Work:
    """allowed: the only options that are, None: all."""
    said: dict[str, str] = {}
    files: list[str | Remote] = []
    ignored: list[str] = []
    stdin = False
    rest = iter(words)
    for word in rest:
        name = word.lstrip("-")
        if not word.startswith("-") or word == "-":
            files.append(word)
            continue
        if allowed is not None and name not in allowed:
            raise BadOption(f"{word} cannot stand in a line of jobs")
        if name == "remote_file":
            files.append(_remote([_value(rest, word) for _ in range(3)]))
        elif name in TAKEN:
            said[name] = _value(rest, word)
        elif name in IGNORED:
            ignored.append(name)
            _value(rest, word)
        elif name in _FLAGS:
            ignored.append(name)
        elif name == "stdin":
            stdin = True
        else:
            raise BadOption(f"unknown option {word}")
    for name in _NUMBERS:
        _check_number(name, said.get(name, "0"))
    return Work(said, tuple(files), tuple(dict.fromkeys(ignored)), stdin)


def _value(rest: Iterator[str], option: str) -> str:
    value = next(rest, None)
    if value is None:
        raise BadOption(f"{option} wants a value")
    return value


def _check_number(name: str, text: str) -> None:
    try:
        value = float(text)
    except ValueError:
        raise BadOption(f"--{name} wants a number, not {text[:40]!r}") from None
    if not abs(value) < 1e15:
        raise BadOption(f"--{name} wants a smaller number")


def _remote(words: list[str]) -> Remote:
    url, size, md5 = words
    _check_number("remote_file", size)
    if not url.startswith(("http://", "https://")) or len(md5) != 32:
        raise BadOption("--remote_file wants an http or https url, nbytes and md5")
    return Remote(url, int(float(size)), md5.lower())
