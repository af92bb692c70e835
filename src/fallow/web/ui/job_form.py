"""The form of /submit: what stands in its fields becomes a request, a job becomes what stands in its fields.

The request is then parsed and checked by the same code as POST /api/jobs: this file knows no rule of its own but how a
person writes a list, a size or a variable.
"""

import json
import shlex
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from fallow.core.job import MIB, JobSpec, Limits, RetryPolicy, VerifyMethod, VerifyPolicy
from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.jobs import JobRequest
from fallow.protocols.rest.submissions import usual_distinct, verify_text

TEXT_MAX: Final = 100_000  # characters of one field
FIELDS: Final = (
    "name",
    "job_id",
    "input_uri",
    "input_format",
    "range_start",
    "range_end",
    "model",
    "container_image",
    "command",
    "env",
    "contract",
    "chunk_by",
    "chunk_size",
    "verify",
    "quorum",
    "compare",
    "item_timeout_seconds",
    "chunk_timeout_seconds",
    "memory_mib",
    "cpus",
    "max_errors",
    "max_attempts",
    "worker_label",
    "engine",
    "needs_memory_mib",
    "needs_cores",
    "needs_accelerators",
    "volunteers",
    "output_uri",
    "overwrite",
    "priority",
    "more",
)
FRESH: Final[Mapping[str, str]] = dict.fromkeys(FIELDS, "") | {
    "contract": "stream",
    "verify": "hash",
    "quorum": "2",
    "compare": "exact",
    "priority": "0",
}
_CHUNKS: Final = {"items": "chunk_items", "bytes": "chunk_bytes", "chunks": "num_chunks"}
_PLAIN: Final = (
    "name",
    "job_id",
    "input_uri",
    "input_format",
    "model",
    "container_image",
    "contract",
    "worker_label",
    "engine",
    "output_uri",
    "priority",
)
_LIMITS: Final = ("item_timeout_seconds", "chunk_timeout_seconds", "cpus")
_OF_CODE: Final[Mapping[Code, str]] = {
    Code.INPUT_MISSING: "input_uri",
    Code.INPUT_UNREADABLE: "input_uri",
    Code.INPUT_CHANGED: "input_uri",
    Code.INPUT_NOT_ALLOWED: "input_uri",
    Code.ADDRESS_FORBIDDEN: "input_uri",
    Code.FETCH_FAILED: "input_uri",
    Code.TOO_LARGE: "input_uri",
    Code.INPUT_FORMAT: "input_format",
    Code.RANGE_INVALID: "range_start",
    Code.RANGE_PAST_END: "range_end",
    Code.CHUNKS_INVALID: "chunk_size",
    Code.JOB_ID_INVALID: "job_id",
    Code.JOB_ID_TAKEN: "job_id",
    Code.OUTPUT_EXISTS: "output_uri",
    Code.OUTPUT_NOT_ALLOWED: "output_uri",
    Code.OUTPUT_UNWRITABLE: "output_uri",
    Code.IMAGE_INVALID: "container_image",
    Code.IMAGE_UNKNOWN: "container_image",
    Code.IMAGE_PLATFORM: "container_image",
    Code.PLUGIN_UNKNOWN: "more",
}
_OF_REQUEST: Final = {
    "verify": "quorum",
    "num_chunks": "chunk_size",
    "chunk_items": "chunk_size",
    "chunk_bytes": "chunk_size",
    "chunk_range": "range_start",
    "chunk_range.start": "range_start",
    "chunk_range.end": "range_end",
    "limits.memory_bytes": "memory_mib",
    "requirements.memory_bytes": "needs_memory_mib",
    "requirements.cores": "needs_cores",
    "requirements.accelerators": "needs_accelerators",
    "requirements.engine": "engine",
    "requirements.volunteers": "volunteers",
}
_SPEC_TO_MORE: Final = ("feed", "reuse", "harness", "expires_seconds", "retention_seconds")


