"""POST /api/jobs, inwards: a JobRequest becomes a core Submission."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from fallow.core.job import (
    Chunking,
    Compare,
    Distinct,
    Homogeneous,
    HttpService,
    ItemRange,
    Limits,
    Plugins,
    Requirements,
    RetryPolicy,
    VerifyMethod,
    VerifyPolicy,
)
from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.core.words import Contract, Engine, InputFormat, Label, Reuse
from fallow.protocols.rest.jobs import JobRequest

QUORUM_MAX = 100
_WHOLE_MAX = 2**53  # beyond it JSON readers disagree about what a number is
_UPLOAD = re.compile(r"fallow:blobs/[0-9a-f]{64}\Z")
_YEARS_100 = 100 * 366 * 86400
_VERIFY_FORMS = "hash, quorum:N, quorum:N:exact, quorum:N:json, quorum:N:numeric or quorum:N:numeric:RTOL:ATOL"


def submission_of(request: JobRequest) -> Submission:
    """What the request asks for. Raises Refusal BAD_REQUEST; what needs more than the words is intake's to check."""
    _check_numbers(request)
    check_texts(request.model_dump())
    _check_input(request)
    _check_own_store(request)
    return Submission(
        input_uri=request.input_uri,
        job_id=request.job_id,
        input_format=InputFormat(request.input_format) if request.input_format else None,
        range=ItemRange(request.chunk_range.start, request.chunk_range.end) if request.chunk_range else None,
        output_uri=request.output_uri or None,
        overwrite=request.overwrite,
        image=request.container_image or None,
        command=tuple(request.command),
        env=dict(request.env),
        contract=Contract(request.contract),
        reuse=Reuse(request.reuse),
        harness=request.harness,
        outbound=request.outbound,
        chunking=Chunking(request.chunk_items, request.chunk_bytes, request.num_chunks),
        verify=_policy(request),
        limits=Limits(**request.limits.model_dump()),
        retry=RetryPolicy(**request.retry.model_dump()),
        requirements=_requirements(request),
        plugins=Plugins(**request.plugins.model_dump()),
        priority=request.priority,
        expires_seconds=request.expires_seconds,
        retention_seconds=request.retention_seconds,
        name=request.name,
        http=HttpService(**request.http.model_dump()),
        feed=request.feed,
    )


def _policy(request: JobRequest) -> VerifyPolicy:
    asked, policy = request.replication, parse_verify(request.verify)
    usual = usual_distinct(policy, volunteers=request.requirements.volunteers)
    return replace(
        policy,
        adaptive=asked.adaptive,
        homogeneous=Homogeneous(asked.homogeneous),
        distinct=Distinct(asked.distinct) if asked.distinct else usual,
    )


def usual_distinct(policy: VerifyPolicy, *, volunteers: bool) -> Distinct:
    """Who must differ where the request does not say: among strangers nobody may agree with his own second machine."""
    several = policy.method is VerifyMethod.QUORUM and policy.quorum > 1
    return Distinct.ACCOUNT if volunteers and several else Distinct.WORKER


def parse_verify(text: str) -> VerifyPolicy:
    """The policy that "quorum:3:numeric:1e-4:1e-6" names. Raises Refusal BAD_REQUEST."""
    method, *rest = text.split(":")
    if method == VerifyMethod.HASH and not rest:
        return VerifyPolicy()
    if method != VerifyMethod.QUORUM or not 1 <= len(rest) <= 4 or len(rest) == 3:
        raise _verify_refused(text)
    compare = rest[1] if len(rest) > 1 else Compare.EXACT.value
    if compare not in set(Compare) or (len(rest) == 4 and compare != Compare.NUMERIC):
        raise _verify_refused(text)
    policy = VerifyPolicy(VerifyMethod.QUORUM, _quorum(rest[0], text), Compare(compare))
    if len(rest) == 4:
        rtol, atol = (_tolerance(each, text) for each in rest[2:])
        return VerifyPolicy(policy.method, policy.quorum, policy.compare, rtol, atol)
    return policy


