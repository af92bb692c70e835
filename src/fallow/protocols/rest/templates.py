"""A model's template: a job request without an input, and what a submitter may say beside it."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.protocols.rest.jobs import JobRequest
from fallow.protocols.rest.submissions import submission_of

OF_THE_JOB: Final = frozenset(
    {"job_id", "input_uri", "input_format", "output_uri", "overwrite", "chunk_range", "model", "feed"}
)
"""Members of a request that no template has."""

OF_THE_MODEL: Final = frozenset(
    {"container_image", "command", "env", "contract", "http", "engine", "reuse", "harness", "outbound", "plugins"}
    | {"limits"}
)
"""What runs, and how: the operator's word, which a submitter who may use a model cannot change."""

_NO_INPUT: Final = "fallow:blobs/" + "0" * 64  # stands for the input where only the rest is looked at


def template_of(said: Mapping[str, Any]) -> tuple[dict[str, Any], Submission]:
    """The template's members, and what they ask for, checked as a job request is. Raises Refusal BAD_REQUEST."""
    _refuse(OF_THE_JOB & set(said), "A model's template cannot have {}.", "Each job says it for itself.")
    request = _parsed({**said, "input_uri": _NO_INPUT, "input_format": "jsonl"})
    kept = request.model_dump(mode="json", exclude_unset=True)
    return {name: value for name, value in kept.items() if name not in OF_THE_JOB}, submission_of(request)


def with_template(template: Mapping[str, Any], said: Mapping[str, Any]) -> JobRequest:
    """A request for a model: the template's members, and over them what the submitter says. Raises Refusal."""
    _refuse(OF_THE_MODEL & set(said), "{} cannot be chosen beside a model.", "Leave it out; the model has its own.")
    _refuse(_given_away(template, said), "{} cannot be chosen beside a model.", "Its operator says who may run it.")
    merged = dict(template)
    for name, value in said.items():
        under = merged.get(name)
        merged[name] = {**under, **value} if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return _parsed(merged)


def _given_away(template: Mapping[str, Any], said: Mapping[str, Any]) -> frozenset[str]:
    """Whether strangers would get a model that its operator keeps to the fleet."""
    asked, has = said.get("requirements"), template.get("requirements")
    wants = isinstance(asked, Mapping) and bool(asked.get("volunteers"))
    may = isinstance(has, Mapping) and bool(has.get("volunteers"))
    return frozenset({"requirements.volunteers"}) if wants and not may else frozenset()


def batch_submission(template: Mapping[str, Any], said: Mapping[str, Any]) -> Submission:
    """What a batch asks for: its input is looked up by the batch's own verb. Raises Refusal."""
    _refuse(OF_THE_JOB & set(said), "A batch cannot have {}.", "Leave it out.")
    asked = with_template(template, said)
    return submission_of(asked.model_copy(update={"input_uri": _NO_INPUT, "input_format": "jsonl"}))


def container_submission(said: Mapping[str, Any]) -> Submission:
    """The same for a batch that names its own image; `image` is short for `container_image`. Raises Refusal."""
    _refuse(OF_THE_JOB & set(said), "A batch cannot have {}.", "Leave it out.")
    renamed = {("container_image" if name == "image" else name): value for name, value in said.items()}
    return submission_of(_parsed({**renamed, "input_uri": _NO_INPUT, "input_format": "jsonl"}))


def _parsed(members: Mapping[str, Any]) -> JobRequest:
    try:
        return JobRequest.model_validate(members)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(each)[:80] for each in first["loc"])
        raise Refusal(
            Code.BAD_REQUEST, f"{name}: {first['msg'][:200]}.", "Correct the request.", {"field": name}
        ) from None


def _refuse(names: frozenset[str], message: str, remedy: str) -> None:
    if names:
        name = min(names)
        raise Refusal(Code.BAD_REQUEST, message.format(name), remedy, {"field": name})
