"""BOINC's create_work for this server: jobs with files of their own become one job here, an item each."""

import json
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fallow.core.boinc_batches import InputTemplate
from fallow.core.refusals import Code, Refusal
from fallow.protocols.boinc.create_work import BadOption, Remote, Work, parse_lines, parse_words
from fallow.protocols.boinc.submit_xml import BadXml
from fallow.protocols.boinc.templates import input_template, output_template
from fallow.sdk.client import Client

_LEASE_SECONDS: Final = (60, 30 * 86400)


@dataclass(frozen=True, slots=True)
class Created:
    """ignored: options that mean nothing here."""

    job_id: str
    items: int
    ignored: tuple[str, ...]


def create_work(client: Client, words: Sequence[str], lines: Iterable[str]) -> Created:
    """Makes the jobs that a command of BOINC's create_work asks for. lines: of the standard input, for --stdin.

    Raises Refusal BAD_REQUEST, INPUT_MISSING and those of the server.
    """
    try:
        shared = parse_words(words)
        works = list(parse_lines(shared, iter(lines))) if shared.stdin else [shared]
    except BadOption as wrong:
        raise Refusal(Code.BAD_REQUEST, f"{wrong}.", "See fallow boinc create-work --help.") from None
    if not works:
        raise Refusal(Code.BAD_REQUEST, "There is no job on the standard input.", "Write one on each line.")
    ignored = tuple(dict.fromkeys(name for work in (shared, *works) for name in work.ignored))
    with tempfile.TemporaryDirectory(prefix="fallow-work-") as folder:
        path = Path(folder) / "items.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for item in _Itemizer(client).items(works):
                file.write(json.dumps(item, ensure_ascii=False) + "\n")
        sent = client.upload(path)
    priority = max((number for work in works if (number := work.number("priority")) is not None), default=None)
    job = client.submit(
        model=shared.text("appname"),
        input_uri=sent.uri,
        input_format="bundles",
        **({} if priority is None else {"priority": priority}),
        **_fields(shared),
    )
    return Created(job.job_id, len(works), ignored)


def _fields(work: Work) -> dict[str, Any]:
    """What the command says of how jobs are run, as a job request says it."""
    retry: dict[str, int] = {}
    if (errors := work.number("max_error_results")) is not None:
        retry["max_errors"] = max(1, errors + 1)
    if (total := work.number("max_total_results")) is not None:
        retry["max_attempts"] = max(1, total)
    if (lease := work.number("delay_bound")) is not None:
        shortest, longest = _LEASE_SECONDS
        retry["lease_seconds"] = max(shortest, min(lease, longest))
    fields: dict[str, Any] = {"retry": {**retry, "error_threshold": 1.0}}
    quorum = work.number("min_quorum")
    if quorum is not None and quorum > 1:
        fields["verify"] = f"quorum:{quorum}"
    return fields


class _Itemizer:
    """Sends each file once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._sent: dict[str, str] = {}
        self._inputs: dict[str, InputTemplate] = {}
        self._outputs: dict[str, tuple[str, ...]] = {}
        self._token = secrets.token_hex(4)

    def items(self, works: Sequence[Work]) -> Iterator[dict[str, Any]]:
        for number, work in enumerate(works):
            template = self._input(work)
            if len(work.files) != template.given:
                message = f"A job has {len(work.files)} input files, and its template {template.given}."
                raise Refusal(Code.BAD_REQUEST, message, "Name as many files as the template.")
            given = iter(work.files)
            yield {
                "name": work.text("wu_name") or f"{work.text('appname')}_{self._token}_{number}",
                "command_line": work.text("command_line") or template.command_line,
                "files": [
                    {"open_name": each.open_name, **self._place(each.physical_name or next(given))}
                    for each in template.files
                ],
                "outputs": list(self._output(work)),
            }

    def _place(self, file: str | Remote) -> dict[str, Any]:
        if isinstance(file, Remote):
            return {"uri": file.url, "size_bytes": file.size_bytes, "md5": file.md5}
        if file not in self._sent:
            self._sent[file] = self._client.upload(file).uri
        return {"uri": self._sent[file]}

    def _input(self, work: Work) -> InputTemplate:
        path = work.text("wu_template", f"templates/{work.text('appname')}_in")
        if path not in self._inputs:
            try:
                self._inputs[path] = input_template(_read(path))
            except BadXml as wrong:
                raise _bad_template(path, wrong) from None
        return self._inputs[path]

    def _output(self, work: Work) -> tuple[str, ...]:
        path = work.text("result_template", f"templates/{work.text('appname')}_out")
        if path not in self._outputs:
            try:
                self._outputs[path] = output_template(_read(path)).names
            except BadXml as wrong:
                raise _bad_template(path, wrong) from None
        return self._outputs[path]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise Refusal(
            Code.INPUT_MISSING,
            f"The template {path} cannot be read.",
            "Name it with --wu_template or --result_template, or stand in the folder that templates/ is in.",
        ) from None


def _bad_template(path: str, wrong: BadXml) -> Refusal:
    return Refusal(Code.INPUT_FORMAT, f"{path} is no template: {wrong}.", "See docs/boinc-submit.md.")
