"""Between the wire's messages and the worker's own values."""

from fallow.core.job import HttpService
from fallow.core.words import Contract, InputFormat, Reuse
from fallow.protocols.rest import work as wire
from fallow.worker.assignment import Assignment, ImageNeed, InputExtent, InputObject, RunLimits
from fallow.worker.slot import Finished


def from_lease(lease: wire.Lease) -> Assignment:
    """The lease as plain values. Raises ValueError for a word this worker does not know."""
    limits = lease.limits
    return Assignment(
        attempt_id=lease.attempt_id,
        job_id=lease.job_id,
        chunk_id=lease.chunk_id,
        item_start=lease.item_start,
        item_count=lease.item_count,
        contract=Contract(lease.contract),
        input=_extent(lease.input),
        limits=RunLimits(**{name: getattr(limits, name) for name in limits.__struct_fields__}),
        image=_image(lease.image),
        ran=lease.ran,
        command=lease.command,
        env=dict(lease.env),
        reuse=Reuse(lease.reuse),
        harness=lease.harness,
        outbound=lease.outbound,
        artifact_uri=lease.artifact_uri,
        input_url=lease.input_url,
        output_url=lease.output_url,
        upload_url=lease.upload_url,
        log_url=lease.log_url,
        deadline_seconds=lease.deadline_seconds,
        traceparent=lease.traceparent,
        http=_http(lease.http),
        accelerators=lease.accelerators,
    )


def failure_of(finished: Finished) -> wire.Failure | None:
    """What went wrong, as the wire says it; None when nothing did."""
    fault = finished.fault
    if fault is None:
        return None
    return wire.Failure(
        failure_class=fault.failure_class,
        code=fault.code,
        message=fault.message,
        items_done=finished.items_done,
        bad_item=fault.bad_item,
        exit_code=fault.exit_code,
        log_tail=finished.log_tail,
    )


def _extent(chunk: wire.ChunkInput) -> InputExtent:
    return InputExtent(
        format=InputFormat(chunk.format),
        url=chunk.url,
        offset=chunk.offset,
        length=chunk.length,
        sha256=chunk.sha256,
        skip=chunk.skip,
        columns=chunk.columns,
        objects=tuple(InputObject(o.name, o.url, o.size_bytes, o.sha256) for o in chunk.objects),
    )


def _http(said: wire.HttpMessage | None) -> HttpService:
    if said is None:
        return HttpService()
    return HttpService(said.port, said.path, said.health_path, max(1, said.concurrency_max))


def _image(image: wire.ImageRef | None) -> ImageNeed | None:
    if image is None:
        return None
    return ImageNeed(image.reference, image.digest, image.image_id, image.source)
