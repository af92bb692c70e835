"""Project-specific parts: a planner, a verifier, an assimilator of the submitter's field.

A plug-in is a Python entry point ("name", in the groups fallow.planners, fallow.verifiers, fallow.assimilators) or an
executable ("exec:/path/to/program args"), which the operator must have allowed. What each is given, and gives back:

planner      entry point: f(uri, stream) -> iterable of JSON-able items, where stream() gives the input's bytes
             executable:  program URI, the input on stdin; one JSON item per line on stdout
verifier     entry point: f(artifact: Path) -> bool, and optionally f.same(a: Path, b: Path) -> bool for quorums
             executable:  program init FILE, and program compare FILE1 FILE2 for quorums
             exit 0: valid / the same; 3: cannot tell now, ask again later; any other: invalid / different
assimilator  entry point: f(job_id, output_uri, manifest: dict) -> None, after the outputs are in place
             executable:  program JOB_ID OUTPUT_URI, the manifest on stdin

A verifier or an assimilator may also be "boinc:...", a script with BOINC's own words: control/boinc/scripts.py.

The exit codes are those of BOINC's sched/script_validator.cpp.
"""

import json
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from fallow.control.boinc import scripts
from fallow.control.boinc.scripts import Answered, Workunit
from fallow.core.job import Plugins
from fallow.core.refusals import Code, Refusal

_EXEC = "exec:"
_TRANSIENT = 3
_SECONDS_MAX = 3600
Stream = Callable[[], Iterator[bytes]]


class NotNow(Exception):
    """The plug-in cannot tell now; ask again later."""


class Plugs:
    """Finds plug-ins by name. extra: (group, name) -> object, beside the installed entry points, for embedders."""

    def __init__(self, *, allow_exec: bool, extra: Mapping[tuple[str, str], Any] | None = None) -> None:
        self._allow_exec = allow_exec
        self._extra = dict(extra or {})

    def check(self, plugins: Plugins) -> None:
        """Raises Refusal PLUGIN_UNKNOWN for a name that is not there or not allowed."""
        for kind in ("planner", "verifier", "assimilator"):
            name = getattr(plugins, kind)
            if name.startswith(scripts.PREFIX):
                self._check_scripts(kind, name)
            elif name:
                self._find(f"fallow.{kind}s", name)

    def items(self, name: str, uri: str, stream: Stream) -> Iterator[bytes]:
        """The planner's items, as JSON lines."""
        part = self._find("fallow.planners", name)
        with _blaming(Code.INPUT_FORMAT, f"The planner {name!r}"):
            if isinstance(part, list):
                yield from _piped([*part, uri], stream)
                return
            for item in part(uri, stream):
                yield json.dumps(item, ensure_ascii=False, allow_nan=False).encode() + b"\n"

    def is_valid(self, name: str, answer: Answered) -> bool:
        """The verifier's word on one answer. Raises NotNow."""
        if name.startswith(scripts.PREFIX):
            return _verdict(scripts.validity(name, answer, _code)) is not False
        artifact = answer.artifact
        part = self._find("fallow.verifiers", name)
        return _asked([*part, "init", str(artifact)]) if isinstance(part, list) else bool(part(artifact))

    def are_same(self, name: str, one: Answered, other: Answered) -> bool | None:
        """The verifier's word on two answers; None: it has none, compare as the job's policy says. Raises NotNow."""
        if name.startswith(scripts.PREFIX):
            return _verdict(scripts.sameness(name, one, other, _code))
        first, second = one.artifact, other.artifact
        part = self._find("fallow.verifiers", name)
        if isinstance(part, list):
            return _asked([*part, "compare", str(first), str(second)])
        return bool(part.same(first, second)) if hasattr(part, "same") else None

    def assimilate(self, name: str, job_id: str, output_uri: str, manifest: dict[str, Any]) -> None:
        """Hands a finished job to the project. Raises Refusal OUTPUT_UNWRITABLE when the plug-in fails."""
        part = self._find("fallow.assimilators", name)
        with _blaming(Code.OUTPUT_UNWRITABLE, f"The assimilator {name!r}"):
            if not isinstance(part, list):
                part(job_id, output_uri, manifest)
                return
            ran = _run([*part, job_id, output_uri], json.dumps(manifest).encode())
        if ran.returncode != 0:
            raise Refusal(
                Code.OUTPUT_UNWRITABLE,
                f"The assimilator {name!r} ended with exit code {ran.returncode}.",
                ran.stderr[-500:].decode(errors="replace"),
            )

    def assimilate_one(self, name: str, workunit: Workunit, answer: Answered | None) -> None:
        """Hands one chunk to a script with BOINC's words. answer: None, it has no good one. Raises Refusal
        OUTPUT_UNWRITABLE when the script fails."""
        with _blaming(Code.OUTPUT_UNWRITABLE, f"The assimilator {name!r}"):
            code = scripts.assimilate(name, workunit, answer, _code)
        if code != 0:
            message = f"The assimilator {name!r} ended with exit code {code} for {workunit.wu_name}."
            raise Refusal(Code.OUTPUT_UNWRITABLE, message, "Run it by hand.")

    def _check_scripts(self, kind: str, name: str) -> None:
        try:
            commands = scripts.commands(name)
        except ValueError as wrong:
            raise Refusal(Code.PLUGIN_UNKNOWN, f"{name[:200]!r} names no scripts: {wrong}.", "See the docs.") from None
        if kind == "planner" or (kind == "assimilator" and (len(commands) != 1 or not commands[0])):
            raise Refusal(Code.PLUGIN_UNKNOWN, f"{name[:200]!r} cannot be the {kind}.", "See the docs.")
        for command in commands:
            if command:
                self._executable(f"{_EXEC}{shlex.join(command)}")

    def _find(self, group: str, name: str) -> Any:
        """An argument list for an executable, else the loaded object."""
        if name.startswith(_EXEC):
            return self._executable(name)
        if (group, name) in self._extra:
            return self._extra[group, name]
        for found in entry_points(group=group, name=name):
            return found.load()
        known = sorted({each.name for each in entry_points(group=group)} | {n for g, n in self._extra if g == group})
        raise Refusal(
            Code.PLUGIN_UNKNOWN,
            f"There is no plug-in {name!r} in {group}.",
            f"Installed: {', '.join(known) or 'none'}.",
        )

    def _executable(self, name: str) -> list[str]:
        if not self._allow_exec:
            raise Refusal(
                Code.PLUGIN_UNKNOWN,
                "This server does not run executables as plug-ins.",
                "Start it with allow_exec_plugins, if you trust every submitter.",
            )
        words = shlex.split(name.removeprefix(_EXEC))
        if not words or not Path(words[0]).is_absolute() or not Path(words[0]).is_file():
            raise Refusal(Code.PLUGIN_UNKNOWN, f"{name!r} names no program.", "Give its absolute path.")
        return words


