"""A task as its client is told of it: workunit, result, ticket and answer file."""

import hashlib
from collections.abc import Sequence
from typing import Final

from fallow.control.boinc.uploads import ANSWER_BYTES_MAX
from fallow.core.job import JobSpec
from fallow.core.volunteers import HostFacts
from fallow.protocols.boinc import names
from fallow.protocols.boinc.ai_batch import ChunkBlock, render_blocks
from fallow.protocols.boinc.messages import TaskXml
from fallow.store.port import AppVersionRow, BoincResultRow, JobRow, Leased
from fallow.web.boinc.uploads import answer_file
from fallow.web.deps import Door

_MEMORY_BYTES: Final = 5e8  # BOINC's own default, where the job says nothing
_DISK_BYTES: Final = 2e9
_TIMES_MAX: Final = 20.0  # the estimate: a client stops a task after so long
_SECONDS_MAX_LEAST: Final = 4 * 3600.0  # images come over slow lines, and an estimate may be of another machine


def task_xml(
    door: Door,
    version: AppVersionRow,
    facts: HostFacts,
    result: BoincResultRow,
    job: JobRow,
    chunks: Sequence[Leased],
) -> TaskXml:
    """version: the program that runs it."""
    spec, base = job.spec, f"{door.settings.base_url}/boinc"
    ticket_name = door.boinc.tickets.name(result.result_id)
    ticket = door.boinc.tickets.ticket(spec.job_id, result.result_id, result.worker_id, chunks)
    flops = max(facts.flops, 1e8)
    limit = max(_TIMES_MAX * result.seconds_estimated, _SECONDS_MAX_LEAST, _job_seconds(spec, chunks))
    return TaskXml(
        name=names.result_name(spec.job_id, result.result_id),
        workunit=names.workunit_name(spec.job_id, result.result_id),
        app_name=names.APP_NAME,
        version_num=version.version_num,
        platform=version.platform,
        plan_class=version.plan_class,
        deadline=result.deadline // 1_000_000,
        operations_estimated=max(result.seconds_estimated, 1.0) * flops,
        operations_max=limit * flops,
        memory_bytes=float(max(spec.requirements.memory_bytes, spec.limits.memory_bytes or 0)) or _MEMORY_BYTES,
        disk_bytes=_DISK_BYTES,
        input_name=ticket_name,
        input_url=f"{base}/download/{names.directory_of(ticket_name)}/{ticket_name}",
        input_md5=hashlib.md5(ticket, usedforsecurity=False).hexdigest(),
        input_size_bytes=len(ticket),
        output_name=answer_file(door, result.result_id).name,
        output_url=f"{base}/file_upload_handler",
        output_size_bytes_max=ANSWER_BYTES_MAX,
        extra=render_blocks(_block(spec, each) for each in chunks),
    )


def _job_seconds(spec: JobSpec, chunks: Sequence[Leased]) -> float:
    """What the job itself allows its chunks."""
    return (spec.limits.chunk_timeout_seconds + spec.limits.start_timeout_seconds) * len(chunks)


def _block(spec: JobSpec, chunk: Leased) -> ChunkBlock:
    return ChunkBlock(
        job_id=spec.job_id,
        input_uri=spec.input.uri,
        output_uri=spec.output_uri or "",
        image=spec.image.reference if spec.image else "",
        chunk_id=chunk.chunk_id,
        range_start=chunk.item_start,
        range_end=chunk.item_start + chunk.item_count - 1,
        worker_label=spec.requirements.label or "",
    )
