"""BOINC's submit calls, outwards. Order and names of elements are those that BOINC's own server was recorded with.

One root element, named as the call, always well-formed. Source: BOINC html/user/submit_rpc_handler.php.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final
from xml.sax.saxutils import escape

from fallow.core.boinc_batches import BatchFacts, CompletedJob, Counts, Instance, JobFacts, JobStatus
from fallow.core.refusals import Code, Refusal

HEAD: Final = '<?xml version="1.0" encoding="ISO-8859-1" ?>\n'
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_STATUS2: Final = {
    JobStatus.QUEUED: "UNSENT",
    JobStatus.IN_PROGRESS: "IN_PROGRESS",
    JobStatus.DONE: "DONE",
    JobStatus.ERROR: "ERROR",
}
NOT_FOUND: Final = -136  # Source: BOINC lib/error_numbers.h, ERR_NOT_FOUND
DOWN: Final = -183  # ERR_PROJECT_DOWN
_NUMBERS: Final = {Code.STORAGE_UNREACHABLE: DOWN, Code.STORAGE_FULL: DOWN}


def document(op: str, inner: str) -> bytes:
    """The reply, in ASCII: a reader may take it for Latin-1, as it says, or for anything else."""
    text = f"{HEAD}<{op}>\n{inner}</{op}>\n"
    return text.encode("ascii", "xmlcharrefreplace")


def error(op: str, number: int, message: str) -> bytes:
    said = _text(message)
    return document(op, f"<error>\n    <error_num>{number}</error_num>\n    <error_msg>{said}</error_msg>\n</error>\n")


def refused(op: str, refusal: Refusal) -> bytes:
    """Errors of callers have the number -1 and a text, as BOINC's have; others have numbers of their own."""
    return error(op, _NUMBERS.get(refusal.code, -1), refusal.message if not refusal.remedy else str(refusal))


def number(value: float) -> str:
    """As PHP prints it: 14 digits, no more than are needed."""
    return format(value, ".14G")


def simple(op: str, name: str, value: int | float) -> bytes:
    """One number: a batch's id, an estimate, success."""
    return document(op, f"<{name}>{number(value)}</{name}>\n")


def success(op: str) -> bytes:
    return simple(op, "success", 1)


def batches(op: str, facts: Iterable[BatchFacts]) -> bytes:
    return document(op, "".join(f"    <batch>\n{_batch(each)}   </batch>\n" for each in facts))


def batch(op: str, facts: BatchFacts, jobs: Iterable[JobFacts], *, details: bool) -> bytes:
    return document(op, _batch(facts) + "".join(_job(each, details) for each in jobs))


def batch_jobs(op: str, now: float, groups: Iterable[Sequence[JobFacts]]) -> bytes:
    """query_batch2: how each job of some batches stands, in few words."""
    inner = [f"<server_time>{now:.6f}</server_time>\n"]
    for jobs in groups:
        inner.append(f"    <batch_size>{len(jobs)}</batch_size>\n")
        for each in jobs:
            inner.append(
                f"    <job>\n        <job_name>{_text(each.name)}</job_name>\n"
                f"        <status>{_STATUS2[each.status]}</status>\n    </job>\n"
            )
    return document(op, "".join(inner))


def job(op: str, instances: Iterable[Instance]) -> bytes:
    return document(op, "".join(_instance(each) for each in instances))


def completed_job(op: str, facts: CompletedJob) -> bytes:
    lines = [f"   <error_mask>{facts.error_mask}</error_mask>\n"]
    if facts.instance_id is not None:
        tag = "canonical_resultid" if facts.is_canonical else "error_resultid"
        lines += [
            f"   <{tag}>{facts.instance_id}</{tag}>\n",
            f"   <exit_status>{facts.exit_status}</exit_status>\n",
            f"   <elapsed_time>{number(facts.elapsed_seconds)}</elapsed_time>\n",
            f"   <cpu_time>{number(facts.cpu_seconds)}</cpu_time>\n",
            # Escaped inside CDATA, as BOINC does it: nothing in a log can end the section.
            f"   <stderr_out><![CDATA[\n{_text(facts.stderr)}\n   ]]></stderr_out>\n",
        ]
    return document(op, f"<completed_job>\n{''.join(lines)}</completed_job>\n")


