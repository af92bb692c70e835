"""People's calls about BOINC: their keys, the keys of their machines, the machines."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from fallow.control.boinc.host_list import ListedHost
from fallow.control.callers import Caller
from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.boinc import (
    BoincKey,
    HostList,
    HostView,
    NewWorkerKey,
    WorkerKeyList,
    WorkerKeyRequest,
    WorkerKeyView,
)
from fallow.protocols.rest.jobs import is_job_id, moment
from fallow.protocols.rest.submissions import check_texts
from fallow.store.port import WorkerKeyRow
from fallow.web.boinc.attach import attach_line, master_url
from fallow.web.deps import Door, TheDoor, Who

router = APIRouter(prefix="/api/boinc", tags=["boinc"])
Account = Annotated[
    str | None, Query(min_length=1, max_length=64, description="Whose, for operators. Default: one's own.")
]


@router.get("/key")
def key(door: TheDoor, who: Who, account_id: Account = None) -> BoincKey:
    """The key with which BOINC clients attach and BOINC's submit calls are made."""
    return _key(door, who, _named(account_id))


@router.post("/key/renew")
def renew(door: TheDoor, who: Who, account_id: Account = None) -> BoincKey:
    """A new key. The old one opens nothing any more: machines that have it must be attached anew."""
    door.people.boinc_users.renew(who, _named(account_id))
    return _key(door, who, _named(account_id))


@router.get("/worker-keys")
def worker_keys(door: TheDoor, who: Who, account_id: Account = None) -> WorkerKeyList:
    """Keys of single machines that are not revoked. The keys themselves are never shown again."""
    return WorkerKeyList(keys=[_worker_key(row) for row in door.people.worker_keys.listed(who, _named(account_id))])


@router.post("/worker-keys", status_code=201)
def create(door: TheDoor, who: Who, request: WorkerKeyRequest) -> NewWorkerKey:
    """A key for one machine: the first that uses it. `key` is shown this once."""
    check_texts(request.model_dump())
    row, secret = door.people.worker_keys.create(who, request.name, _named(request.account_id))
    line = attach_line(door.settings, secret)
    return NewWorkerKey(key_id=row.key_id, name=row.name, key=secret, url=master_url(door.settings), attach=line)


@router.delete("/worker-keys/{key_id}", status_code=204)
def revoke(door: TheDoor, who: Who, key_id: str, account_id: Account = None) -> Response:
    """The machine that has it gets no work any more."""
    if not is_job_id(key_id):
        raise Refusal(Code.NOT_FOUND, "There is no such key.", "See fallow boinc worker-keys.")
    door.people.worker_keys.revoke(who, key_id, _named(account_id))
    return Response(status_code=204)


@router.get("/hosts")
def hosts(
    door: TheDoor,
    who: Who,
    account_id: Account = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
) -> HostList:
    """Machines with a BOINC client, newest first: all for operators, one's own for others."""
    return HostList(hosts=[_host(each) for each in door.people.boinc_hosts.listed(who, _named(account_id), limit)])


def _key(door: Door, who: Caller, account_id: str | None) -> BoincKey:
    users = door.people.boinc_users
    user = users.own_user(who, account_id)
    shown = users.key_of(user)
    return BoincKey(
        account_id=user.account_id,
        user_id=user.user_id,
        key=shown,
        weak_key=users.weak_key_of(user),
        url=master_url(door.settings),
        attach=attach_line(door.settings, shown),
    )


def _worker_key(row: WorkerKeyRow) -> WorkerKeyView:
    return WorkerKeyView(key_id=row.key_id, name=row.name, host_id=row.host_id, created_at=moment(row.created_at) or "")


def _host(machine: ListedHost) -> HostView:
    host, facts = machine.host, machine.facts
    return HostView(
        host_id=host.host_id,
        worker_id=host.worker_id,
        account_id=host.account_id,
        name=machine.name,
        label=machine.label,
        os=facts.os,
        platform=facts.platform,
        client=client_version(facts.client_version),
        engine=facts.engine,
        cores=facts.cores,
        joined_at=moment(host.created_at) or "",
        called_at=moment(host.rpc_at) or "",
        credit_total=host.earned.total,
        credit_average=machine.average,
        images=machine.images,
        images_trusted=machine.images_trusted,
    )


def client_version(number: int) -> str:
    """As people write it: 72005 is 7.20.5."""
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}" if number > 0 else ""


def _named(account_id: str | None) -> str | None:
    """What cannot be an account's id names none. Raises Refusal NOT_FOUND."""
    if account_id is not None and not is_job_id(account_id):
        raise Refusal(Code.NOT_FOUND, "There is no such account.", "See fallow account list.")
    return account_id
