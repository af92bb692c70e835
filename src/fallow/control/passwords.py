"""Passwords: argon2id, as much work for an unknown address as for a known one, and never too many at once."""

import threading
from functools import cached_property
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from fallow.core.people import PASSWORD_MAX, normal_password
from fallow.core.refusals import Code, Refusal

_AT_ONCE: Final = 2  # each takes 64 MiB and all cores for a moment
_WAITING_MAX: Final = 16  # more threads of the door are not given to people who wait here


class Passwords:
    """Blocks for tens of milliseconds: called from threads, never from the event loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()  # RFC 9106, 4: the second recommended option
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._waiting = threading.BoundedSemaphore(_AT_ONCE + _WAITING_MAX)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("nobody has this password")

    def hash(self, password: str) -> str:
        """Encoded, with its parameters and salt. password: checked. Raises Refusal TOO_MANY."""
        with _Turn(self._waiting, self._turns):
            return self._hasher.hash(normal_password(password))

    def is_right(self, encoded: str | None, password: str) -> bool:
        """encoded: None for nobody's, which takes as long and is never right. Raises Refusal TOO_MANY."""
        with _Turn(self._waiting, self._turns):
            try:
                right = self._hasher.verify(encoded or self._nobodys, normal_password(password[: PASSWORD_MAX + 1]))
            except (VerificationError, InvalidHashError):
                return False
            return right and encoded is not None

    def is_old(self, encoded: str) -> bool:
        """Made with other parameters than today's."""
        return self._hasher.check_needs_rehash(encoded)


class _Turn:
    """A place among those that compute now; refused when too many wait for one already."""

    def __init__(self, waiting: threading.BoundedSemaphore, turns: threading.BoundedSemaphore) -> None:
        self._waiting = waiting
        self._turns = turns

    def __enter__(self) -> None:
        if not self._waiting.acquire(blocking=False):
            raise Refusal(
                Code.TOO_MANY, "Too many people sign in at this moment.", "Try again soon.", {"retry_seconds": 2}
            )
        self._turns.acquire()

    def __exit__(self, *_: object) -> None:
        self._turns.release()
        self._waiting.release()
