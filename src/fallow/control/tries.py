"""Tries to sign in: counted by what is tried, and slower and slower after a few.

Each further try must wait twice as long as the one before, a quarter of an hour at most: nobody is locked out for ever.
While a name waits, the right password is refused too, so a guess during the wait tells nothing.
"""

import math
from collections.abc import Sequence
from typing import Final

from fallow.clock import Clock
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros
from fallow.store.port import Store, Tx

_FREE: Final = {"email": 5, "address": 20, "account": 5}  # without a wait; an office may share one network address
_WAIT_SECONDS_MAX: Final = 900
_REMEMBERED_MICROS: Final = 86_400_000_000
_SWEEP_MICROS: Final = 3_600_000_000


class Tries:
    """Names are a kind and what it is: "email ada@example.org", "address 192.0.2.1", "account ada"."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._swept = Micros(0)

    def count(self, names: Sequence[str]) -> None:
        """Counts the try before it is looked at, so that many at once are no way round. Raises Refusal TOO_MANY."""
        now = self._clock.now()
        with self._store.transaction() as tx:
            if now - self._swept > _SWEEP_MICROS:
                tx.forget_signins(Micros(now - _REMEMBERED_MICROS))
                self._swept = now
            for name in names:
                count = tx.count_signin(name, now)
                if not count:
                    raise _blocked(tx, name, now)
                over = count - _FREE[name.partition(" ")[0]]
                if over >= 0:
                    tx.block_signin(name, Micros(now + int(min(2.0 ** min(over, 20), _WAIT_SECONDS_MAX) * 1e6)))

    def forgive(self, tx: Tx, names: Sequence[str]) -> None:
        """It was right. A network address only loses this try, since others may be behind it."""
        for name in names:
            row = tx.signin_failure(name)
            if row is not None:
                tx.forgive_signin(name, 1 if name.startswith("address ") else row.failures)


def _blocked(tx: Tx, name: str, now: Micros) -> Refusal:
    row = tx.signin_failure(name)
    seconds = max(1, math.ceil((row.blocked_until - now) / 1e6)) if row else 1
    return Refusal(
        Code.TOO_MANY,
        f"Too many passwords or keys were wrong here. The next one is looked at in {seconds} s.",
        "Wait, then try again; a right one is refused until then too.",
        {"retry_seconds": seconds},
    )
