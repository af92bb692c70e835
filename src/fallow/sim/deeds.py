"""What a simulated worker may do with one attempt."""

from enum import StrEnum


class Deed(StrEnum):
    """How an attempt goes. All but HONEST are faults."""

    HONEST = "honest"
    LIE = "lie"  # wrong answers, well signed
    CORRUPT = "corrupt"  # the bytes are not those of the receipt
    MISSING = "missing"  # the artifact is never uploaded
    FORGE = "forge"  # signed with somebody else's key
    MISLABEL = "mislabel"  # a receipt for other items
    SHORT = "short"  # a line is missing, and the receipt fits the bytes
    STALL = "stall"  # silent past the lease, reports late
    VANISH = "vanish"  # takes it and is never heard of it again
    TWICE = "twice"  # reports it, and again later
    BREAK = "break"  # a failure of the machine
    STOP = "stop"  # its owner stopped it
    UNLUCKY = "unlucky"  # the object store could not be reached
    WOLF = "wolf"  # blames the submitter for nothing
    CHOKE = "choke"  # claims that a limit was reached


LYING = frozenset({Deed.LIE, Deed.WOLF, Deed.CHOKE})
"""Faults that nobody can tell from the truth by one report alone."""

FAULTS = tuple(deed for deed in Deed if deed is not Deed.HONEST)
