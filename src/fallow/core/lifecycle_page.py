"""Draws docs/lifecycle.md from the transition tables: `python -m fallow.core.lifecycle > docs/lifecycle.md`.

The reasons are the comments beside the rows, so that each is written once, where somebody would undo the row.
"""

import inspect
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from fallow.core import lifecycle, words
from fallow.core.job import RetryPolicy
from fallow.core.transition import FAULTS_COUNTED, FAULTS_SPLITTING
from fallow.core.words import FailureClass

Table = Mapping[tuple[Any, Any], Any]

_ROW: Final = re.compile(r"^ {4}\((None|\w\.\w+), (\w+)\.(\w+)\): \w\.\w+,(?:  # (.*))?$", re.MULTILINE)
_CLASS: Final = re.compile(r'^ {4}(\w+) = "\w+"  # (.*)$', re.MULTILINE)

_HEAD: Final = """\
# The law of states

*Drawn from `src/fallow/core/lifecycle.py` by `python -m fallow.core.lifecycle > docs/lifecycle.md`. Do not edit: a test
fails when this page and the tables differ.*

A job is cut into chunks; a chunk is tried by attempts. Each has one state, and each move between states is a row
below. A move that is not here is refused. Every move that is made writes one row of the story, in the same
transaction; `fallow story` prints them.
"""

_JOB: Final = "What a submitter asked for."
_CHUNK: Final = (
    "A contiguous range of items. The transitioner decides its next move from its attempts "
    "(`core/transition.py`), the verifier whether its answers count."
)
_ATTEMPT: Final = "One try at a chunk by one worker."
_DELIVERY: Final = "One notice on its way to one webhook or address. Its tries are rows of their own, and its story."
_UPLOAD: Final = "A file that comes to the OpenAI door in parts."


def page() -> str:
    """The whole page, Markdown, with a newline at its end."""
    reasons = reasons_in(inspect.getsource(lifecycle))
    return "\n".join(
        [
            _HEAD,
            *_machine("Job", _JOB, lifecycle.JOB, lifecycle.JobEvent, reasons),
            *_machine("Chunk", _CHUNK, lifecycle.CHUNK, lifecycle.ChunkEvent, reasons),
            *_machine("Attempt", _ATTEMPT, lifecycle.ATTEMPT, lifecycle.AttemptEvent, reasons),
            *_failure_classes(),
            *_machine("Delivery", _DELIVERY, lifecycle.DELIVERY, lifecycle.DeliveryEvent, reasons),
            *_machine("Upload", _UPLOAD, lifecycle.UPLOAD, lifecycle.UploadEvent, reasons),
        ]
    )


def reasons_in(source: str) -> dict[tuple[str, str, str], str]:
    """(event class, state or "", event) of each row in the source of the tables, with the comment beside it."""
    return {
        (events, "" if state == "None" else state.partition(".")[2].lower(), event.lower()): reason
        for state, events, event, reason in _ROW.findall(source)
    }


def _machine(
    title: str, what: str, table: Table, events: type[StrEnum], reasons: Mapping[tuple[str, str, str], str]
) -> list[str]:
    rows = [
        f"| {start or '*(birth)*'} | {event} | {end} | {reasons[events.__name__, start or '', event]} |"
        for (start, event), end in table.items()
    ]
    head = [f"## {title}", "", what, ""]
    return [*head, *_diagram(table), "", "| from | event | to | why |", "|---|---|---|---|", *rows, ""]


def _diagram(table: Table) -> list[str]:
    starts = {start for start, _ in table}
    ends = dict.fromkeys(end for end in table.values() if end not in starts)
    arrows = [f"    {start or '[*]'} --> {end}: {event}" for (start, event), end in table.items()]
    return ["```mermaid", "stateDiagram-v2", *arrows, *(f"    {end} --> [*]" for end in ends), "```"]


def _failure_classes() -> list[str]:
    meanings = {name.lower(): text for name, text in _CLASS.findall(inspect.getsource(words.FailureClass))}
    rows = [f"| {each} | {meanings[each]} | {_yes(each in FAULTS_COUNTED)} | {_cut(each)} |" for each in FailureClass]
    policy = RetryPolicy()
    return [
        "## When an attempt fails",
        "",
        "A failure has a class, which says whose fault it is and decides what happens next.",
        "",
        "| class | whose fault, and what is next | counts as an error | a chunk of many items |",
        "|---|---|---|---|",
        *rows,
        "",
        f"A chunk fails after {policy.max_errors} counted errors (`max_errors`; an answer that does not verify is one)",
        f"or {policy.max_attempts} attempts (`max_attempts`; attempts that were dropped, aborted or failed by our",
        "fault are not counted). A chunk of many items with a failure that splits is cut into smaller chunks",
        "instead, until the bad items stand alone: only they fail.",
        "",
        f"A lease ends after {policy.lease_seconds} seconds of silence; each heartbeat extends it. An attempt that was",
        "given up as lost and arrives late is kept, if its chunk can still use it.",
        "",
    ]


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _cut(each: FailureClass) -> str:
    return "is split" if each in FAULTS_SPLITTING else "is tried again whole"
