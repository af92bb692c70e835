"""POST /boinc/cgi: the scheduler call. Here BOINC's words become control's, and back. Every answer is 200 and XML.

Hot: one visit to a thread; the body is read raw, whatever its Content-Type says.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fallow.control.boinc.app_versions import ANY_CLIENT, CUDA, DOCKER
from fallow.control.boinc.calls import Call, Notice, Outcome
from fallow.control.boinc.hosts import Introduction, facts_of
from fallow.control.boinc.uploads import ROW_BYTES_MAX
from fallow.control.boinc.users import BoincCaller
from fallow.core.deadlines import Wanted
from fallow.core.refusals import Code, Refusal
from fallow.core.volunteers import HostFacts
from fallow.protocols.boinc import names
from fallow.protocols.boinc.accounts import email_hash, external_cpid
from fallow.protocols.boinc.messages import (
    AppVersionXml,
    ClientFile,
    ClientResult,
    Credits,
    HostXml,
    Message,
    SchedulerReply,
    SchedulerRequest,
    UserXml,
)
from fallow.protocols.boinc.platforms import oci_platform
from fallow.protocols.boinc.reply import render
from fallow.protocols.boinc.request import parse_request
from fallow.protocols.boinc.xml import Unreadable
from fallow.protocols.rest import work as wire
from fallow.store.port import AppVersionRow, Earned
from fallow.web.boinc.answers import returned
from fallow.web.boinc.task_xml import task_xml
from fallow.web.boinc.threads import in_call_thread
from fallow.web.boinc.uploads import answer_file
from fallow.web.deps import Door, door_of
from fallow.web.streams import bounded_body

_ENCODE: Final = msgspec.json.Encoder().encode
_BAD_KEY_SECONDS: Final = 3600.0
_NO_PROGRAM_SECONDS: Final = 86_400.0  # nothing will change soon
_SOON_SECONDS: Final = 3600.0  # an operator may sign, an owner may change a preference
_DOCKER_SINCE: Final = (8, 2, 0)  # clients that look for a container engine themselves
_DISK_BYTES: Final = 2e9
_RESULTS_MAX: Final = 1000  # of one call; what is not acknowledged is reported again
_CORES_MAX: Final = 1024  # that a client is believed to have
_ACCELERATORS_MAX: Final = 64
_KINDS: Final = {"NVIDIA": "nvidia", "ATI": "amd"}
_ENGINES: Final = {1: "docker", 2: "podman"}
_CONTRACTS: Final = ("stream", "http", "files", "direct")
_LATER: Final = (Code.STORAGE_UNREACHABLE, Code.STORAGE_FULL, Code.STATE_CONFLICT)
_BAD_KEY: Final = "Invalid or missing account key.  To fix, remove and add this project."
_OTHER_KEY: Final = (
    "This project signs its programs with another key than the one your client trusts. To fix, remove and add this "
    "project."
)


async def call(request: Request) -> Response:
    """One client's call."""
    door = door_of(request)
    try:
        body = await bounded_body(request.receive, door.settings.request_bytes_max)
    except Refusal as refusal:
        return _xml(_unanswered(door, str(refusal)))
    master = f"{request.url.scheme}://{request.url.netloc}/boinc/"
    answer = await in_call_thread(partial(_answered, door, body, master))
    return Response(answer, media_type="text/xml")


def _answered(door: Door, body: bytes, master_url: str) -> bytes:
    try:
        request = parse_request(body)
    except Unreadable as wrong:
        return render(_unanswered(door, f"Error in request message: {wrong}"))
    try:
        who = door.people.boinc_users.identify(request.authenticator)
        return _call(door, who, request, master_url)
    except Refusal as refusal:
        if refusal.code in (Code.UNAUTHENTICATED, Code.FORBIDDEN):
            said = _BAD_KEY if refusal.code is Code.UNAUTHENTICATED else str(refusal)
            return render(_unanswered(door, said, urgent=True, seconds=_BAD_KEY_SECONDS))
        if refusal.code in _LATER:
            return render(replace(_unanswered(door, str(refusal)), is_down=True))
        if refusal.code is Code.TOO_MANY:
            return render(_unanswered(door, str(refusal), urgent=True, seconds=_BAD_KEY_SECONDS))
        raise


