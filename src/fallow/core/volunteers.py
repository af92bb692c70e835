"""What a volunteer's machine is, for decisions: how fast, how often on, of which class."""

from dataclasses import dataclass

from fallow.core.words import WorkerId


def is_volunteer(worker_id: WorkerId | None) -> bool:
    """Whether the worker is a BOINC client: it calls seldom, and nothing of it is extended by heartbeats."""
    return worker_id is not None and worker_id.startswith("b-")


@dataclass(frozen=True, slots=True)
class HostFacts:
    """flops: per core. on_fraction, active_fraction: of the time, 0..1. client_version: as a number, 72005 is 7.20.5.
    disk_bytes: that the client lets us use. os, vendor, model: as the client calls them. engine: what the client itself
    found: "podman", "docker" or ""."""

    os: str = ""
    vendor: str = ""
    model: str = ""
    platform: str = ""
    cores: float = 1.0
    flops: float = 1e9
    memory_bytes: int = 0
    disk_bytes: int = 0
    on_fraction: float = 1.0
    active_fraction: float = 1.0
    client_version: int = 0
    engine: str = ""
    address: str = ""

    @property
    def availability(self) -> float:
        """How much of an hour it computes; never below a tenth.

        Source: BOINC sched/sched_send.cpp, estimate_duration().
        """
        return max(0.1, min(1.0, self.on_fraction * self.active_fraction))
