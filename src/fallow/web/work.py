"""The workers' calls: POST /api/work/hello, POST /api/work, GET /api/work/images/{digest}. Hot: routing, msgspec.

Here the wire's messages become control's values, and back. Nothing is decided.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fallow.control.callers import Caller
from fallow.control.leases import Ticket, tickets
from fallow.control.reports import Failed, Reported
from fallow.control.scheduler import Offer
from fallow.control.tracing import Tracing
from fallow.control.work import Asked, Joining
from fallow.core.job import JobSpec, Limits
from fallow.core.live_log import KEPT_BYTES, LogPart
from fallow.core.refusals import Code, Refusal
from fallow.core.trace import Timed
from fallow.core.words import AttemptId, Contract, Label, Micros, WorkerId
from fallow.protocols.rest import work as wire
from fallow.web.deps import Door, door_of
from fallow.web.streams import SenderGone, bounded_body

T = TypeVar("T")
_ENCODE: Final = msgspec.json.Encoder().encode
_TO_ASK: Final = msgspec.json.Decoder(wire.Ask)
_TO_HELLO: Final = msgspec.json.Decoder(wire.Hello)
# Calls beyond these wait here: inside they would only wait for the same lock and the same rows. It takes half the time
# of anyio's threads, too.
_few_threads: Final = ThreadPoolExecutor(4, "fallow-work")
_ID_MAX: Final = 2**53
_TEXT_MAX: Final = 200
_IMAGES_MAX: Final = 1000
_PATIENCE_SECONDS_MAX: Final = 2.0
_STEPS_MAX: Final = 16
_LABELS: Final = {each.value: each for each in Label}


async def hello(request: Request) -> Response:
    """A worker starts."""
    return await _answered(request, _hello)


async def work(request: Request) -> Response:
    """A worker reports, says what it holds, and asks for more; one with nothing to do may wait here for more."""
    door = door_of(request)
    body = await bounded_body(request.receive, door.settings.request_bytes_max)
    authorization = request.headers.get("authorization")
    started = anyio.current_time()
    waited = 0.0
    while True:
        rings = door.bells.leases.rings
        said = await _in_few_threads(partial(_asked, door, authorization, body, waited))
        if isinstance(said, bytes):
            return Response(said, media_type="application/json")
        # It reported nothing, so that to take the same message again is to be asked again.
        await door.bells.leases.heard(rings, said)
        waited = anyio.current_time() - started
        if await request.is_disconnected():  # nobody would run what it was given
            raise SenderGone


async def image(request: Request) -> Response:
    """The parts of an image that fallow keeps, as URLs that open them."""
    return await _answered(request, _image, anyio.to_thread.run_sync)


async def _in_few_threads(function: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_few_threads, function)


async def _answered(
    request: Request,
    answer: Callable[[Door, Caller, Request, bytes], bytes],
    in_thread: Callable[[Callable[[], bytes]], Awaitable[bytes]] = _in_few_threads,
) -> Response:
    """Reads the body on the event loop and does all the rest in one visit to a thread."""
    door = door_of(request)
    body = await bounded_body(request.receive, door.settings.request_bytes_max)
    authorization = request.headers.get("authorization")

    def run() -> bytes:
        return answer(door, door.signin.caller(authorization), request, body)

    return Response(await in_thread(run), media_type="application/json")


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The message. NUL characters in texts (logs have them) are replaced: PostgreSQL cannot keep them."""
    if b"\\u0000" in body:
        body = body.replace(b"\\u0000", b"\\ufffd")
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        what = str(wrong)[:200] or "it is nested too deeply"
        raise Refusal(
            Code.BAD_REQUEST, f"The message cannot be read: {what}.", "Use an agent of the server's release."
        ) from None


