"""What /account shows of one's standing among volunteers."""

from fallow.control.boinc.standings import OwnStanding
from fallow.control.callers import Caller
from fallow.web.deps import Door


def standing_part(door: Door, caller: Caller) -> OwnStanding | None:
    """None where there is no BOINC door, and for a worker's key, which does not speak for its account."""
    if not door.settings.boinc or caller.is_worker:
        return None
    return door.boinc.standings.own(caller)
