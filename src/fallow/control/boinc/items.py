"""A submitted BOINC batch as an input: one line for each job, with its files. See control/bundles.py for the lines."""

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from fallow.control.boinc.apps import App, Apps
from fallow.control.boinc.job_files import JobFiles
from fallow.control.bundles import LINES_FILE, OPEN_NAME
from fallow.control.callers import Caller
from fallow.control.places import OWN
from fallow.core.boinc_batches import InputFile, InputTemplate, OutputTemplate, SubmittedBatch, SubmittedJob
from fallow.core.refusals import Code, Refusal
from fallow.store.port import JobFileRow

_NAMES_AT_ONCE: Final = 1000
_NAME_MAX: Final = 200
_TEXT_CHARS_MAX: Final = 16 * 1024  # longer ones are objects of their own
_STAGED: Final = "local_staged"
_WEB: Final = ("http://", "https://")
_ON_SERVER: Final = ("local", "semilocal", "sandbox")


@dataclass(frozen=True, slots=True)
class Items:
    """names, outputs: of each job, in order. options: what the templates and the batch say of all jobs."""

    names: tuple[str, ...]
    outputs: tuple[tuple[str, ...], ...]
    lines: tuple[bytes, ...]
    options: Mapping[str, float]


class Itemizer:
    """Makes items of one batch."""

    def __init__(self, caller: Caller, app: App, apps: Apps, files: JobFiles, batch: SubmittedBatch) -> None:
        self._caller = caller
        self._app = app
        self._apps = apps
        self._files = files
        self._batch = batch
        self._inputs: dict[str, InputTemplate] = {}
        self._owner = caller.account_id  # of the template that is kept under a name
        self._outputs: dict[str, OutputTemplate] = {}
        self._staged: dict[tuple[str, str], JobFileRow] = {}
        self._inline: dict[str, JobFileRow] = {}

    def check(self) -> None:
        """Everything but whether the files are there. Raises Refusal."""
        for job in self._batch.jobs:
            self._check(job, self._input_of(job))
            self._output_of(job)
        named = Counter(job.name for job in self._batch.jobs if job.name)
        twice = next((name for name, count in named.items() if count > 1), None)
        if twice is not None:
            raise Refusal(Code.BAD_REQUEST, f"create_work failed: job name {twice} is taken")

    def items(self) -> Items:
        """All of it. Raises Refusal."""
        self.check()
        self._look_up()
        token = secrets.token_hex(4)
        jobs = self._batch.jobs
        names = tuple(job.name or f"{self._app.name}_{token}_{number}" for number, job in enumerate(jobs))
        lines = tuple(self._line(job, name) for job, name in zip(jobs, names, strict=True))
        options: dict[str, float] = {}
        for job in jobs[:1]:
            options.update(self._input_of(job).options)
        options.update(self._batch.options)
        return Items(names, tuple(self._output_of(job).names for job in jobs), lines, options)

    def _check(self, job: SubmittedJob, template: InputTemplate) -> None:
        if job.targeted:
            raise Refusal(Code.BAD_REQUEST, "jobs cannot be kept to a host, user or team here")
        if len(job.files) != template.given:
            raise Refusal(
                Code.BAD_REQUEST,
                f"wrong number of input files for job {job.name}: need {template.given}, got {len(job.files)}",
            )
        for name in (each.open_name for each in template.files):
            if not OPEN_NAME.match(name) or name == LINES_FILE:
                raise Refusal(Code.BAD_REQUEST, f"the open name {name[:80]!r} of the input template cannot be used")
        if not all(url.startswith(_WEB) for each in template.files for url in each.urls):
            raise Refusal(Code.BAD_REQUEST, "the urls of an input template must be http or https")
        for file in job.files:
            _check_file(file)

    def _input_of(self, job: SubmittedJob) -> InputTemplate:
        key = job.input_template
        if key not in self._inputs:
            if key:
                self._inputs[key] = self._apps.parsed_input(key, "of a job")
            else:
                named = self._batch.input_template
                self._inputs[key], self._owner = self._apps.input_template(self._caller, self._app, named)
        return self._inputs[key]

    def _output_of(self, job: SubmittedJob) -> OutputTemplate:
        key = job.output_template
        if key not in self._outputs:
            if key:
                self._outputs[key] = self._apps.parsed_output(key, "of a job")
            else:
                named = self._batch.output_template
                self._outputs[key] = self._apps.output_template(self._caller, self._app, named)
        return self._outputs[key]

    def _look_up(self) -> None:
        """All staged files at once. Jobs name the submitter's; a template names files of whose it is itself."""
        mine = self._caller.account_id
        named = {(mine, file.source.strip()) for job in self._batch.jobs for file in job.files if file.mode == _STAGED}
        for key, template in self._inputs.items():
            owner = mine if key else self._owner
            named |= {(owner, each.physical_name) for each in template.files if each.physical_name}
        for account_id in {account_id for account_id, _ in named}:
            ordered = sorted(name for owner, name in named if owner == account_id and len(name) <= _NAME_MAX)
            for start in range(0, len(ordered), _NAMES_AT_ONCE):
                found = self._files.found(account_id, ordered[start : start + _NAMES_AT_ONCE])
                self._staged.update({(account_id, name): row for name, row in found.items()})

    def _line(self, job: SubmittedJob, name: str) -> bytes:
        template = self._input_of(job)
        given = iter(job.files)
        owner = self._caller.account_id if job.input_template else self._owner
        files = []
        for each in template.files:
            if each.physical_name and ((owner, each.physical_name) in self._staged or not each.urls):
                place = self._staged_file(owner, each.physical_name)
            elif each.physical_name:
                place = {"uri": each.urls[0], "md5": each.md5, "size_bytes": each.size_bytes}
            else:
                place = self._place(next(given))
            files.append({"open_name": each.open_name, **place})
        return msgspec.json.encode(
            {
                "name": name,
                "command_line": job.command_line or template.command_line,
                "files": files,
                "outputs": self._output_of(job).names,
            }
        )

    def _place(self, file: InputFile) -> dict[str, object]:
        if file.mode == "remote":
            return {"uri": file.url, "md5": file.md5, "size_bytes": file.size_bytes}
        if file.mode == "inline":
            if len(file.source) <= _TEXT_CHARS_MAX:
                return {"text": file.source}
            if file.source not in self._inline:
                self._inline[file.source] = self._files.keep(file.source.encode())
            return _kept(self._inline[file.source])
        return self._staged_file(self._caller.account_id, file.source.strip())

    def _staged_file(self, account_id: str, name: str) -> dict[str, object]:
        row = self._staged.get((account_id, name))
        if row is None:
            raise Refusal(Code.INPUT_MISSING, f"create_work failed: there is no staged file {name[:200]}")
        return _kept(row)


def _kept(row: JobFileRow) -> dict[str, object]:
    return {"uri": f"{OWN}{row.artifact_key}", "sha256": row.sha256, "size_bytes": row.size_bytes}


def _check_file(file: InputFile) -> None:
    if file.mode in _ON_SERVER:
        raise Refusal(
            Code.INPUT_NOT_ALLOWED,
            f"input files of mode {file.mode} are not taken: submitters cannot read this server's disk; "
            "upload them with job_file.php and use local_staged, or use inline or remote",
        )
    if file.mode not in (_STAGED, "inline", "remote"):
        raise Refusal(Code.BAD_REQUEST, f"unknown mode of input file: {file.mode[:40]!r}")
    if file.mode == "remote" and not (
        file.url.startswith(_WEB) and file.size_bytes is not None and len(file.md5) == 32
    ):
        raise Refusal(Code.BAD_REQUEST, "a remote input file needs an http or https url, nbytes and md5")


def blocks(lines: tuple[bytes, ...]) -> Iterator[bytes]:
    """The input's bytes, in pieces that are worth a write."""
    for start in range(0, len(lines), _NAMES_AT_ONCE):
        yield b"\n".join(lines[start : start + _NAMES_AT_ONCE]) + b"\n"
