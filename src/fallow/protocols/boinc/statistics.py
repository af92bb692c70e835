"""Statistics export as BOINC's statistics sites read it: tables.xml, and one file each of users, hosts and teams.

Source: BOINC sched/db_dump.cpp (element names, their order, numbers as %f).
"""

from collections.abc import Sequence
from typing import Final

from fallow.core.volunteer_statistics import HostRecord, Standing, TeamRecord, Totals, UserRecord
from fallow.protocols.boinc.accounts import external_cpid
from fallow.protocols.boinc.names import APP_NAME
from fallow.protocols.boinc.xml import escaped

HEAD: Final = '<?xml version="1.0" encoding="ISO-8859-1"?>\n'
_NO_COUNTRY: Final = "None"  # BOINC's word; nobody is asked for it here
_TEAM_TYPE: Final = 1  # "none"


def opening(kind: str) -> bytes:
    """Of a file of "users", "hosts" or "teams"."""
    return _bytes(f"{HEAD}<{kind}>\n")


def closing(kind: str) -> bytes:
    return _bytes(f"</{kind}>\n")


def user(record: UserRecord) -> bytes:
    return _element(
        "user",
        [
            ("id", record.user_id),
            ("name", record.name),
            ("country", _NO_COUNTRY),
            ("create_time", int(record.created_at)),
            *_standing(record.standing),
            ("cpid", record.cpid),
            *([("teamid", record.team_id)] if record.team_id else []),
        ],
    )


def host(record: HostRecord) -> bytes:
    return _element(
        "host",
        [
            ("id", record.host_id),
            ("userid", record.user_id),
            *_standing(record.standing),
            ("p_vendor", record.vendor),
            ("p_model", record.model),
            ("os_name", record.os),
            ("create_time", int(record.created_at)),
            ("rpc_time", int(record.called_at)),
            ("ncpus", record.cores),
            ("p_fpops", record.flops),
            ("m_nbytes", float(record.memory_bytes)),
            ("host_cpid", record.cpid),
        ],
    )


def team(record: TeamRecord) -> bytes:
    return _element(
        "team",
        [
            ("id", record.team_id),
            ("type", _TEAM_TYPE),
            ("name", record.name),
            ("userid", record.founder_id),
            *_standing(record.standing),
            ("nusers", record.members),
            *([("founder_name", record.founder_name)] if record.founder_id else []),
            ("create_time", int(record.created_at)),
            ("country", _NO_COUNTRY),
        ],
    )


def tables(totals: Totals) -> bytes:
    """tables.xml."""
    return _bytes(
        f"{HEAD}<tables>\n"
        f"    <update_time>{int(totals.at)}</update_time>\n"
        f"    <nusers_total>{totals.users}</nusers_total>\n"
        f"    <nteams_total>{totals.teams}</nteams_total>\n"
        f"    <nhosts_total>{totals.hosts}</nhosts_total>\n"
        f"    <total_credit>{totals.total_credit:f}</total_credit>\n"
        "    <applications>\n        <application>\n"
        f"            <name>{APP_NAME}</name>\n"
        f"            <user_friendly_name>{escaped(totals.project_name)}</user_friendly_name>\n"
        "        </application>\n    </applications>\n</tables>\n"
    )


def _standing(standing: Standing) -> list[tuple[str, float]]:
    return [
        ("total_credit", standing.total),
        ("expavg_credit", standing.average),
        ("expavg_time", standing.average_at),
    ]


def _element(name: str, members: Sequence[tuple[str, str | int | float]]) -> bytes:
    lines = "".join(f"    <{key}>{_said(value)}</{key}>\n" for key, value in members)
    return _bytes(f"<{name}>\n{lines}</{name}>\n")


def _said(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:f}"
    return escaped(value) if isinstance(value, str) else str(value)


def _bytes(text: str) -> bytes:
    """ASCII, so that the head is true: other characters as references."""
    return text.encode("ascii", "xmlcharrefreplace")


__all__ = ["HEAD", "closing", "external_cpid", "host", "opening", "tables", "team", "user"]
