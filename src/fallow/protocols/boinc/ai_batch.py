"""The <ai_batch> block that travels in a workunit: which chunk of which job this is. One block for each chunk.

A URI in it is for people and logs, the runner gets signed ones of its own: no name, password or query stays in it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import SplitResult, urlsplit

from fallow.protocols.boinc.xml import Element, Unreadable, escaped, parse

_RANGE: Final = re.compile(r"<chunk_range\s+start=[\"']([0-9]{1,16})[\"']\s+end=[\"']([0-9]{1,16})[\"']\s*/>")
_BLOCK: Final = re.compile(r"<ai_batch>(?:(?!</?ai_batch>).)*+</ai_batch>", re.DOTALL)
_URI_CHARS_MAX: Final = 2048
_NUMBER: Final = re.compile(r"[0-9]{1,16}\Z")


@dataclass(frozen=True, slots=True)
class ChunkBlock:
    """range_end is inclusive, as everywhere outside. label, expected_output_sha256: "" when there is none."""

    job_id: str
    input_uri: str
    output_uri: str
    image: str
    chunk_id: int
    range_start: int
    range_end: int
    worker_label: str = ""
    expected_output_sha256: str = ""


def render_blocks(chunks: Iterable[ChunkBlock]) -> str:
    """The blocks of a bundle, one after the other, indented as children of a workunit."""
    return "".join(map(_block, chunks))


def parse_blocks(text: str) -> list[ChunkBlock]:
    """Every block in a text, in order. Raises Unreadable for one that lacks something."""
    return [_parsed(each) for each in _BLOCK.findall(text)]


@lru_cache(256)  # all chunks of a job name the same two
def public_uri(uri: str) -> str:
    """Without what could open it: a name and password before the host, a query, a fragment."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return SplitResult(parts.scheme, host, parts.path, "", "").geturl()[:_URI_CHARS_MAX]


def _block(chunk: ChunkBlock) -> str:
    label = f"    <worker_label>{escaped(chunk.worker_label)}</worker_label>\n" if chunk.worker_label else ""
    expected = escaped(chunk.expected_output_sha256)
    sha256 = f"    <expected_output_sha256>{expected}</expected_output_sha256>\n" if expected else ""
    return (
        f"  <ai_batch>\n"
        f"    <job_id>{escaped(chunk.job_id)}</job_id>\n"
        f"    <input_uri>{escaped(public_uri(chunk.input_uri))}</input_uri>\n"
        f"    <output_uri>{escaped(public_uri(chunk.output_uri))}</output_uri>\n"
        f"    <container_image>{escaped(chunk.image)}</container_image>\n"
        f"    <chunk_id>{chunk.chunk_id}</chunk_id>\n"
        f'    <chunk_range start="{chunk.range_start}" end="{chunk.range_end}"/>\n'
        f"{label}{sha256}"
        f"  </ai_batch>\n"
    )


def _parsed(text: str) -> ChunkBlock:
    block = parse(text.encode("utf-8", "replace"), "ai_batch")
    extent = _RANGE.search(text)
    chunk_id = block.text_of("chunk_id")
    if extent is None or not _NUMBER.match(chunk_id):
        raise Unreadable("An <ai_batch> lacks its <chunk_id> or its <chunk_range>.")
    return ChunkBlock(
        job_id=_said(block, "job_id"),
        input_uri=_said(block, "input_uri"),
        output_uri=_said(block, "output_uri"),
        image=_said(block, "container_image"),
        chunk_id=int(chunk_id),
        range_start=int(extent[1]),
        range_end=int(extent[2]),
        worker_label=block.text_of("worker_label"),
        expected_output_sha256=block.text_of("expected_output_sha256"),
    )


def _said(block: Element, name: str) -> str:
    if block.first(name) is None:
        raise Unreadable(f"An <ai_batch> lacks its <{name}>.")
    return block.text_of(name)