def _hello(door: Door, caller: Caller, _request: Request, body: bytes) -> bytes:
    said = _decoded(_TO_HELLO, body)
    if said.protocol != wire.PROTOCOL_VERSION:
        raise Refusal(
            Code.BAD_REQUEST,
            f"The agent speaks protocol {said.protocol}, and the server speaks {wire.PROTOCOL_VERSION}.",
            "Install the same release on both.",
        )
    if said.label is not None and said.label not in _LABELS:
        raise Refusal(
            Code.BAD_REQUEST, f"{said.label[:60]!r} is no label.", f"Use one of {', '.join(sorted(_LABELS))}."
        )
    if len(said.capability.images) > _IMAGES_MAX or any(len(each) > _TEXT_MAX for each in said.capability.images):
        raise Refusal(Code.BAD_REQUEST, "The worker names too many images.", "Use an agent of the server's release.")
    _bounded(said.time, said.capability.memory_bytes, said.capability.disk_bytes, said.capability.slots)
    joining = Joining(
        public_key=said.public_key,
        session=said.session,
        name=said.name,
        capability=_ENCODE(said.capability).decode(),
        time=Micros(said.time),
        label=_LABELS[said.label] if said.label else None,
        signature=said.signature,
    )
    worker_id, message = door.work.hello(caller, joining)
    return _ENCODE(
        wire.Welcome(
            worker_id=worker_id,
            server_time=door.clock.now(),
            heartbeat_seconds=door.settings.heartbeat_seconds,
            inline_bytes_max=door.settings.inline_bytes_max,
            message=message,
        )
    )


def _asked(door: Door, authorization: str | None, body: bytes, waited: float) -> bytes | float:
    """The answer; or for how many more seconds the worker may wait for one. waited: how long it has."""
    return _ask(door, door.signin.caller(authorization), body, waited)


def _ask(door: Door, caller: Caller, body: bytes, waited: float) -> bytes | float:
    said = _decoded(_TO_ASK, body)
    if len(said.worker_id) > _TEXT_MAX or len(said.session) > _TEXT_MAX:
        raise Refusal(Code.BAD_REQUEST, "The worker's id or session is too long.", "Use the ones from hello.")
    for holding in said.holding:
        _bounded(holding.attempt_id, holding.items_done)
    outcome = door.work.ask(
        caller,
        Asked(
            worker_id=WorkerId(said.worker_id),
            session=said.session,
            want=min(said.want, _ID_MAX),
            reports=[_reported(each) for each in said.reports],
            holding=[AttemptId(each.attempt_id) for each in said.holding],
            leaving=said.leaving,
            logs=[_told(each) for each in said.logs],
        ),
    )
    for verdict, count in Counter(each.verdict for each in outcome.verdicts).items():
        door.counters.reported(verdict, count)
    door.counters.leased(len(outcome.offers))
    if extended := len(said.holding) - len(outcome.stop):
        door.counters.extended(extended)
    if inline := sum(len(each.inline) for each in said.reports if each.inline):
        door.counters.inline(inline)
    if outcome.verdicts and not outcome.offers:  # perhaps these were the job's last answers
        door.ring("transitioner")
    if outcome.verdicts:
        door.ring("verifier-0")
        door.ring("answers")  # a sound answer is taken at once
    patience = min(said.wait_seconds, _PATIENCE_SECONDS_MAX) - waited
    idle = said.want > 0 and not (outcome.offers or said.reports or said.holding or said.leaving)
    if idle and patience > 0 and not door.closing.is_set():
        return patience
    return _ENCODE(
        wire.Answer(
            acks=tuple(wire.Ack(v.attempt_id, v.verdict, v.code, v.message) for v in outcome.verdicts),
            leases=leases_of(door, outcome.offers),
            stop=outcome.stop,
            wait_seconds=max(0.0, outcome.wait_seconds - waited),
            server_time=door.clock.now(),
            watched=outcome.watched,
        )
    )


def _image(door: Door, caller: Caller, request: Request, _body: bytes) -> bytes:
    parts = door.shelf.parts(caller, request.path_params["digest"])
    blobs = tuple(wire.BlobRef(each.digest, each.size_bytes, each.url) for each in parts.blobs)
    return _ENCODE(wire.ImageBlobs(parts.digest, parts.manifest, parts.media_type, blobs))


def _told(part: wire.LogPart) -> LogPart:
    _bounded(part.attempt_id, part.start)
    return LogPart(AttemptId(part.attempt_id), max(part.start, 0), part.data).newest(KEPT_BYTES)


def _reported(report: wire.Report) -> Reported:
    _bounded(report.attempt_id, report.log_size_bytes)
    return Reported(
        attempt_id=AttemptId(report.attempt_id),
        envelope=report.envelope,
        inline=report.inline,
        failed=_failed(report.failure) if report.failure else None,
        log_size_bytes=report.log_size_bytes,
        steps=_steps(report) if report.steps else (),
    )


def _steps(report: wire.Report) -> tuple[Timed, ...]:
    for each in report.steps:
        _bounded(each.start, each.end)
    return tuple(Timed(each.name, max(each.start, 0), max(each.end, 0)) for each in report.steps[:_STEPS_MAX])


