"""Sign-in: the Authorization header becomes a Caller."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fallow.clock import Clock
from fallow.control.callers import Caller
from fallow.core.words import Micros, Scope

_REMEMBERED_MICROS: Final = 3_000_000  # a revoked key may still open other processes' doors for so long
_REMEMBERED_MAX: Final = 4096
ANYBODY: Final = Caller("", "", frozenset({Scope.OPERATE}))


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller
    until: Micros


class SignIn:
    """Looks keys up, and remembers good ones for a moment so that a busy worker costs no query per call.

    authenticate: raises Refusal UNAUTHENTICATED. open_reads: the seed's reading calls answer anybody.
    """

    def __init__(self, authenticate: Callable[[str], Caller], clock: Clock, open_reads: bool) -> None:
        self._authenticate = authenticate
        self._clock = clock
        self._open_reads = open_reads
        self._known: dict[bytes, _Known] = {}
        self._lock = threading.Lock()

    def caller(self, authorization: str | None) -> Caller:
        """Who sent this header. Raises Refusal UNAUTHENTICATED."""
        token = _bearer(authorization)
        name = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        now = self._clock.now()
        known = self._known.get(name)
        if known is not None and known.until > now:
            return known.caller
        caller = self._authenticate(token)
        with self._lock:
            if len(self._known) >= _REMEMBERED_MAX:
                self._known.clear()
            self._known[name] = _Known(caller, Micros(now + _REMEMBERED_MICROS))
        return caller

    def reader(self, authorization: str | None) -> Caller:
        """The same for the seed's three reading calls, which answer anybody at an open server."""
        return ANYBODY if authorization is None and self._open_reads else self.caller(authorization)

    def forget(self) -> None:
        """A key was revoked: at this door at once."""
        with self._lock:
            self._known.clear()


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