def templates(op: str, texts: Iterable[str]) -> bytes:
    """texts: XML that this server has parsed before."""
    return document(op, "<templates>\n" + "".join(texts) + "</templates>\n")


def absent_files(op: str, places: Iterable[int]) -> bytes:
    """Never an empty element: BOINC's own binding stumbles over that."""
    listed = "".join(f"<file>{place}</file>\n" for place in places)
    return document(op, f"<absent_files>\n{listed}</absent_files>\n")


def files_taken(op: str) -> bytes:
    return document(op, "<success/>\n")


def job_counts(counts: Counts) -> bytes:
    rows = (
        ("results_ready_to_send", counts.ready_to_send),
        ("results_in_progress", counts.in_progress),
        ("results_need_file_delete", 0),
        ("wus_need_validate", counts.need_validate),
        ("wus_need_assimilate", counts.need_assimilate),
        ("wus_need_file_delete", 0),
    )
    return document("job_counts", "".join(f"   <{name}>{value}</{name}>\n" for name, value in rows))


def server_status(now: int, counts: Counts, daemons: Iterable[tuple[str, str]]) -> bytes:
    """The longer document. daemons: (command, status) of what runs here."""
    running = "".join(
        f"    <daemon>\n      <command>{_text(command)}</command>\n      <status>{_text(status)}</status>\n"
        "    </daemon>\n"
        for command, status in daemons
    )
    state = (
        f"    <results_ready_to_send>{counts.ready_to_send}</results_ready_to_send>\n"
        f"    <results_in_progress>{counts.in_progress}</results_in_progress>\n"
        f"    <workunits_waiting_for_validation>{counts.need_validate}</workunits_waiting_for_validation>\n"
        f"    <workunits_waiting_for_assimilation>{counts.need_assimilate}</workunits_waiting_for_assimilation>\n"
        "    <workunits_waiting_for_deletion>0</workunits_waiting_for_deletion>\n"
    )
    inner = f"  <update_time>{now}</update_time>\n  <daemon_status>\n{running}  </daemon_status>\n"
    return document("server_status", f"{inner}  <database_file_states>\n{state}  </database_file_states>\n")


def _batch(facts: BatchFacts) -> str:
    rows: list[tuple[str, str]] = [
        ("id", str(facts.batch_id)),
        ("create_time", str(facts.created_at)),
        ("expire_time", str(facts.expire_at)),
        ("est_completion_time", "0"),
        ("njobs", str(facts.jobs)),
        ("fraction_done", number(facts.fraction_done)),
        ("nerror_jobs", str(facts.errors)),
        ("state", str(int(facts.state))),
        ("completion_time", str(facts.completed_at)),
        ("credit_estimate", "0"),
        ("credit_canonical", number(facts.credit)),
        ("name", _text(facts.name)),
        ("app_name", _text(facts.app_name)),
    ]
    if facts.cpu_seconds is not None:
        rows.append(("total_cpu_time", number(facts.cpu_seconds)))
    return "\n" + "".join(f"        <{name}>{value}</{name}>\n" for name, value in rows)


def _job(facts: JobFacts, details: bool) -> str:
    lines = [
        f"        <id>{facts.job_id}</id>\n",
        f"        <name>{_text(facts.name)}</name>\n",
        f"        <canonical_instance_id>{facts.canonical_id}</canonical_instance_id>\n",
    ]
    if details:
        lines += [f"   <error>{each}</error>\n" for each in facts.errors]
        if facts.errors and facts.exit_status is not None:
            lines.append(f"            <exit_status>{facts.exit_status}</exit_status>\n")
        if facts.status is JobStatus.DONE:
            lines.append(f"            <cpu_time>{number(facts.cpu_seconds)}</cpu_time>\n")
        lines.append(f"            <status>{facts.status}</status>\n")
    return f"        <job>\n{''.join(lines)}        </job>\n"


def _instance(each: Instance) -> str:
    sizes = "".join(f"        <outfile>\n            <size>{size}</size>\n        </outfile>\n" for size in each.sizes)
    return (
        f"    <instance>\n        <name>{_text(each.name)}</name>\n        <id>{each.instance_id}</id>\n"
        f"        <state>{_text(each.state)}</state>\n{sizes}    </instance>\n"
    )


def _text(text: str) -> str:
    return escape(_UNPRINTABLE.sub("", text.replace("\r", "")))
