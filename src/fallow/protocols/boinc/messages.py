"""The scheduler call as values: what a BOINC client says, and what it is told.

Times are seconds since 1970 as floats where BOINC has them so; sizes are bytes. What a client did not say has the
default. Texts are as the client wrote them, bounded, without control characters.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientCoprocessor:
    """kind: "NVIDIA", "ATI", "intel_gpu", "apple_gpu" or what the client calls it. wanted_seconds: device-seconds."""

    kind: str
    model: str
    count: int
    memory_bytes: int
    wanted_seconds: float
    wanted_instances: float


@dataclass(frozen=True, slots=True)
class ClientFile:
    """An output file of a reported result, as the client has it. error: why it could not be uploaded, "" when it could:
    a client may say so here and nowhere else."""

    name: str
    size_bytes: int
    md5: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class ClientResult:
    """A finished result. client_state: 5 is uploaded. stderr: its stderr_txt or message, entities resolved, cut."""

    name: str
    exit_status: int
    client_state: int
    elapsed_seconds: float
    cpu_seconds: float
    stderr: str
    files: tuple[ClientFile, ...]


@dataclass(frozen=True, slots=True)
class HostInfo:
    """A machine in its client's words. flops: per core, measured by the client. docker_type: 1 Docker, 2 Podman."""

    cpid: str = ""
    name: str = ""
    address: str = ""
    timezone: int = 0
    cores: int = 1
    vendor: str = ""
    model: str = ""
    features: str = ""
    flops: float = 0.0
    memory_bytes: float = 0.0
    disk_total_bytes: float = 0.0
    disk_free_bytes: float = 0.0
    os_name: str = ""
    os_version: str = ""
    docker_version: str = ""
    docker_type: int = 0
    coprocessors: tuple[ClientCoprocessor, ...] = ()


@dataclass(frozen=True, slots=True)
class Preferences:
    """Limits in force, as fractions and bytes; 0: not said."""

    cores_fraction: float = 1.0
    memory_fraction: float = 0.9
    disk_bytes: float = 0.0
    venue: str = ""


@dataclass(frozen=True, slots=True)
class SchedulerRequest:
    """One scheduler call. held: names of results on the client that it does not report; None: it does not list them.
    on_fraction, active_fraction: how much of the time it runs and may compute, 0..1. wanted_seconds: of processors.
    worker_label: the seed's tag. said_code_sign_key: the key that the client holds, "" for none."""

    authenticator: str = ""
    host_id: int = 0
    rpc_seqno: int = 0
    client_version: tuple[int, int, int] = (0, 0, 0)
    platforms: tuple[str, ...] = ()
    allow_multiple_clients: bool = False
    dont_send_work: bool = False
    dont_use_docker: bool = False
    client_cap_plan_class: bool = False
    wanted_seconds: float = 0.0
    wanted_instances: float = 0.0
    estimated_delay_seconds: float = 0.0
    said_code_sign_key: str = ""
    cross_project_id: str = ""
    venue: str = ""
    worker_label: str = ""
    on_fraction: float = 1.0
    active_fraction: float = 1.0
    client_time: float = 0.0
    project_disk_bytes: float = 0.0
    host: HostInfo = HostInfo()
    preferences: Preferences = Preferences()
    results: tuple[ClientResult, ...] = ()
    held: tuple[str, ...] | None = None
    sticky_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """For people. urgent: shown as a notice, until the next reply that does not say it again; else only logged."""

    text: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Credits:
    total: float = 0.0
    average: float = 0.0


@dataclass(frozen=True, slots=True)
class UserXml:
    user_id: int
    name: str
    created_at: float
    email_hash: str
    cross_project_id: str
    external_cpid: str
    credits: Credits
    team_id: int = 0
    team_name: str = ""


@dataclass(frozen=True, slots=True)
class HostXml:
    """new_id: what the client shall call itself from now on; None: it knows."""

    new_id: int | None
    created_at: float
    venue: str
    credits: Credits


@dataclass(frozen=True, slots=True)
class AppVersionXml:
    """A signed program. signature, as in the file: five lines."""

    app_name: str
    version_num: int
    platform: str
    plan_class: str
    file_name: str
    url: str
    size_bytes: int
    signature: str
    cores: float
    flops: float
    coprocessor_kind: str = ""
    coprocessors: float = 0.0


@dataclass(frozen=True, slots=True)
class TaskXml:
    """One result with its workunit and its files. input_*: the ticket. extra: XML of ours that goes into the workunit
    as it is (the <ai_batch> block)."""

    name: str
    workunit: str
    app_name: str
    version_num: int
    platform: str
    plan_class: str
    deadline: int
    operations_estimated: float
    operations_max: float
    memory_bytes: float
    disk_bytes: float
    input_name: str
    input_url: str
    input_md5: str
    input_size_bytes: int
    output_name: str
    output_url: str
    output_size_bytes_max: int
    extra: str = ""


@dataclass(frozen=True, slots=True)
class SchedulerReply:
    """dont_use_dcf and scheduler_version are always said. code_sign_key: "" when the client has it.
    code_sign_key_signature: by the key that the client has, when ours is another one."""

    project_name: str
    request_delay_seconds: float
    next_rpc_seconds: float = 0.0
    master_url: str = ""
    messages: tuple[Message, ...] = ()
    user: UserXml | None = None
    host: HostXml | None = None
    acks: tuple[str, ...] = ()
    aborts: tuple[str, ...] = ()
    aborts_if_not_started: tuple[str, ...] = ()
    app_name: str = ""
    app_title: str = ""
    app_versions: Sequence[AppVersionXml] = ()
    tasks: Sequence[TaskXml] = ()
    code_sign_key: str = ""
    code_sign_key_signature: str = ""
    no_processors: bool = False
    is_down: bool = False
