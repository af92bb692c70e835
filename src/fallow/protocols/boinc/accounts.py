"""What a client asks before it has a key: what the project is, who an account is. Values in, near-XML bytes out.

Sources: BOINC html/user/get_project_config.php, create_account.php, lookup_account.php, am_get_info.php and
html/inc/xml.inc; lib/error_numbers.h.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from html import escape
from typing import Final
from urllib.parse import quote_plus

CONTENT_TYPE: Final = "text/xml"
_HEAD: Final = '<?xml version="1.0" encoding="ISO-8859-1" ?>\n'


class ErrorNumber(IntEnum):
    """BOINC's numbers, which its clients have sentences for. Source: BOINC lib/error_numbers.h."""

    FAILED = -1
    NOT_FOUND = -136
    NOT_UNIQUE = -137
    PROJECT_DOWN = -183
    BAD_NAME = -188
    BAD_EMAIL = -205
    BAD_PASSWORD = -206
    CREATION_DISABLED = -208


PLATFORM_TITLES: Final[Mapping[str, str]] = {
    "x86_64-pc-linux-gnu": "Linux running on an AMD x86_64 or Intel EM64T CPU",
    "aarch64-unknown-linux-gnu": "Linux running on aarch64",
    "x86_64-apple-darwin": "Intel 64-bit Mac OS X",
    "arm64-apple-darwin": "Mac OS X on Apple silicon",
}


@dataclass(frozen=True, slots=True)
class ProjectConfig:
    """platforms: (name, plan class) of each program; no_sign_up: accounts are not made from clients."""

    name: str
    master_url: str
    min_passwd_length: int
    no_sign_up: bool
    platforms: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """cross_project_id: as other projects may know it: external_cpid(). created_at: seconds since 1970."""

    user_id: int
    name: str
    weak_key: str
    cross_project_id: str
    created_at: int
    team_id: int = 0
    is_team_founder: bool = False


def project_config(config: ProjectConfig) -> bytes:
    """The answer to get_project_config.php."""
    platforms = "".join(_platform(name, plan_class) for name, plan_class in config.platforms)
    disabled = "    <account_creation_disabled/>\n" if config.no_sign_up else ""
    url = escape(config.master_url)
    return _bytes(
        f"<project_config>\n"
        f"    <name>{escape(config.name)}</name>\n"
        f"    <master_url>{url}</master_url>\n"
        f"    <web_rpc_url_base>{url}</web_rpc_url_base>\n"
        f"<server_version>803</server_version>\n"
        f"    <web_stopped>0</web_stopped>\n"
        f"{disabled}"
        f"    <min_passwd_length>{config.min_passwd_length}</min_passwd_length>\n"
        f"    <sched_stopped>0</sched_stopped>\n"
        f"    <platforms>\n{platforms}    </platforms>\n"
        f"</project_config>"
    )


def _platform(name: str, plan_class: str) -> str:
    title = PLATFORM_TITLES.get(name, name)
    plan = f"                <plan_class>{escape(plan_class)}</plan_class>\n" if plan_class else ""
    return (
        f"            <platform>\n"
        f"                <platform_name>{escape(name)}</platform_name>\n"
        f"                <user_friendly_name>{escape(title)}</user_friendly_name>\n"
        f"{plan}"
        f"            </platform>\n"
    )


def account_out(key: str) -> bytes:
    """The answer to lookup_account.php."""
    return _bytes(f"<account_out>\n<authenticator>{escape(key)}</authenticator>\n</account_out>\n")


def account_made(key: str) -> bytes:
    """The answer to create_account.php, with the blanks that BOINC's has."""
    return _bytes(f" <account_out>\n   <authenticator>{escape(key)}</authenticator>\n</account_out>\n")


def account_exists() -> bytes:
    """The answer to lookup_account.php without a password."""
    return _bytes("<account_out>\n    <success/>\n</account_out>\n")


def account_info(info: AccountInfo) -> bytes:
    """The answer to am_get_info.php. Names are urlencoded there."""
    founder = "<teamfounder/>\n" if info.is_team_founder else ""
    return _bytes(
        f"<am_get_info_reply>\n    <success/>\n    <id>{info.user_id}</id>\n"
        f"<name>{quote_plus(info.name)}</name>\n<country></country>\n"
        f"<weak_auth>{escape(info.weak_key)}</weak_auth>\n<cpid>{escape(info.cross_project_id)}</cpid>\n"
        f"<has_profile>0</has_profile>\n<create_time>{info.created_at}</create_time>\n"
        f"<global_prefs>\n\n</global_prefs>\n<project_prefs>\n\n</project_prefs>\n<url></url>\n"
        f"<send_email>0</send_email>\n<show_hosts>0</show_hosts>\n<teamid>{info.team_id}</teamid>\n"
        f"<venue></venue>{founder}\n</am_get_info_reply>\n"
    )


def error_reply(number: int, message: str) -> bytes:
    """A refusal: the client shows the sentence, or its own for a number it knows."""
    return _bytes(
        f"<error>\n    <error_num>{int(number)}</error_num>\n    <error_msg>{escape(message)}</error_msg>\n</error>\n"
    )


def email_hash(email: str) -> str:
    """By which an account is the same in several projects; of no address: "".

    Source: BOINC sched/sched_types.cpp, write(): md5 of the lower-case address.
    """
    return hashlib.md5(email.lower().encode(), usedforsecurity=False).hexdigest() if email else ""


def external_cpid(cpid: str, email: str) -> str:
    """An account's cross-project id as others may see it. Source: BOINC html/user/am_get_info.php."""
    return hashlib.md5((cpid + email).encode(), usedforsecurity=False).hexdigest()


def _bytes(text: str) -> bytes:
    """UTF-8, which the Manager shows, whatever the head says: BOINC's own servers do the same."""
    return (_HEAD + text).encode("utf-8", "replace")
