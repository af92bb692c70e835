"""The answer to a scheduler call as bytes, in the very shape that an unmodified client took.

Hot: texts are put together, nothing is built first. Every text that came from outside is escaped.
Source: BOINC sched/sched_types.cpp, SCHEDULER_REPLY::write().
"""

from collections.abc import Iterable
from typing import Final

from fallow.protocols.boinc.messages import (
    AppVersionXml,
    HostXml,
    Message,
    SchedulerReply,
    TaskXml,
    UserXml,
)
from fallow.protocols.boinc.xml import escaped

SCHEDULER_VERSION: Final = 803  # what a server of BOINC's release 8.3 says
API_VERSION: Final = "8.0.0"  # from 7.5 on no device is passed on the command line; from 6 on there is a memory file
TICKET_FILE: Final = "ticket.json"
ANSWER_FILE: Final = "answer.json"
MESSAGE_BYTES_MAX: Final = 1023  # the client has a buffer of 1,024


def render(reply: SchedulerReply) -> bytes:
    """UTF-8. Acknowledgements come before work, so that a reply that is cut off is not half believed: its end tag is
    missing."""
    return "".join(
        (
            f"<scheduler_reply>\n<scheduler_version>{SCHEDULER_VERSION}</scheduler_version>\n<dont_use_dcf/>\n",
            _field("master_url", reply.master_url),
            f"<request_delay>{reply.request_delay_seconds:f}</request_delay>\n",
            *map(_message, reply.messages),
            f"<project_name>{escaped(_bare(reply.project_name))}</project_name>\n",
            "<project_is_down/>\n" if reply.is_down else "",
            f"<next_rpc_delay>{reply.next_rpc_seconds:f}</next_rpc_delay>\n" if reply.next_rpc_seconds > 0 else "",
            _user(reply.user) if reply.user else "",
            _host(reply.host) if reply.host else "",
            _field("team_name", reply.user.team_name) if reply.user else "",
            _named("result_ack", reply.acks),
            _named("result_abort", reply.aborts),
            _named("result_abort_if_not_started", reply.aborts_if_not_started),
            "<no_cpu_apps/>\n<no_rsc_apps>CPU</no_rsc_apps>\n" if reply.no_processors else "",
            _app(reply.app_name, reply.app_title or reply.app_name) if reply.app_name else "",
            *map(_app_version, reply.app_versions),
            *map(_workunit, reply.tasks),
            *map(_result, reply.tasks),
            _lines("code_sign_key", reply.code_sign_key),
            _lines("code_sign_key_signature", reply.code_sign_key_signature),
            "</scheduler_reply>\n",
        )
    ).encode("utf-8", "replace")


def _field(name: str, text: str) -> str:
    return f"<{name}>{escaped(text)}</{name}>\n" if text else ""


def _lines(name: str, text: str) -> str:
    return f"<{name}>\n{escaped(text.strip())}\n</{name}>\n" if text else ""


def _bare(name: str) -> str:
    """A client writes the project's name into a file of its own as it is, and then cannot read that file."""
    return name.replace("<", "").replace(">", "")


def _message(message: Message) -> str:
    text = message.text.encode("utf-8", "replace")[:MESSAGE_BYTES_MAX].decode("utf-8", "ignore")
    return f'<message priority="{"notice" if message.urgent else "low"}">{escaped(text)}</message>\n'


def _user(user: UserXml) -> str:
    team = f"<teamid>{user.team_id}</teamid>\n" if user.team_id else ""
    return (
        f"<userid>{user.user_id}</userid>\n"
        f"{team}"
        f"<user_name>{escaped(user.name)}</user_name>\n"
        f"<user_total_credit>{user.credits.total:f}</user_total_credit>\n"
        f"<user_expavg_credit>{user.credits.average:f}</user_expavg_credit>\n"
        f"<user_create_time>{user.created_at:.0f}</user_create_time>\n"
        f"<email_hash>{escaped(user.email_hash)}</email_hash>\n"
        f"<cross_project_id>{escaped(user.cross_project_id)}</cross_project_id>\n"
        f"<external_cpid>{escaped(user.external_cpid)}</external_cpid>\n"
    )


def _host(host: HostXml) -> str:
    number = "" if host.new_id is None else f"<hostid>{host.new_id}</hostid>\n"
    return (
        f"{number}"
        f"<host_total_credit>{host.credits.total:f}</host_total_credit>\n"
        f"<host_expavg_credit>{host.credits.average:f}</host_expavg_credit>\n"
        f"<host_venue>{escaped(host.venue)}</host_venue>\n"
        f"<host_create_time>{host.created_at:.0f}</host_create_time>\n"
    )


def _named(tag: str, names: Iterable[str]) -> str:
    return "".join(f"<{tag}>\n    <name>{escaped(name)}</name>\n</{tag}>\n" for name in names)


