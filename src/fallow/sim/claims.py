"""Claims are respected: looked at after each commit, since a claim may be given up and taken within one step."""

import sqlite3
from dataclasses import dataclass, field

from fallow.clock import Clock

_CLAIMS = (
    "SELECT 'job ' || job_key, claim_owner, claim_until FROM job UNION ALL "
    "SELECT 'chunk ' || job_key || '/' || chunk_id, verify_owner, verify_until FROM chunk WHERE state = 'verifying'"
)


@dataclass(slots=True)
class ClaimWatch:
    """What every claim was after the last commit."""

    connection: sqlite3.Connection
    clock: Clock
    _held: dict[str, tuple[str, int]] = field(default_factory=dict)

    def look(self) -> str:
        """Whose claim was taken from them while it was good; "" when all is well."""
        now = self.clock.now()
        held: dict[str, tuple[str, int]] = {}
        broken = ""
        for what, owner, until in self.connection.execute(_CLAIMS):
            before, good_until = self._held.get(what, ("", 0))
            if owner and before and owner != before and good_until > now:
                broken = f"{owner} took the claim on {what} from {before} while it was good"
            held[what] = (owner, until)
        self._held = held
        return broken