def _failed(failure: wire.Failure) -> Failed:
    _bounded(failure.items_done, failure.bad_item or 0, failure.exit_code or 0)
    return failed_of(failure)


def failed_of(failure: wire.Failure) -> Failed:
    """The failure as control has it; its numbers are the caller's to look at."""
    return Failed(
        failure_class=failure.failure_class,
        code=failure.code,
        message=failure.message,
        items_done=failure.items_done,
        bad_item=failure.bad_item,
        exit_code=failure.exit_code,
        log_tail=failure.log_tail,
    )


def _bounded(*numbers: int) -> None:
    """Raises Refusal BAD_REQUEST for a number that no column holds."""
    if any(abs(each) > _ID_MAX for each in numbers):
        raise Refusal(
            Code.BAD_REQUEST, "A number in the message is too large.", "Use an agent of the server's release."
        )


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all leases of a job have in common: made once a call."""

    limits: wire.LimitsMessage
    image: wire.ImageRef | None
    env: dict[str, str]
    deadline_seconds: float
    http: wire.HttpMessage | None


def leases_of(door: Door, offers: Sequence[Offer]) -> tuple[wire.Lease, ...]:
    """What a worker is told of these. Leases whose input is gone are left out; see control.leases.tickets()."""
    specs = {offer.job.job_key: offer.job.spec for offer in offers}
    by_job = {job_key: _shared(spec, door.settings.silence_seconds) for job_key, spec in specs.items()}
    tracing = door.tracing
    return tuple(
        _lease(said, by_job[said.offer.job.job_key], tracing)
        for said in tickets(offers, door.places, door.feeds.part_at)
    )


def _shared(spec: JobSpec, silence_seconds: float) -> _Shared:
    deadline = min(spec.retry.lease_seconds, silence_seconds)
    return _Shared(_limits(spec.limits), _image_ref(spec), dict(spec.env), deadline, _http(spec))


def _lease(said: Ticket, shared: _Shared, tracing: Tracing | None) -> wire.Lease:
    spec, leased = said.offer.job.spec, said.offer.leased
    return wire.Lease(
        attempt_id=leased.attempt_id,
        job_id=spec.job_id,
        chunk_id=leased.chunk_id,
        item_start=leased.item_start,
        item_count=leased.item_count,
        contract=spec.contract,
        input=_input(said),
        limits=shared.limits,
        upload_url=said.upload_url,
        log_url=said.log_url,
        deadline_seconds=shared.deadline_seconds,
        image=shared.image,
        ran=spec.ran,
        command=spec.command,
        env=shared.env,
        reuse=spec.reuse,
        harness=said.harness,
        outbound=spec.outbound,
        artifact_uri=said.artifact_uri,
        input_url=said.input_url,
        output_url=said.output_url,
        traceparent=tracing.parent(spec.job_id, leased.chunk_id, leased.attempt_id) if tracing else "",
        http=shared.http,
        accelerators=spec.requirements.accelerators,
    )


def _input(said: Ticket) -> wire.ChunkInput:
    extent = said.offer.leased.extent
    return wire.ChunkInput(
        format=said.format,
        url=said.input.url,
        offset=said.input.offset,
        length=said.input.length,
        sha256=extent.sha256,
        skip=0 if said.objects else extent.skip,
        columns=said.columns,
        objects=tuple(wire.ObjectInput(each.name, each.url, each.size_bytes, each.sha256) for each in said.objects),
    )


def _image_ref(spec: JobSpec) -> wire.ImageRef | None:
    image = spec.image
    return wire.ImageRef(image.reference, image.digest, image.image_id, image.source) if image else None


def _http(spec: JobSpec) -> wire.HttpMessage | None:
    if spec.contract is not Contract.HTTP:
        return None
    service = spec.http
    return wire.HttpMessage(service.port, service.path, service.health_path, service.concurrency_max)


def _limits(limits: Limits) -> wire.LimitsMessage:
    return wire.LimitsMessage(
        item_timeout_seconds=limits.item_timeout_seconds,
        chunk_timeout_seconds=limits.chunk_timeout_seconds,
        start_timeout_seconds=limits.start_timeout_seconds,
        memory_bytes=limits.memory_bytes,
        cpus=limits.cpus,
        pids=limits.pids,
        tmp_bytes=limits.tmp_bytes,
        output_bytes=limits.output_bytes,
        item_output_bytes=limits.item_output_bytes,
        log_bytes=limits.log_bytes,
    )
