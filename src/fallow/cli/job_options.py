"""What may be said about a job on a command line: `run` and `submit` take the same words."""

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_type_hints

import typer

from fallow.cli.options import seconds, size_bytes
from fallow.core.refusals import Code, Refusal


@dataclass(frozen=True, slots=True)
class JobOptions:
    """One field an option. Texts with units are parsed by request_fields()."""

    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", help="Run this in the image instead of its own command."),
    ] = None
    image: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Container image: a reference, or oci:DIR for a layout.")
    ] = None
    engine: Annotated[
        Literal["podman", "docker", "process"] | None,
        typer.Option(help="What runs it. process: the bare command, without a container."),
    ] = None
    contract: Annotated[Literal["stream", "http", "files", "direct"], typer.Option(help="How the image is run.")] = (
        "stream"
    )
    http_port: Annotated[int | None, typer.Option(metavar="N", help="Contract http: the image's port.")] = None
    http_path: Annotated[
        str | None, typer.Option(metavar="PATH", help="Contract http: where items go that are not request lines.")
    ] = None
    http_health: Annotated[
        str | None, typer.Option(metavar="PATH", help="Contract http: answers 2xx when the image is ready.")
    ] = None
    http_concurrency: Annotated[
        int | None, typer.Option(metavar="N", help="Contract http: requests at once, at most.")
    ] = None
    chunk_items: Annotated[int | None, typer.Option(metavar="N", help="Items a chunk. Default: chosen.")] = None
    chunk_bytes: Annotated[str | None, typer.Option(metavar="SIZE", help="Bytes a chunk, such as 1M.")] = None
    num_chunks: Annotated[int | None, typer.Option(metavar="N", help="Cut the input into so many chunks.")] = None
    items: Annotated[str | None, typer.Option(metavar="A-B", help="Only items A to B, from 0, both included.")] = None
    verify: Annotated[str, typer.Option(metavar="RULE", help="hash, or quorum:N[:exact|json|numeric].")] = "hash"
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="With a quorum: a trusted worker's answer is enough by itself.")
    ] = False
    homogeneous: Annotated[
        Literal["none", "vendor", "model"],
        typer.Option(help="With a quorum: a chunk's answers from one vendor or model of machine."),
    ] = "none"
    distinct: Annotated[
        Literal["worker", "account"] | None,
        typer.Option(
            help="With a quorum: a chunk's answers from different ones. Default: worker; account with --volunteers."
        ),
    ] = None
    volunteers: Annotated[
        bool, typer.Option("--volunteers", help="Strangers' BOINC machines may run it, and see image and items.")
    ] = False
    format: Annotated[
        Literal["jsonl", "text", "csv", "parquet", "objects", "bundles"] | None,
        typer.Option(help="The input's format. Default: by its name."),
    ] = None
    label: Annotated[Literal["edge", "on_prem", "cloud"] | None, typer.Option(help="Only workers with this label.")] = (
        None
    )
    item_timeout: Annotated[str | None, typer.Option(metavar="TIME", help="Longest for one item, such as 30s.")] = None
    chunk_timeout: Annotated[str | None, typer.Option(metavar="TIME", help="Longest for one chunk.")] = None
    start_timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Longest from a container's start to its first answer.")
    ] = None
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="Memory a container may use, such as 2G.")] = None
    cpus: Annotated[float | None, typer.Option(metavar="N", help="Cores a container may use.")] = None
    pids: Annotated[int | None, typer.Option(metavar="N", help="Processes and threads a container may have.")] = None
    tmp: Annotated[str | None, typer.Option(metavar="SIZE", help="Size of a container's /tmp, in memory.")] = None
    max_errors: Annotated[int | None, typer.Option(metavar="N", help="Failures of one chunk that are too many.")] = None
    max_attempts: Annotated[int | None, typer.Option(metavar="N", help="Attempts at one chunk, at most.")] = None
    error_threshold: Annotated[
        float | None, typer.Option(metavar="F", help="The job fails when more than this fraction of items does.")
    ] = None
    env: Annotated[list[str] | None, typer.Option(metavar="K=V", help="A variable for the container; repeatable.")] = (
        None
    )
    reuse: Annotated[
        Literal["job", "never"], typer.Option(help="job: a container serves several chunks. never: one each.")
    ] = "job"
    harness: Annotated[
        bool | None, typer.Option(help="Whether the image uses fallow.harness. Default: as its label says.")
    ] = None
    outbound: Annotated[bool | None, typer.Option(help="Whether containers may reach the network.")] = None
    priority: Annotated[int, typer.Option(metavar="N", help="Higher goes first; 0 is usual.")] = 0
    cores: Annotated[float | None, typer.Option(metavar="N", help="Cores a worker must have.")] = None
    accelerators: Annotated[int | None, typer.Option(metavar="N", help="Accelerators a worker must have.")] = None
    planner: Annotated[
        str, typer.Option(metavar="PLUGIN", help="What makes the items: an entry point, or exec:/path/to/program.")
    ] = ""
    verifier: Annotated[str, typer.Option(metavar="PLUGIN", help="What else judges and compares answers.")] = ""
    assimilator: Annotated[str, typer.Option(metavar="PLUGIN", help="What is told when the outputs are there.")] = ""
    expires: Annotated[str | None, typer.Option(metavar="TIME", help="Give the job up after this long.")] = None
    retention: Annotated[
        str | None, typer.Option(metavar="TIME", help="Keep a finished job's artifacts this long.")
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that are there.")] = False
    job_id: Annotated[str | None, typer.Option(metavar="ID", help="Name the job. Default: chosen.")] = None
    name: Annotated[str, typer.Option(metavar="TEXT", help="A name for people.")] = ""


def with_job_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options of a job: its parameter `options` becomes one parameter for each field.

    Its first parameter stays first, because the command's words follow it.
    """
    hints = get_type_hints(JobOptions, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [
        each.replace(kind=keyword)
        for each in inspect.signature(function, eval_str=True).parameters.values()
        if each.name != "options"
    ]
    shared = [
        inspect.Parameter(field.name, keyword, default=field.default, annotation=hints[field.name])
        for field in fields(JobOptions)
    ]

    def command(**given: Any) -> Any:
        options = JobOptions(**{field.name: given.pop(field.name) for field in fields(JobOptions)})
        return function(options=options, **given)

    functools.update_wrapper(command, function)
    del command.__wrapped__  # type: ignore[attr-defined]  # else the signature below is not looked at
    command.__signature__ = inspect.Signature([own[0], *shared, *own[1:]])  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in (*own, *shared)}
    return command


def request_fields(options: JobOptions) -> dict[str, Any]:
    """The members of a JobRequest that the options say; None where they say nothing."""
    limits = {
        "item_timeout_seconds": seconds(options.item_timeout),
        "chunk_timeout_seconds": seconds(options.chunk_timeout),
        "start_timeout_seconds": seconds(options.start_timeout),
        "memory_bytes": size_bytes(options.memory),
        "cpus": options.cpus,
        "pids": options.pids,
        "tmp_bytes": size_bytes(options.tmp),
    }
    http = {
        "port": options.http_port,
        "path": options.http_path,
        "health_path": options.http_health,
        "concurrency_max": options.http_concurrency,
    }
    retry = {
        "max_errors": options.max_errors,
        "max_attempts": options.max_attempts,
        "error_threshold": options.error_threshold,
    }
    plugins = {
        "planner": options.planner or None,
        "verifier": options.verifier or None,
        "assimilator": options.assimilator or None,
    }
    replication = {
        "adaptive": options.adaptive or None,
        "homogeneous": options.homogeneous if options.homogeneous != "none" else None,
        "distinct": options.distinct,
    }
    needs = {
        "cores": options.cores,
        "accelerators": options.accelerators,
        "volunteers": options.volunteers or None,
    }
    return {
        "container_image": options.image,
        "engine": options.engine,
        "command": options.command or None,
        "env": _env(options.env or []) or None,
        "contract": options.contract,
        "http": _said(http),
        "reuse": options.reuse,
        "harness": options.harness,
        "outbound": options.outbound,
        "chunk_items": options.chunk_items,
        "chunk_bytes": size_bytes(options.chunk_bytes),
        "num_chunks": options.num_chunks,
        "chunk_range": _range(options.items),
        "verify": options.verify,
        "input_format": options.format,
        "worker_label": options.label,
        "limits": _said(limits),
        "retry": _said(retry),
        "requirements": _said(needs),
        "replication": _said(replication),
        "plugins": _said(plugins),
        "expires_seconds": _whole(seconds(options.expires)),
        "retention_seconds": _whole(seconds(options.retention)),
        "priority": options.priority or None,
        "overwrite": options.overwrite or None,
        "job_id": options.job_id,
        "name": options.name or None,
    }


def fields_beside(model: str, options: JobOptions) -> dict[str, Any]:
    """The same for a job of a model: what the options do not say is the model's."""
    silent = request_fields(JobOptions())
    said = {name: value for name, value in request_fields(options).items() if value != silent[name]}
    return {**said, "model": model}


def _whole(length: float | None) -> int | None:
    return None if length is None else int(length)


def check_what_runs(options: JobOptions) -> None:
    """Raises Refusal when there is neither an image nor a command, or both where only one can be."""
    if options.engine == "process" and options.image:
        raise Refusal(
            Code.BAD_REQUEST, "The engine process runs no images.", "Leave out --image, or leave out --engine process."
        )
    if options.engine == "process" and not options.command:
        raise Refusal(
            Code.BAD_REQUEST, "There is no command to run.", "Give it behind --, such as: -- python3 model.py"
        )
    if options.engine != "process" and not options.image:
        raise Refusal(
            Code.BAD_REQUEST,
            "There is nothing to run.",
            "Name an image with --image; or a command behind --, with --engine process --allow-process.",
        )


def quorum_of(verify: str) -> int:
    """How many answers the rule wants; 1 where it is no quorum. Its spelling is checked by the server."""
    match = re.match(r"quorum:([0-9]{1,4})(?::|\Z)", verify)
    return max(1, int(match[1])) if match else 1


def _env(pairs: list[str]) -> dict[str, str]:
    wrong = next((pair for pair in pairs if "=" not in pair), None)
    if wrong is not None:
        raise Refusal(Code.BAD_REQUEST, f"--env {wrong!r} has no value.", "Write --env NAME=VALUE.")
    return dict(pair.split("=", 1) for pair in pairs)


def _range(text: str | None) -> dict[str, int] | None:
    if text is None:
        return None
    match = re.match(r"([0-9]{1,18})-([0-9]{1,18})\Z", text)
    if not match:
        raise Refusal(
            Code.RANGE_INVALID, f"{text!r} is not a range of items.", "Write --items 0-99 for the first hundred."
        )
    return {"start": int(match[1]), "end": int(match[2])}


def _said(values: dict[str, Any]) -> dict[str, Any] | None:
    return {name: value for name, value in values.items() if value is not None} or None
