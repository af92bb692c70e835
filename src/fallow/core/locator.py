"""Two numbers over many lines that name the one line which was changed later.

A Merkle root says that something differs, not where. With h(i) the hash of line i as a number, the sums of h(i) and of
(i+1)*h(i) modulo a prime differ, after one line changed, by d and by (i+1)*d: their quotient is the place. This is a
hint for people, not a proof; the proof is the root.
"""

from fallow.core.merkle import leaf_hash

_PRIME = 2**61 - 1


class Locator:
    """Takes lines in order; costs two numbers whatever their count."""

    def __init__(self) -> None:
        self._sum = 0
        self._weighted = 0
        self.count = 0

    def add(self, line: bytes) -> None:
        """Append one line."""
        self.add_hash(leaf_hash(line))

    def add_hash(self, leaf: bytes) -> None:
        """Append one line by its leaf hash (core.merkle)."""
        number = int.from_bytes(leaf[:8], "big")
        self.count += 1
        self._sum += number
        self._weighted += number * self.count

    def marks(self) -> list[int]:
        """The two numbers, each below 2^61 - 1."""
        return [self._sum % _PRIME, self._weighted % _PRIME]

    def changed_line(self, marks: list[int]) -> int | None:
        """The index of the only line that differs from those which gave these marks; None when it is not only one."""
        now = self.marks()
        difference, weighted = now[0] - marks[0], now[1] - marks[1]
        if difference % _PRIME == 0:
            return None
        place = weighted * pow(difference, -1, _PRIME) % _PRIME
        return place - 1 if 1 <= place <= self.count else None