def _call(door: Door, who: BoincCaller, request: SchedulerRequest, master_url: str) -> bytes:
    by_id = {number: name for name in request.held or () if (number := names.result_id_of(name)) is not None}
    strangers = tuple(name for name in request.held or () if names.result_id_of(name) is None)
    taken = request.results[:_RESULTS_MAX]
    reported = {number: result for result in taken if (number := names.result_id_of(result.name)) is not None}
    rest = (names.result_id_of(result.name) for result in request.results[_RESULTS_MAX:])
    program, why_none = _program(door, request)
    asked = Call(
        introduction=_introduction(request),
        wanted=_wanted(request),
        returned=[returned(door, number, result) for number, result in reported.items()],
        held=None if request.held is None else set(by_id),
        dont_send_work=request.dont_send_work,
        later={number for number in rest if number is not None},
    )
    outcome = door.boinc.calls.call(who, asked, may_send=program is not None)
    _ring(door, outcome, reported)
    acked = (result.name for result in taken if names.result_id_of(result.name) not in outcome.later)
    notices = [*outcome.notices, *([Notice(why_none, urgent=True)] if why_none else [])]
    reply = SchedulerReply(
        project_name=door.settings.boinc_name,
        request_delay_seconds=_patience(door, request) if why_none else outcome.request_delay_seconds,
        next_rpc_seconds=0.0 if why_none else door.settings.boinc_poll_seconds,
        master_url=master_url if master_url == f"{door.settings.base_url}/boinc/" else "",
        messages=tuple(Message(each.text, each.urgent) for each in notices),
        user=_user(who),
        host=_host(outcome),
        acks=tuple(acked),
        aborts=(*strangers, *(by_id[number] for number in outcome.aborts)),
        aborts_if_not_started=tuple(by_id[number] for number in outcome.aborts_unstarted),
    )
    return render(_with_tasks(door, reply, outcome, request, program))


def _with_tasks(
    door: Door, reply: SchedulerReply, outcome: Outcome, request: SchedulerRequest, program: AppVersionRow | None
) -> SchedulerReply:
    """The reply with the tasks and what they need: the program and, for a client that has none, our key."""
    said_key = request.said_code_sign_key
    if not said_key:
        reply = replace(reply, code_sign_key=door.boinc.versions.code_sign_key())
    elif not door.boinc.versions.has_key(said_key) and (heir := door.boinc.versions.successor_of(said_key)):
        reply = replace(reply, code_sign_key=heir.public_text, code_sign_key_signature=heir.signature)
    if program is None or not (outcome.given or outcome.resent):
        return reply
    facts = facts_of(outcome.met.host)
    cuda = door.boinc.versions.newest(request.platforms, (CUDA,)) or program
    tasks, used = [], {}
    for result, job, chunks in (
        *((task.result, task.job, task.everything) for task in outcome.resent),
        *((given.result, given.job, given.chunks) for given in outcome.given),
    ):
        version = cuda if job.spec.requirements.accelerators else program
        used[version.file_name] = version
        tasks.append(task_xml(door, version, facts, result, job, chunks))
    return replace(
        reply,
        app_name=names.APP_NAME,
        app_title=f"{door.settings.boinc_name}: batch inference in containers",
        app_versions=tuple(_version(door, each, facts) for each in used.values()),
        tasks=tuple(tasks),
    )


def _program(door: Door, request: SchedulerRequest) -> tuple[AppVersionRow | None, str]:
    """(what this client would run, why there is nothing)."""
    said_key = request.said_code_sign_key
    versions = door.boinc.versions
    if request.dont_use_docker:
        return None, "Your client is told not to use containers (dont_use_docker), and all tasks here are containers."
    if 0 < request.project_disk_bytes < _DISK_BYTES:
        said = f"Tasks need {_DISK_BYTES / 1e9:g} GB of disk, and your client lets this project use "
        return None, f"{said}{request.project_disk_bytes / 1e9:.1f} GB. Raise the limit in its preferences."
    if said_key and not versions.has_key(said_key) and versions.successor_of(said_key) is None:
        return None, _OTHER_KEY
    knows_engines = request.client_version >= _DOCKER_SINCE and request.host.docker_version
    found = versions.newest(request.platforms, (DOCKER, ANY_CLIENT) if knows_engines else (ANY_CLIENT,))
    return found, "" if found is not None else versions.why_none(request.platforms)


def _patience(door: Door, request: SchedulerRequest) -> float:
    """How long a client that has nothing to run stays away."""
    return _SOON_SECONDS if door.boinc.versions.knows(request.platforms) else _NO_PROGRAM_SECONDS


def _version(door: Door, row: AppVersionRow, facts: HostFacts) -> AppVersionXml:
    is_cuda = row.plan_class == CUDA
    return AppVersionXml(
        app_name=names.APP_NAME,
        version_num=row.version_num,
        platform=row.platform,
        plan_class=row.plan_class,
        file_name=row.file_name,
        url=f"{door.settings.base_url}/boinc/download/{row.file_name}",
        size_bytes=row.size_bytes,
        signature=row.signature,
        cores=1.0,
        flops=max(facts.flops, 1e8),
        coprocessor_kind="NVIDIA" if is_cuda else "",
        coprocessors=1.0 if is_cuda else 0.0,
    )


