"""What a submitter asks for, parsed but not yet checked against the world. Intake turns it into a JobSpec."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fallow.core.job import (
    Chunking,
    HttpService,
    Image,
    ItemRange,
    Limits,
    Plugins,
    Requirements,
    RetryPolicy,
    VerifyPolicy,
)
from fallow.core.words import Contract, InputFormat, Reuse


@dataclass(frozen=True, slots=True)
class Submission:
    """None and empty mean: not said. image: a reference as people write it, "oci:DIR" for a layout on the server's
    disk, or None to run `command` without a container. outbound None: as the contract has it. model: whose
    template this is; resolved: the image, as it was found when the model was added."""

    input_uri: str
    job_id: str | None = None
    input_format: InputFormat | None = None
    range: ItemRange | None = None
    output_uri: str | None = None
    overwrite: bool = False
    image: str | None = None
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    contract: Contract = Contract.STREAM
    reuse: Reuse = Reuse.JOB
    harness: bool | None = None
    outbound: bool | None = None
    chunking: Chunking = Chunking()
    verify: VerifyPolicy = VerifyPolicy()
    limits: Limits = Limits()
    retry: RetryPolicy = RetryPolicy()
    requirements: Requirements = Requirements()
    plugins: Plugins = Plugins()
    priority: int = 0
    expires_seconds: int | None = None
    retention_seconds: int | None = None
    name: str = ""
    http: HttpService = HttpService()
    model: str = ""
    resolved: Image | None = None
    feed: bool = False