@contextmanager
def _blaming(code: Code, who: str) -> Iterator[None]:
    """A plug-in may raise anything. It fails its own job, with the reason, and never the role that called it."""
    try:
        yield
    except Refusal:
        raise
    except Exception as wrong:
        raise Refusal(code, f"{who} failed: {type(wrong).__name__}: {wrong}.", "Run it by hand.") from wrong


def _asked(words: list[str]) -> bool:
    code = _run(words, b"").returncode
    if code == _TRANSIENT:
        raise NotNow(words[0])
    return code == 0


def _code(words: list[str]) -> int:
    return _run(words, b"").returncode


def _verdict(code: int | None) -> bool | None:
    if code == _TRANSIENT:
        raise NotNow("the script says so")
    return None if code is None else code == 0


def _run(words: list[str], given: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(words, input=given, capture_output=True, timeout=_SECONDS_MAX, check=False)
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise NotNow(f"{words[0]}: {failed}") from failed


def _piped(words: list[str], stream: Stream) -> Iterator[bytes]:
    """The program's stdout, line by line, while the input goes to its stdin from a file on disk."""
    with tempfile.TemporaryFile() as spool:
        for block in stream():
            spool.write(block)
        spool.seek(0)
        with subprocess.Popen(words, stdin=spool, stdout=subprocess.PIPE) as program:
            assert program.stdout is not None
            yield from program.stdout
        if program.returncode != 0:
            raise Refusal(
                Code.INPUT_FORMAT,
                f"The planner {words[0]} ended with exit code {program.returncode}.",
                "Run it by hand.",
            )