def _ring(door: Door, outcome: Outcome, reported: Mapping[int, ClientResult]) -> None:
    """Wakes who has something to do now, and forgets uploads whose answers are in rows."""
    for verdict in ("accepted", "late", "refused"):
        if count := sum(each.verdict == verdict for each in outcome.verdicts):
            door.counters.reported(verdict, count)
    if outcome.given:
        door.counters.leased(sum(len(given.chunks) for given in outcome.given))
    if outcome.verdicts:
        for name in ("verifier-0", "answers", "transitioner", "creditor"):
            door.ring(name)
    if large := [number for number in outcome.over if any(map(_is_object, reported[number].files))]:
        door.boinc.uploads.forget([answer_file(door, number) for number in large])


def _is_object(file: ClientFile) -> bool:
    return file.size_bytes > ROW_BYTES_MAX


def _introduction(request: SchedulerRequest) -> Introduction:
    host = request.host
    facts = _facts(request)
    several = request.allow_multiple_clients or not host.name
    alike = (host.name, host.address, host.os_name, host.vendor, host.model, f"{host.memory_bytes:.0f}")
    return Introduction(
        host_id=request.host_id,
        rpc_seqno=request.rpc_seqno,
        cpid=host.cpid,
        likeness="" if several else "|".join(alike)[:1000],
        name=host.name[:200] or "boinc",
        facts=facts,
        capability=_capability(request, facts),
        venue=request.venue[:40],
        label_said=request.worker_label[:40] or None,
    )


def _facts(request: SchedulerRequest) -> HostFacts:
    host, preferences = request.host, request.preferences
    major, minor, release = request.client_version
    return HostFacts(
        os=" ".join((host.os_name, host.os_version)).strip()[:200],
        vendor=host.vendor[:100],
        model=host.model[:200],
        platform=oci_platform(request.platforms),
        cores=max(1.0, float(int(min(host.cores, _CORES_MAX) * preferences.cores_fraction))),
        flops=host.flops or 1e9,
        memory_bytes=int(host.memory_bytes * preferences.memory_fraction),
        disk_bytes=int(request.project_disk_bytes),
        on_fraction=request.on_fraction,
        active_fraction=request.active_fraction,
        client_version=major * 10_000 + minor * 100 + release,
        engine="" if request.dont_use_docker else _ENGINES.get(host.docker_type, ""),
        address=host.address[:64],
    )


def _capability(request: SchedulerRequest, facts: HostFacts) -> str:
    """In the form of other workers. Which engine an old client's machine has is not known before its runner says."""
    accelerators = [
        wire.Accelerator(_KINDS[each.kind], each.model[:100], each.memory_bytes)
        for each in request.host.coprocessors
        if each.kind in _KINDS
        for _ in range(min(max(each.count, 0), 64))
    ]
    said = wire.CapabilityMessage(
        platform=facts.platform,
        cores=facts.cores,
        memory_bytes=facts.memory_bytes,
        disk_bytes=facts.disk_bytes,
        slots=max(1, int(facts.cores)),
        engines=(facts.engine,) if facts.engine else ("podman", "docker"),
        contracts=_CONTRACTS,
        accelerators=tuple(accelerators[:_ACCELERATORS_MAX]),
        version="BOINC " + ".".join(map(str, request.client_version)),
    )
    return _ENCODE(said).decode()


def _wanted(request: SchedulerRequest) -> Wanted:
    coprocessors = request.host.coprocessors
    return Wanted(
        seconds=max([request.wanted_seconds, *(each.wanted_seconds for each in coprocessors)]),
        instances=max([request.wanted_instances, *(each.wanted_instances for each in coprocessors)]),
        delay_seconds=request.estimated_delay_seconds,
    )


def _user(who: BoincCaller) -> UserXml:
    user, email = who.user, who.account.email or ""
    return UserXml(
        user_id=user.user_id,
        name=who.name,
        created_at=user.created_at / 1e6,
        email_hash=email_hash(email),
        cross_project_id=user.cpid,
        external_cpid=external_cpid(user.cpid, email),
        credits=_credits(user.earned),
        team_id=user.team_id or 0,
    )


def _host(outcome: Outcome) -> HostXml:
    host = outcome.met.host
    return HostXml(
        new_id=host.host_id if outcome.met.is_new_id else None,
        created_at=host.created_at / 1e6,
        venue=host.venue,
        credits=_credits(host.earned),
    )


def _credits(earned: Earned) -> Credits:
    return Credits(earned.total, earned.average)


def _unanswered(door: Door, said: str, *, urgent: bool = False, seconds: float | None = None) -> SchedulerReply:
    delay = door.settings.boinc_call_seconds if seconds is None else seconds
    return SchedulerReply(door.settings.boinc_name, delay, messages=(Message(said, urgent),))


def _xml(reply: SchedulerReply) -> Response:
    return Response(render(reply), media_type="text/xml")


routes = [Route("/cgi", call, methods=["POST"])]
