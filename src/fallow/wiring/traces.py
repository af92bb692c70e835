"""Traces by OpenTelemetry, for those who installed fallow[traces] and named an endpoint; else none of it is imported.

One trace follows a chunk: plan, then for each attempt queue, attempt (with the worker's own steps and the verdict in
it), at last assimilate. All ids come from core.trace, so spans of several processes fit together without any state.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from fallow.core.chapter import Chapter, Move
from fallow.core.trace import PLAN, Timed, attempt_name, is_sampled, span_id, trace_id, traceparent
from fallow.core.words import AttemptId, ChunkId, JobId, Micros, WorkerId

_QUEUE_MAX: Final = 65_536
_BATCH_MAX: Final = 2_048
_SEND_SECONDS: Final = 5
_STEPS_MAX: Final = 16  # of one attempt
_LEASE_OVER: Final = frozenset({"report", "fail", "expire", "abort"})
_VERDICTS: Final = frozenset({"agree", "disagree"})
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SCOPE: Final = InstrumentationScope("fallow", version("fallow"))

Attributes = dict[str, str | int]


class Traces:
    """A witness, and what control tells the rest to. endpoint: of OTLP over HTTP, without /v1/traces. ratio: of chunks.

    Spans wait in memory and go out in batches; when the endpoint is away they are dropped, and nothing else suffers.
    """

    def __init__(self, endpoint: str, ratio: float, process: str) -> None:
        self._ratio = ratio
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_SEND_SECONDS)
        self._processor = BatchSpanProcessor(exporter, _QUEUE_MAX, max_export_batch_size=_BATCH_MAX)
        self._server = Resource.create({"service.name": "fallow-server", "service.instance.id": process})

    def close(self) -> None:
        """Sends what waits, if it can be sent within seconds."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def heard(self, chapter: Chapter) -> None:
        """The spans that ended with these moves."""
        for move in chapter.moves():
            if move.chunk_id is None:
                continue
            spec = chapter.spec_of(move.job_key)
            if spec is not None and is_sampled(spec.job_id, move.chunk_id, self._ratio):
                self._moved(_Trace(self, spec.job_id, move.chunk_id, self._server), move)

    def parent(self, job_id: JobId, chunk_id: ChunkId, attempt_id: AttemptId) -> str:
        """See control.tracing.Tracing; so below."""
        return traceparent(job_id, chunk_id, attempt_id) if is_sampled(job_id, chunk_id, self._ratio) else ""

    def worked(
        self, job_id: JobId, chunk_id: ChunkId, attempt_id: AttemptId, worker_id: WorkerId, steps: Sequence[Timed]
    ) -> None:
        if not is_sampled(job_id, chunk_id, self._ratio):
            return
        resource = Resource.create({"service.name": "fallow-worker", "service.instance.id": worker_id})
        trace = _Trace(self, job_id, chunk_id, resource)
        attempt = attempt_name(attempt_id)
        for step in steps[:_STEPS_MAX]:
            name = f"{attempt} {step.name[:40]}"
            trace.span(step.name[:40], name, attempt, step.start, max(step.start, step.end), {"attempt": attempt_id})

    def assimilated(self, job_id: JobId, chunk_id: ChunkId, start: Micros, end: Micros) -> None:
        if is_sampled(job_id, chunk_id, self._ratio):
            _Trace(self, job_id, chunk_id, self._server).span("assimilate", "assimilate", PLAN, start, end, {})

    def send(self, span: ReadableSpan) -> None:
        """Into the queue."""
        self._processor.on_end(span)

    def _moved(self, trace: "_Trace", move: Move) -> None:
        start = Micros(move.at - max(move.age_micros, 0))
        if move.attempt_id is None:
            if move.event == PLAN:
                trace.span(PLAN, PLAN, None, start, move.at, {})
            return
        attempt = attempt_name(move.attempt_id)
        said: Attributes = {"attempt": int(move.attempt_id), "by": move.by}
        if move.event == "lease":
            trace.span("queue", f"{attempt} queue", PLAN, start, move.at, said)
        elif move.from_state == "leased" and move.event in _LEASE_OVER:
            trouble = "" if move.event == "report" else f"{move.to_state}: {move.cause}"
            trace.span("attempt", attempt, PLAN, start, move.at, said, trouble)
            trace.span("report", f"{attempt} report", attempt, move.at, move.at, said)
        elif move.event in _VERDICTS:
            trouble = move.cause if move.event == "disagree" else ""
            trace.span(
                "verify", f"{attempt} verify", attempt, start, move.at, {**said, "verdict": move.to_state}, trouble
            )


class _Trace:
    """Of one chunk, as one process or worker adds to it."""

    def __init__(self, traces: Traces, job_id: str, chunk_id: int, resource: Resource) -> None:
        self._traces = traces
        self._job_id = job_id
        self._chunk_id = chunk_id
        self._resource = resource

    def span(
        self, name: str, own: str, parent: str | None, start: int, end: int, said: Attributes, trouble: str = ""
    ) -> None:
        """own, parent: by which the ids are made. start, end: microseconds. trouble: "" when it went well."""
        self._traces.send(
            ReadableSpan(
                name,
                context=self._context(own),
                parent=None if parent is None else self._context(parent),
                resource=self._resource,
                attributes={"job": self._job_id, "chunk": self._chunk_id, **said},
                kind=SpanKind.INTERNAL,
                status=Status(StatusCode.ERROR, trouble[:500]) if trouble else Status(StatusCode.UNSET),
                start_time=start * 1000,
                end_time=end * 1000,
                instrumentation_scope=_SCOPE,
            )
        )

    def _context(self, name: str) -> SpanContext:
        trace = trace_id(self._job_id, self._chunk_id)
        return SpanContext(trace, span_id(self._job_id, self._chunk_id, name), is_remote=False, trace_flags=_SAMPLED)