def _app(name: str, title: str) -> str:
    return (
        f"<app>\n"
        f"    <name>{escaped(name)}</name>\n"
        f"    <user_friendly_name>{escaped(title)}</user_friendly_name>\n"
        f"    <non_cpu_intensive>0</non_cpu_intensive>\n"
        f"    <fraction_done_exact>0</fraction_done_exact>\n"
        f"</app>\n"
    )


def _app_version(version: AppVersionXml) -> str:
    """The program's file and the version that it is. Its signature's lines stand at the beginning of lines."""
    file_name = escaped(version.file_name)
    return (
        f"<file_info>\n"
        f"    <name>{file_name}</name>\n"
        f"    <url>{escaped(version.url)}</url>\n"
        f"    <executable/>\n"
        f"    <file_signature>\n{escaped(version.signature.strip())}\n    </file_signature>\n"
        f"    <nbytes>{version.size_bytes}</nbytes>\n"
        f"</file_info>\n"
        f"<app_version>\n"
        f"    <app_name>{escaped(version.app_name)}</app_name>\n"
        f"    <version_num>{version.version_num}</version_num>\n"
        f"    <api_version>{API_VERSION}</api_version>\n"
        f"<file_ref>\n"
        f"    <file_name>{file_name}</file_name>\n"
        f"    <main_program/>\n"
        f"</file_ref>\n"
        f"    <platform>{escaped(version.platform)}</platform>\n"
        f"{_plan_class(version.plan_class)}"
        f"    <avg_ncpus>{version.cores:f}</avg_ncpus>\n"
        f"    <flops>{version.flops:f}</flops>\n"
        f"{_coprocessor(version)}"
        f"</app_version>\n"
    )


def _plan_class(name: str) -> str:
    return f"    <plan_class>{escaped(name)}</plan_class>\n" if name else ""


def _coprocessor(version: AppVersionXml) -> str:
    if not version.coprocessor_kind:
        return ""
    return (
        f"    <coproc>\n"
        f"        <type>{escaped(version.coprocessor_kind)}</type>\n"
        f"        <count>{version.coprocessors:f}</count>\n"
        f"    </coproc>\n"
    )


def _workunit(task: TaskXml) -> str:
    """The input file and the workunit. What a client does not know in it, it skips."""
    input_name = escaped(task.input_name)
    return (
        f"<file_info>\n"
        f"    <name>{input_name}</name>\n"
        f"    <url>{escaped(task.input_url)}</url>\n"
        f"    <md5_cksum>{escaped(task.input_md5)}</md5_cksum>\n"
        f"    <nbytes>{task.input_size_bytes}</nbytes>\n"
        f"</file_info>\n"
        f"<workunit>\n"
        f"    <rsc_fpops_est>{task.operations_estimated:f}</rsc_fpops_est>\n"
        f"    <rsc_fpops_bound>{task.operations_max:f}</rsc_fpops_bound>\n"
        f"    <rsc_memory_bound>{task.memory_bytes:f}</rsc_memory_bound>\n"
        f"    <rsc_disk_bound>{task.disk_bytes:f}</rsc_disk_bound>\n"
        f"    <name>{escaped(task.workunit)}</name>\n"
        f"    <app_name>{escaped(task.app_name)}</app_name>\n"
        f"<file_ref>\n"
        f"    <file_name>{input_name}</file_name>\n"
        f"    <open_name>{TICKET_FILE}</open_name>\n"
        f"    <copy_file/>\n"
        f"</file_ref>\n"
        f"{task.extra}"
        f"</workunit>\n"
    )


def _result(task: TaskXml) -> str:
    output_name = escaped(task.output_name)
    return (
        f"<file_info>\n"
        f"    <name>{output_name}</name>\n"
        f"    <generated_locally/>\n"
        f"    <upload_when_present/>\n"
        f"    <max_nbytes>{task.output_size_bytes_max}</max_nbytes>\n"
        f"    <url>{escaped(task.output_url)}</url>\n"
        f"</file_info>\n"
        f"<result>\n"
        f"    <report_deadline>{task.deadline}</report_deadline>\n"
        f"    <wu_name>{escaped(task.workunit)}</wu_name>\n"
        f"    <name>{escaped(task.name)}</name>\n"
        f"    <report_immediately/>\n"
        f"<file_ref>\n"
        f"    <file_name>{output_name}</file_name>\n"
        f"    <open_name>{ANSWER_FILE}</open_name>\n"
        f"    <copy_file/>\n"
        f"</file_ref>\n"
        f"    <platform>{escaped(task.platform)}</platform>\n"
        f"    <version_num>{task.version_num}</version_num>\n"
        f"    <plan_class>{escaped(task.plan_class)}</plan_class>\n"
        f"</result>\n"
    )
