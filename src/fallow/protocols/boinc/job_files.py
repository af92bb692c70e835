"""job_file.php: which files are staged already, and names for those that come.

Source: BOINC html/user/job_file.php.
"""

import re
from dataclasses import dataclass
from typing import Final

from fallow.protocols.boinc.submit import Call
from fallow.protocols.boinc.submit_xml import BadXml

NAMES_MAX: Final = 10_000
PHYSICAL_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@~-]{0,199}\Z")


@dataclass(frozen=True, slots=True)
class FilesCall:
    """delete_at: seconds since 1970, 0: kept. names: in the order of the call."""

    delete_at: float
    names: tuple[str, ...]


def files_call(call: Call) -> FilesCall:
    """Raises BadXml."""
    names = tuple(call.words("phys_name"))
    if len(names) > NAMES_MAX:
        raise BadXml(f"at most {NAMES_MAX} files are named at once")
    return FilesCall(call.number("delete_time"), names)


def is_physical_name(name: str) -> bool:
    """Whether a file may be called so: one component, no path."""
    return PHYSICAL_NAME.match(name) is not None
