"""BOINC's submit calls, inwards: the XML in the form field `request` becomes values.

Source: BOINC html/user/submit_rpc_handler.php, lib/boinc_submit.py.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fallow.core.boinc_batches import InputFile, SubmittedBatch, SubmittedJob
from fallow.protocols.boinc.submit_xml import BadXml, Node, as_number, parse
from fallow.protocols.boinc.templates import options

JOBS_MAX: Final = 100_000
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z")
_INTEGER: Final = re.compile(r"[+-]?\d{1,15}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
BAD_XML: Final = -112  # Source: BOINC lib/error_numbers.h, ERR_XML_PARSE


@dataclass(frozen=True, slots=True)
class Call:
    """One call. node: all that it says."""

    op: str
    authenticator: str
    node: Node

    def integer(self, name: str) -> int:
        """As PHP's (int) reads it: the digits that a text begins with."""
        found = _INTEGER.match(self.node.word(name))
        return int(found.group()) if found else 0

    def number(self, name: str) -> float:
        return self.node.number(name)

    def word(self, name: str) -> str:
        return self.node.word(name)

    def words(self, name: str) -> list[str]:
        return [each.text.strip() for each in self.node.all(name)]


def call_of(text: str, check: Callable[[Call], object] | None = None) -> Call:
    """Raises BadXml. check: is shown the beginning of a large call, and raises if the rest shall not be read."""
    return _call(parse(text, None if check is None else lambda root: check(_call(root))))


def _call(root: Node) -> Call:
    if not _NAME.match(root.name):
        raise BadXml("its root is no name of a call")
    return Call(root.name, root.word("authenticator"), root)


def batch_of(call: Call) -> SubmittedBatch:
    """Raises BadXml."""
    batch = call.node.first("batch")
    if batch is None:
        raise BadXml("there is no batch")
    params = batch.first("job_params")
    said = options(params) if params else {}
    jobs = tuple(_job(each) for each in batch.all("job"))
    if len(jobs) > JOBS_MAX:
        raise BadXml(f"a batch has at most {JOBS_MAX} jobs")
    return SubmittedBatch(
        app_name=batch.word("app_name"),
        batch_id=int(batch.number("batch_id")),
        batch_name=batch.word("batch_name"),
        priority=_priority(batch),
        input_template=batch.word("input_template_filename") or batch.word("workunit_template_file"),
        output_template=batch.word("output_template_filename") or batch.word("result_template_file"),
        expire_at=batch.number("expire_time"),
        options=said,
        jobs=jobs,
    )


def _job(node: Node) -> SubmittedJob:
    name = node.word("name")
    if _CONTROL.search(name) or len(name) > 200:
        raise BadXml("a job's name has control characters, or is too long")
    literal_in, literal_out = node.first("input_template"), node.first("output_template")
    return SubmittedJob(
        name=name,
        command_line=node.word("command_line"),
        flops=node.number("rsc_fpops_est"),
        priority=_priority(node),
        input_template=literal_in.xml() if literal_in else "",
        output_template=literal_out.xml() if literal_out else "",
        files=tuple(_file(each) for each in node.all("input_file")),
        targeted=any(node.has(each) for each in ("target_team", "target_user", "target_host")),
    )


def _priority(node: Node) -> int | None:
    word = node.word("priority")
    return int(as_number(word, "priority")) if word else None


def _file(node: Node) -> InputFile:
    source, size = node.first("source"), node.word("nbytes")
    return InputFile(
        mode=node.word("mode"),
        source=source.text if source else "",
        url=node.word("url"),
        size_bytes=int(as_number(size, "nbytes")) if size else None,
        md5=node.word("md5").lower(),
    )
