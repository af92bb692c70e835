"""The files contract: the image reads /in and writes /out, in any format, and ends with exit code 0.

/in/items.jsonl holds the chunk's items, one JSON line each; for an input of objects, /in/NAME is each object as it is,
and /in/items.jsonl holds their names. For an input of bundles, /in/NAME is each file that comes with the item, and the
variable ARGS is its command line. AI_INPUT_URI and AI_OUTPUT_URI name both places.

Answers: /out/output.jsonl with one JSON line per item, in order. Without it every other file in /out is an answer. It
belongs to the item whose name (an object's file name, also without its ending) or number within the job its own name
begins with; in a chunk of one item every file is that item's. The item's answer is then
{"files":[{"path","sha256","size_bytes","base64"}]}.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from fallow.core.words import InputFormat
from fallow.worker.answers import error_line, is_error_answer, parse_json
from fallow.worker.contracts.contract import Work
from fallow.worker.contracts.once import inner, only_item, run_once, size_of, too_much
from fallow.worker.contracts.stream import add_refused
from fallow.worker.engines.engine import Mount, Network
from fallow.worker.faults import Fault, bytes_said, of_limits, submitters

ANSWERS = "output.jsonl"
SEPARATORS = ".-_/"


class FilesContract:
    """One container per chunk."""

    def run(self, work: Work) -> Fault | None:
        add_refused(work)
        if work.answers.count == work.staged.count:
            return None
        source, out = _directories(work)
        env = work.assignment.environment(
            "file://" + inner(work, source, "/in") + ("" if work.staged.objects_dir else "/items.jsonl"),
            "file://" + inner(work, out, "/out"),
        )
        if work.staged.args is not None:
            env["ARGS"] = work.staged.args
        network = Network.OUTBOUND if work.assignment.outbound else Network.NONE
        mounts = (Mount(source, "/in"), Mount(out, "/out", True))
        if fault := run_once(work, env, mounts, network, out):
            return fault
        if size_of(out) > work.assignment.limits.output_bytes:
            return too_much(work)
        if _is_file(out / ANSWERS):
            return take_lines(work, out / ANSWERS)
        return _take_files(work, out)


def take_lines(work: Work, path: Path) -> Fault | None:
    """One JSON line per item that the image saw, in order."""
    limits = work.assignment.limits
    answered = 0
    with path.open("rb") as file:
        while line := file.readline(limits.item_output_bytes + 2):
            line = line.strip()
            item = work.assignment.item_start + work.answers.count
            if not line:
                continue
            if answered == work.staged.sent:
                return submitters_without_answers("too_many_lines", "The program wrote more lines than it got items.")
            if len(line) > limits.item_output_bytes:
                said = bytes_said(limits.item_output_bytes)
                return of_limits(
                    "output_too_large", f"The answer is longer than the limit of {said} for one item.", item
                )
            try:
                parse_json(line)
            except ValueError:
                return submitters("not_json", "The program wrote a line that is not JSON.", item)
            work.answers.add(line, is_error_answer(line))
            answered += 1
            add_refused(work)
    if answered < work.staged.sent:
        item = work.assignment.item_start + work.answers.count
        return submitters("too_few_lines", "The program ended before it answered every item.", item)
    return None


def submitters_without_answers(code: str, message: str) -> Fault:
    """A fault of the whole output: no line of it can be trusted to belong to its item."""
    return replace(submitters(code, message), keeps_answers=False)


def _directories(work: Work) -> tuple[Path, Path]:
    """(/in, /out), readable and writable by whatever user the image has."""
    source = work.staged.objects_dir or work.staged.bundle_dir or work.directory / "in"
    source.mkdir(exist_ok=True)
    if work.staged.objects_dir is None:
        os.rename(work.staged.items, source / "items.jsonl")
    else:
        names = (json.dumps({"name": name}, ensure_ascii=False) for name in work.staged.names)
        (source / "items.jsonl").write_text("".join(line + "\n" for line in names))
    out = work.directory / "out"
    out.mkdir()
    out.chmod(0o777)
    source.chmod(0o755)
    for path in source.iterdir():
        path.chmod(0o644)
    return source, out


def _take_files(work: Work, out: Path) -> Fault | None:
    """Each file to its item."""
    owners = [_names_of(work, position) for position in range(work.staged.count)]
    mine: list[list[Path]] = [[] for _ in owners]
    for path in _files(out):
        owner = _owner(path.relative_to(out).as_posix(), owners)
        if owner is None:
            sentence = "The program wrote a file whose name begins with no item's name or number."
            return submitters_without_answers("unmatched_output", sentence)
        mine[owner].append(path)
    for position, paths in enumerate(mine):
        if position in work.staged.refused:
            continue
        answer = _answer(work, out, paths)
        if isinstance(answer, Fault):
            return answer
        work.answers.add(answer, is_error_answer(answer))
        add_refused(work)
    return None


def _answer(work: Work, out: Path, paths: list[Path]) -> bytes | Fault:
    most = work.assignment.limits.item_output_bytes
    if not paths:
        return error_line("no_output", "The program wrote no file for the item.")
    if sum(path.stat().st_size for path in paths) > most:
        sentence = f"The files are larger than the limit of {bytes_said(most)} for one item."
        return of_limits("output_too_large", sentence, only_item(work))
    files = []
    for path in paths:
        data = path.read_bytes()
        files.append(
            {
                "path": path.relative_to(out).as_posix(),
                "sha256": hashlib.sha256(data).hexdigest(),
                "size_bytes": len(data),
                "base64": base64.b64encode(data).decode(),
            }
        )
    return json.dumps({"files": files}, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _names_of(work: Work, position: int) -> tuple[str, ...]:
    number = str(work.assignment.item_start + position)
    if work.assignment.input.format is not InputFormat.OBJECTS:
        return (number,)
    name = work.staged.names[position]
    return (name, name.rpartition(".")[0] or name, number)


def _owner(name: str, owners: list[tuple[str, ...]]) -> int | None:
    """The item whose name this file's begins with, whole up to a separator; the longest name wins."""
    if len(owners) == 1:
        return 0
    matches = [
        (len(own), position)
        for position, names in enumerate(owners)
        for own in names
        if name == own or (name.startswith(own) and name[len(own)] in SEPARATORS)
    ]
    return max(matches)[1] if matches else None


def _files(out: Path) -> Iterator[Path]:
    """Every regular file, sorted; a link in /out could point anywhere on this machine, so links are not followed."""
    for root, directories, names in os.walk(out):
        directories.sort()
        for name in sorted(names):
            path = Path(root, name)
            if _is_file(path):
                yield path


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