def values_of(form: Mapping[str, object]) -> dict[str, str]:
    """What stands in the fields. Raises Refusal TOO_LARGE."""
    found: dict[str, str] = {}
    for name in FIELDS:
        value = form.get(name, "")
        text = value if isinstance(value, str) else ""
        if len(text) > TEXT_MAX:
            raise _wrong(name, f"is longer than {TEXT_MAX:,} characters", "Shorten it.", Code.TOO_LARGE)
        found[name] = text.replace("\r\n", "\n") if name in ("env", "more", "command") else text.strip()
    return found


def request_of(values: Mapping[str, str]) -> JobRequest:
    """The request that the fields make. Raises Refusal BAD_REQUEST, whose detail `field` names what is wrong.

    What is as in a fresh form is not said at all: a model's template may say it.
    """
    body: dict[str, Any] = {name: values[name] for name in _PLAIN if values[name] != FRESH[name]}
    if values["overwrite"]:
        body["overwrite"] = True
    if command := _words(values["command"]):
        body["command"] = command
    if env := _variables(values["env"]):
        body["env"] = env
    if values["verify"] != FRESH["verify"]:
        body["verify"] = _policy(values)
    if values["range_start"] or values["range_end"]:
        body["chunk_range"] = {"start": values["range_start"] or "0", "end": values["range_end"]}
    if values["chunk_by"] in _CHUNKS:
        body[_CHUNKS[values["chunk_by"]]] = values["chunk_size"]
    limits: dict[str, Any] = {name: values[name] for name in _LIMITS if values[name]} | _bytes(values, "memory_mib")
    retry = {name: values[name] for name in ("max_errors", "max_attempts") if values[name]}
    needs: dict[str, Any] = {
        name: values[f"needs_{name}"] for name in ("cores", "accelerators") if values[f"needs_{name}"]
    }
    needs |= _bytes(values, "needs_memory_mib")
    if values["volunteers"]:
        needs["volunteers"] = True
    body |= {name: part for name, part in (("limits", limits), ("retry", retry), ("requirements", needs)) if part}
    for name, value in _more(values["more"]).items():
        known = body.get(name)
        body[name] = {**value, **known} if isinstance(known, dict) and isinstance(value, dict) else value
    try:
        return JobRequest.model_validate(body)
    except ValidationError as wrong:
        raise _of_validation(wrong) from None


def _words(text: str) -> list[str]:
    """As a shell would split it; nothing is substituted."""
    try:
        return shlex.split(text)
    except ValueError:
        raise _wrong("command", "has a quotation mark without its partner", "Close it.") from None