def verify_text(policy: VerifyPolicy) -> str:
    """The policy as it is written in a request; parse_verify() gives it back."""
    if policy.method is VerifyMethod.HASH:
        return "hash"
    text = f"quorum:{policy.quorum}:{policy.compare}"
    return f"{text}:{policy.rtol!r}:{policy.atol!r}" if policy.compare is Compare.NUMERIC else text


def _quorum(word: str, text: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 9):
        raise _verify_refused(text)
    if not 1 <= int(word) <= QUORUM_MAX:
        raise Refusal(
            Code.BAD_REQUEST,
            f"A quorum is from 1 to {QUORUM_MAX}, not {word}.",
            "Ask for fewer equal answers.",
            {"field": "verify"},
        )
    return int(word)


def _tolerance(word: str, text: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise _verify_refused(text) from None
    if not (math.isfinite(value) and value >= 0):
        raise _verify_refused(text)
    return value


def _verify_refused(text: str) -> Refusal:
    return Refusal(
        Code.BAD_REQUEST, f"verify: {text[:60]!r} is not a way to verify.", f"Use {_VERIFY_FORMS}.", {"field": "verify"}
    )


def _check_input(request: JobRequest) -> None:
    if not request.input_uri and not request.feed:
        raise Refusal(
            Code.BAD_REQUEST,
            "input_uri is missing.",
            'Name the input, or say "feed": true to append items later.',
            {"field": "input_uri"},
        )


def _check_own_store(request: JobRequest) -> None:
    """Of fallow's own store a submitter may name uploads, known by their content's digest, and nothing else."""
    if request.input_uri.lower().startswith("fallow:") and not _UPLOAD.match(request.input_uri):
        raise Refusal(
            Code.INPUT_NOT_ALLOWED,
            f"{request.input_uri[:100]!r} is not an uploaded input.",
            "Use the uri that PUT /api/inputs/NAME gave.",
        )
    if (request.output_uri or "").lower().startswith("fallow:"):
        raise Refusal(
            Code.OUTPUT_NOT_ALLOWED,
            "Outputs in fallow's own store have no name of their own.",
            "Leave output_uri out, and read them from the job.",
        )


def _requirements(request: JobRequest) -> Requirements:
    asked, engine = request.requirements, request.engine or request.requirements.engine
    if request.engine and asked.engine and request.engine != asked.engine:
        raise Refusal(
            Code.BAD_REQUEST,
            f"engine is {request.engine}, and requirements.engine is {asked.engine}.",
            "Give one of them.",
        )
    return Requirements(
        label=Label(request.worker_label) if request.worker_label else None,
        memory_bytes=asked.memory_bytes,
        cores=asked.cores,
        accelerators=asked.accelerators,
        engine=Engine(engine) if engine else None,
        volunteers=asked.volunteers,
    )


def _check_numbers(request: JobRequest) -> None:
    """Refuses infinities, and whole numbers that a database or another JSON reader would not give back."""
    for name, value in _numbers(request.model_dump(), ()):
        if not abs(value) <= _WHOLE_MAX:  # so written, NaN is refused as well
            raise _bad_field(name, "is too large a number")
    for name in ("expires_seconds", "retention_seconds"):
        if (getattr(request, name) or 0) > _YEARS_100:
            raise _bad_field(name, "is more than a hundred years")


def _numbers(value: object, path: tuple[str, ...]) -> Iterable[tuple[str, float]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _numbers(each, (*path, str(name)))
    elif isinstance(value, int | float):
        yield ".".join(path), value


def check_texts(message: Mapping[str, object]) -> None:
    """Refuses what cannot be kept: NUL, which no system takes in a text, and what UTF-8 cannot say."""
    for name, value in _texts(message, ()):
        if "\0" in value:
            raise _bad_field(name, "holds a NUL character")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _bad_field(name, "holds half of a surrogate pair") from None


def _texts(value: object, path: tuple[str, ...]) -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield ".".join(path), str(name)
            yield from _texts(each, (*path, str(name)))
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, path)
    elif isinstance(value, str):
        yield ".".join(path), value


def _bad_field(name: str, what: str) -> Refusal:
    return Refusal(Code.BAD_REQUEST, f"{name} {what}.", "Correct the request.", {"field": name})
