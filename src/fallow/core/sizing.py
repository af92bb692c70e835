"""How many items a chunk gets where nobody chose: long enough to be worth sending, short enough for a short tail."""

from dataclasses import dataclass

_ITEMS_MAX = 1000  # of an image whose speed is not known
_ITEMS_MAX_KNOWN = 10_000
_CHUNK_SECONDS = 20.0  # how long a chunk should take, where the speed is known
_PIECES_PER_SLOT = 8  # how many chunks a slot should get at least


@dataclass(frozen=True, slots=True)
class Work:
    """items: about how many there are. rate: items per second of one slot, None where nobody knows. slots: of workers
    heard of lately."""

    items: int
    rate: float | None
    slots: int


def chosen_items(work: Work) -> int:
    """Items per chunk, at least 1."""
    wanted = int(work.rate * _CHUNK_SECONDS) if work.rate else _ITEMS_MAX
    per_slot = -(-work.items // (_PIECES_PER_SLOT * max(work.slots, 1)))
    return max(1, min(wanted, _ITEMS_MAX_KNOWN, per_slot))
