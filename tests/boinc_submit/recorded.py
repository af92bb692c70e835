"""The recorded calls of BOINC's own bindings, and the answers of BOINC's own server."""

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

FOLDER = Path(__file__).parent / "recorded"
KEY = "b44b61213c2ca84d7f21f7536fd0898b"
"""The account's authenticator on the server that was recorded."""

MASKED = frozenset({"create_time", "completion_time", "seconds", "total_cpu_time", "cpu_time", "elapsed_time"})
"""Elements that say when, or how long."""

TEMPLATE_IN = """<input_template>
    <file_info></file_info>
    <workunit>
        <file_ref><open_name>in</open_name><copy_file/></file_ref>
        <min_quorum>1</min_quorum>
        <target_nresults>1</target_nresults>
    </workunit>
</input_template>
"""
TEMPLATE_OUT = """<output_template>
    <file_info>
        <name><OUTFILE_0/></name>
        <generated_locally/><upload_when_present/>
        <max_nbytes>1000000</max_nbytes>
        <url><UPLOAD_URL/></url>
    </file_info>
    <result>
        <file_ref><file_name><OUTFILE_0/></file_name><open_name>out</open_name><copy_file/></file_ref>
    </result>
</output_template>
"""


@dataclass(frozen=True)
class Recorded:
    """One call."""

    name: str
    request: bytes
    reply: bytes


def recorded(name: str) -> Recorded:
    request = FOLDER / f"{name}.request.xml"
    return Recorded(
        name, request.read_bytes() if request.exists() else b"", (FOLDER / f"{name}.reply.xml").read_bytes()
    )


def all_requests() -> list[bytes]:
    """Every recorded request that is XML, once."""
    found = {path.read_bytes() for path in FOLDER.rglob("*.request.xml")}
    return sorted(each for each in found if each.startswith(b"<"))


def elements(reply: bytes) -> list[tuple[str, str]]:
    """(path, text) of each element in order; times, durations and the numbers of jobs and instances are masked."""
    # The one reply that BOINC's server makes ill-formed names a job outside of any element.
    well_formed = re.sub(rb"<aborted [^>]*>\n?", b"", reply)
    found: list[tuple[str, str]] = []

    def walk(node: ElementTree.Element, path: str) -> None:
        text = (node.text or "").strip()
        if node.tag in MASKED or path.endswith(("/job/id", "resultid", "stderr_out")):
            text = "*"
        if node.tag in ("canonical_instance_id", "credit_canonical") and text != "0":
            text = "*"
        found.append((path, text))
        for child in node:
            walk(child, f"{path}/{child.tag}")

    root = ElementTree.fromstring(well_formed.decode("latin-1").split("?>", 1)[1])
    walk(root, root.tag)
    return found
