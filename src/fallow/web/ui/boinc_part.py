"""What /account shows of BOINC: how one's machines join, and the keys of single machines."""

from dataclasses import dataclass
from typing import Final

from fallow.control.callers import Caller
from fallow.store.port import WorkerKeyRow
from fallow.web.boinc.attach import attach_line, master_url
from fallow.web.deps import Door

_KEYS_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class BoincPart:
    """attach: the command, with the account's key. weak: the same with the key that only computes. keys: newest
    first."""

    name: str
    url: str
    attach: str
    attach_weak: str
    keys: list[WorkerKeyRow]


def boinc_part(door: Door, caller: Caller) -> BoincPart | None:
    """None where there is no BOINC door, and for a worker's key, which does not speak for its account."""
    if not door.settings.boinc or caller.is_worker:
        return None
    users = door.people.boinc_users
    user = users.own_user(caller)
    return BoincPart(
        name=door.settings.boinc_name,
        url=master_url(door.settings),
        attach=attach_line(door.settings, users.key_of(user)),
        attach_weak=attach_line(door.settings, users.weak_key_of(user)),
        keys=door.people.worker_keys.listed(caller)[::-1][:_KEYS_SHOWN],
    )
