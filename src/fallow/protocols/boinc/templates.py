"""BOINC's job templates: which files a job has, by which names the program opens them, and how jobs are run.

Source: BOINC tools/process_input_template.cpp and process_result_template.cpp.
"""

import re
from typing import Final

from fallow.core.boinc_batches import InputTemplate, OutputTemplate, TemplateFile
from fallow.protocols.boinc.submit_xml import BadXml, Node, as_number, parse

NUMBERS: Final = (
    "rsc_fpops_est",
    "rsc_fpops_bound",
    "rsc_memory_bound",
    "rsc_disk_bound",
    "delay_bound",
    "min_quorum",
    "target_nresults",
    "max_error_results",
    "max_total_results",
    "max_success_results",
    "priority",
)
"""What a template, or a batch's job_params, may say of its jobs as a number."""

_NUMBERED: Final = re.compile(r"<number>[^<]*</number>")
_ROOTS: Final = ("input_template", "output_template")


def input_template(text: str) -> InputTemplate:
    """Raises BadXml. A job's files are, in order, those that the template does not name itself."""
    root = _root(text, "input_template")
    infos = list(root.all("file_info"))
    workunit = root.first("workunit") or Node("workunit")
    refs = [ref.word("open_name") for ref in workunit.all("file_ref")]
    if len(refs) != len(infos):
        raise BadXml(f"the template has {len(infos)} file_info and {len(refs)} file_ref")
    return InputTemplate(
        tuple(_file(info, name) for info, name in zip(infos, refs, strict=True)),
        workunit.word("command_line"),
        options(workunit),
    )


def output_template(text: str) -> OutputTemplate:
    """Raises BadXml."""
    root = _root(text, "output_template")
    result = root.first("result") or Node("result")
    names = tuple(ref.word("open_name") for ref in result.all("file_ref"))
    if not names or not all(names):
        raise BadXml("the template names no output file")
    return OutputTemplate(names)


def options(node: Node) -> dict[str, float]:
    """The numbers of NUMBERS that are there. Raises BadXml."""
    return {name: as_number(node.word(name), name) for name in NUMBERS if node.word(name)}


def _file(info: Node, open_name: str) -> TemplateFile:
    size = info.word("nbytes")
    return TemplateFile(
        open_name,
        info.word("physical_name"),
        tuple(url.text.strip() for url in info.all("url")),
        info.word("md5_cksum"),
        int(as_number(size, "nbytes")) if size else None,
    )


def _root(text: str, name: str) -> Node:
    """Older templates have no root of their own, and number their files."""
    node = parse(f"<templates>{_NUMBERED.sub('', _undeclared(text))}</templates>")
    return node.first(name) or node


def _undeclared(text: str) -> str:
    return re.sub(r"\A\s*<\?xml[^>]*\?>", "", text)
