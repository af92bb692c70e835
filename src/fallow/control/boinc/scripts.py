"""Scripts as BOINC's script_validator and script_assimilator run them: words in their command stand for what they get.

verifier     "boinc:/path/init files result_id runtime | /path/compare files files2 runtime runtime2"
             Either side may be "-": no such script. Exit 0: valid, or the same; 3: ask again later; other: not so.
assimilator  "boinc:/path/script files wu_id wu_name result_id runtime batch_id", once for each chunk, in order; for one
             without a good answer: /path/script --error MASK wu_name wu_id batch_id. Exit 0: taken; else the job fails.

Files are paths of temporary files: each output file of the items, by name; or the answer's lines as one file, where the
image wrote no files. The command is a list of words, and no shell reads it. Words that stand for nothing stay.
Source: BOINC sched/script_validator.cpp, sched/script_assimilator.cpp.
"""

import base64
import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

PREFIX: Final = "boinc:"
_NONE: Final = "-"
_INIT: Final = ("files", "result_id", "runtime")
_COMPARE: Final = ("files", "files2", "result_id", "result_id2", "runtime", "runtime2")
_FILES_MAX: Final = 1000
Run = Callable[[list[str]], int]  # the exit code of a command


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to be looked at. result_id: of its attempt. runtime: in seconds."""

    artifact: Path
    result_id: int = 0
    runtime: float = 0.0


@dataclass(frozen=True, slots=True)
class Workunit:
    """A chunk that is over. error_mask: 0 with a good answer."""

    wu_id: int
    wu_name: str
    batch_id: int
    error_mask: int = 0


def commands(name: str) -> list[list[str]]:
    """The commands of a plug-in's name, [] for "-": two of a verifier, one of an assimilator. Raises ValueError."""
    sides = [shlex.split(side) for side in name.removeprefix(PREFIX).split("|")]
    if len(sides) > 2 or not all(sides):
        raise ValueError("it has too many parts, or an empty one")
    return [[] if side == [_NONE] else side for side in sides]


def validity(name: str, answer: Answered, run: Run) -> int | None:
    """The exit code of the init script; None: there is none."""
    command = commands(name)[0]
    if not command:
        return None
    with _files_of(answer.artifact) as files:
        return run(_filled(command, _INIT, _said(files, answer)))


def sameness(name: str, first: Answered, second: Answered, run: Run) -> int | None:
    """The exit code of the compare script; None: there is none."""
    both = commands(name)
    if len(both) < 2 or not both[1]:
        return None
    with _files_of(first.artifact) as files, _files_of(second.artifact) as files2:
        said = _said(files, first) | {f"{word}2": text for word, text in _said(files2, second).items()}
        return run(_filled(both[1], _COMPARE, said))


def assimilate(name: str, workunit: Workunit, answer: Answered | None, run: Run) -> int:
    """The exit code of the script. answer: None for a chunk without a good one."""
    command = commands(name)[0]
    numbers = {
        "wu_id": [str(workunit.wu_id)],
        "wu_name": [workunit.wu_name],
        "batch_id": [str(workunit.batch_id)],
    }
    if answer is None:
        mask = str(workunit.error_mask)
        return run([command[0], "--error", mask, workunit.wu_name, str(workunit.wu_id), str(workunit.batch_id)])
    with _files_of(answer.artifact) as files:
        said = {**_said(files, answer), "files2": [], **numbers}
        return run(_filled(command, tuple(said), said))


def _said(files: Sequence[str], answer: Answered) -> dict[str, Sequence[str]]:
    return {"files": files, "result_id": [str(answer.result_id)], "runtime": [f"{answer.runtime:f}"]}


def _filled(command: Sequence[str], words: Sequence[str], said: Mapping[str, Sequence[str]]) -> list[str]:
    """The program, and each word behind it, or what it stands for."""
    filled = [command[0]]
    for word in command[1:]:
        filled.extend(said[word] if word in words else [word])
    return filled


@contextmanager
def _files_of(artifact: Path) -> Iterator[list[str]]:
    """Paths of the output files in an answer; they are gone afterwards."""
    with TemporaryDirectory(prefix="fallow-files-") as folder:
        found: list[str] = []
        with artifact.open("rb") as lines:
            for number, line in enumerate(lines):
                for name, content in _written(line):
                    if len(found) == _FILES_MAX:
                        break
                    path = Path(folder) / f"{number}-{len(found)}-{PurePosixPath(name).name}"
                    path.write_bytes(content)
                    found.append(str(path))
        yield found or [str(artifact)]


def _written(line: bytes) -> Iterator[tuple[str, bytes]]:
    answer = json.loads(line) if line.strip() else None
    files = answer.get("files") if isinstance(answer, dict) else None
    for each in files if isinstance(files, list) else ():
        if isinstance(each, dict) and isinstance(each.get("path"), str) and isinstance(each.get("base64"), str):
            yield each["path"], base64.b64decode(each["base64"])
