"""How deliveries leave the house: the two ports that the wiring puts real senders behind, and what comes back."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    ARRIVED = "arrived"
    AGAIN = "again"  # it may work later
    NEVER = "never"  # it will not work later either
    GONE = "gone"  # the receiver asks for no more, ever


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one try. status: HTTP's or SMTP's; 0 when there was no answer. error: "" when it arrived.
    wait_seconds: what the receiver asked for before the next try."""

    verdict: Verdict
    status: int
    error: str = ""
    wait_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """One message. data: the whole of it, as SMTP sends it."""

    to: str
    data: bytes


PostMail = Callable[[Mail], Sent]
"""Hands a message to the mail relay. Never raises for what the relay or the network does."""

PostWebhook = Callable[[str, bytes, dict[str, str]], Sent]
"""POSTs a body with headers to a URL, guarded. Never raises for what the receiver or the network does."""
