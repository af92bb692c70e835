"""What statistics sites are told of volunteers: numbers and the names that they chose. Never an e-mail or an address.

Times are seconds since 1970. average: a day's worth of cobblestones, as of average_at.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    total: float
    average: float
    average_at: float


@dataclass(frozen=True, slots=True)
class UserRecord:
    """cpid: as other projects may know it. team_id: 0 for none."""

    user_id: int
    name: str
    created_at: float
    cpid: str
    team_id: int
    standing: Standing


@dataclass(frozen=True, slots=True)
class HostRecord:
    """flops: of one core."""

    host_id: int
    user_id: int
    cpid: str
    created_at: float
    called_at: float
    os: str
    vendor: str
    model: str
    cores: int
    flops: float
    memory_bytes: int
    standing: Standing


@dataclass(frozen=True, slots=True)
class TeamRecord:
    """founder_id: 0 when the founder is not listed."""

    team_id: int
    name: str
    founder_id: int
    founder_name: str
    members: int
    created_at: float
    standing: Standing


@dataclass(frozen=True, slots=True)
class Totals:
    """total_credit: of all users that are listed."""

    at: float
    users: int
    hosts: int
    teams: int
    total_credit: float
    project_name: str
