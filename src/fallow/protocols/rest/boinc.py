"""BOINC keys and machines, as the door says them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BoincKey(_Message):
    """key: BOINC's "authenticator": whoever has it computes, and submits, in the account's name. weak_key: may only
    compute. url: what BOINC clients attach to. attach: the command that attaches one."""

    account_id: str
    user_id: int
    key: str
    weak_key: str
    url: str
    attach: str


class WorkerKeyRequest(_Message):
    """POST /api/boinc/worker-keys. name: of the machine. account_id: for operators; default: one's own."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    account_id: Annotated[str | None, Field(max_length=64)] = None


class WorkerKeyView(_Message):
    """host_id: the machine that has it; null: none used it yet."""

    key_id: str
    name: str
    host_id: int | None
    created_at: str


class WorkerKeyList(_Message):
    keys: list[WorkerKeyView]


class NewWorkerKey(_Message):
    """key: shown this once. attach: the command that attaches the machine with it."""

    key_id: str
    name: str
    key: str
    url: str
    attach: str


class HostView(_Message):
    """A machine with a BOINC client. credit_average: a day's worth, fading. images_trusted: of so many images its word
    is enough, of those it computed with (images). client: the client's version, such as "7.20.5"."""

    host_id: int
    worker_id: str
    account_id: str
    name: str
    label: str | None
    os: str
    platform: str
    client: str
    engine: str
    cores: float
    joined_at: str
    called_at: str
    credit_total: float
    credit_average: float
    images: int
    images_trusted: int


class HostList(_Message):
    hosts: list[HostView]