def _variables(text: str) -> dict[str, str]:
    """NAME=VALUE, one a line."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, equals, value = line.partition("=")
        if not line.strip():
            continue
        if not equals:
            raise _wrong("env", f"has a line without =: {line[:60]!r}", "Write NAME=VALUE, one a line.")
        found[name.strip()] = value
    return found


def _policy(values: Mapping[str, str]) -> str:
    if values["verify"] != "quorum":
        return values["verify"]
    return f"quorum:{values['quorum']}:{values['compare']}"


def _bytes(values: Mapping[str, str], name: str) -> dict[str, Any]:
    if not values[name]:
        return {}
    try:
        return {"memory_bytes": int(float(values[name]) * MIB)}
    except (ValueError, OverflowError):
        raise _wrong(name, "is not a number", "Give MiB, as 512.") from None


def _more(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _wrong("more", "is not JSON", 'Write an object, as {"reuse": "never"}.') from None
    if not isinstance(found, dict):
        raise _wrong("more", "is not an object", 'Write an object, as {"reuse": "never"}.')
    return found


def _wrong(field: str, what: str, remedy: str, code: Code = Code.BAD_REQUEST) -> Refusal:
    return Refusal(code, f"It {what}.", remedy, {"field": field})


def _of_validation(wrong: ValidationError) -> Refusal:
    """The first thing that is wrong, with its field; shows no value."""
    first = wrong.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    refusal = Refusal(Code.BAD_REQUEST, f"{first['msg']}.", "Correct it.", {"field": place})
    if field_of(refusal) == "more":  # what has no field of its own must be named
        refusal.message = f"{place}: {refusal.message}"
    return refusal


def field_of(refusal: Refusal) -> str:
    """The field that a refusal belongs beside; "" for the form as a whole."""
    named = refusal.details.get("field")
    if isinstance(named, str):
        for name in (named, named.rpartition(".")[2]):
            found = _OF_REQUEST.get(name, name)
            if found in FIELDS:
                return found
        return _OF_REQUEST.get(named.partition(".")[0], "more")
    return _OF_CODE.get(refusal.code, "")


def values_of_spec(spec: JobSpec) -> dict[str, str]:
    """A form that asks for the same job again: under another id, and its output not at the same place."""
    values = dict(FRESH)
    chunking, limits, needs, given = spec.chunking, spec.limits, spec.requirements, spec.input
    values |= {
        "name": spec.name,
        "input_uri": given.uri,
        "input_format": given.format,
        "model": spec.model,
        "container_image": spec.image.reference if spec.image and not spec.model else "",
        "command": "" if spec.model else shlex.join(spec.command),
        "env": "\n".join(f"{name}={value}" for name, value in spec.env.items()),
        "contract": spec.contract,
        "item_timeout_seconds": _number(limits.item_timeout_seconds),
        "chunk_timeout_seconds": _said(limits.chunk_timeout_seconds, Limits().chunk_timeout_seconds),
        "memory_mib": _number(limits.memory_bytes and limits.memory_bytes / MIB),
        "cpus": _number(limits.cpus),
        "max_errors": _said(spec.retry.max_errors, RetryPolicy().max_errors),
        "max_attempts": _said(spec.retry.max_attempts, RetryPolicy().max_attempts),
        "worker_label": needs.label or "",
        "engine": needs.engine or "",
        "needs_memory_mib": _number(needs.memory_bytes / MIB),
        "needs_cores": _number(needs.cores),
        "needs_accelerators": _number(needs.accelerators),
        "volunteers": "1" if needs.volunteers else "",
        "priority": str(spec.priority),
        "more": _rest(spec),
    }
    if given.range is not None:
        values |= {"range_start": str(given.range.start), "range_end": str(given.range.end)}
    for word, size in (("items", chunking.items), ("bytes", chunking.size_bytes), ("chunks", chunking.chunks)):
        if size is not None:
            values |= {"chunk_by": word, "chunk_size": str(size)}
    if spec.verify.method is VerifyMethod.QUORUM:
        values |= {"verify": "quorum", "quorum": str(spec.verify.quorum), "compare": spec.verify.compare}
    return values


def _said(value: float, usual: float) -> str:
    return "" if value == usual else _number(value)


def _number(value: float | None) -> str:
    return "" if not value else f"{value:.12g}"


def _replication(policy: VerifyPolicy, volunteers: bool) -> dict[str, Any]:
    usual = VerifyPolicy(distinct=usual_distinct(policy, volunteers=volunteers))
    names = ("adaptive", "homogeneous", "distinct")
    return {name: getattr(policy, name) for name in names if getattr(policy, name) != getattr(usual, name)}


def _rest(spec: JobSpec) -> str:
    """What has no field of its own, where it is not what it would be without being said."""
    fresh = JobRequest(input_uri=spec.input.uri)
    body: dict[str, Any] = {name: getattr(spec, name) for name in _SPEC_TO_MORE}
    body["outbound"] = spec.outbound or None
    body["verify"] = verify_text(spec.verify) if spec.verify.compare == "numeric" else fresh.verify
    for part, shown in (
        ("limits", {*_LIMITS, "memory_bytes"}),
        ("retry", {"max_errors", "max_attempts"}),
        ("plugins", set()),
        ("http", set()),
    ):
        asked, usual = getattr(spec, part), getattr(fresh, part)
        names = [name for name in type(usual).model_fields if name not in shown]
        body[part] = {name: getattr(asked, name) for name in names if getattr(asked, name) != getattr(usual, name)}
    body["replication"] = _replication(spec.verify, spec.requirements.volunteers)
    said = {name: value for name, value in body.items() if value not in (getattr(fresh, name, None), None, {})}
    return json.dumps(said, indent=1) if said else ""
