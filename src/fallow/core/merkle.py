"""Merkle trees over lines, hashed as in RFC 6962: a leaf is H(0x00 || line), a node is H(0x01 || left || right).

A line is its bytes without the newline. Roots and proofs are hexadecimal SHA-256.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").hexdigest()
_HASH = re.compile("[0-9a-f]{64}")


class Tree:
    """Takes leaves one by one and knows the root at any time; memory is logarithmic in the number of leaves."""

    def __init__(self) -> None:
        self._peaks: list[tuple[int, bytes]] = []  # (height, hash) of perfect subtrees, highest first
        self.size = 0

    def add(self, line: bytes) -> None:
        """Append one line."""
        self.add_hash(leaf_hash(line))

    def add_hash(self, node: bytes) -> None:
        """Append one leaf that was hashed already."""
        height = 0
        while self._peaks and self._peaks[-1][0] == height:
            node = _join(self._peaks.pop()[1], node)
            height += 1
        self._peaks.append((height, node))
        self.size += 1

    def root(self) -> str:
        """The root over all lines so far."""
        if not self._peaks:
            return EMPTY_ROOT
        node = self._peaks[-1][1]
        for _, left in reversed(self._peaks[:-1]):
            node = _join(left, node)
        return node.hex()


def leaf_hash(line: bytes) -> bytes:
    """The leaf of one line: 32 raw bytes."""
    return hashlib.sha256(b"\x00" + line).digest()


def root_of(lines: Iterable[bytes]) -> str:
    """The root over these lines."""
    tree = Tree()
    for line in lines:
        tree.add(line)
    return tree.root()


def proof_of(leaves: Sequence[bytes], index: int) -> list[str]:
    """The audit path for leaf `index` (RFC 6962 2.1.1), nearest sibling first. leaves: leaf hashes.

    Raises IndexError for a leaf that is not there.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    path: list[str] = []
    low, high = 0, len(leaves)
    while high - low > 1:
        middle = low + _largest_power_of_two_below(high - low)
        if index < middle:
            path.append(_subtree(leaves, middle, high).hex())
            high = middle
        else:
            path.append(_subtree(leaves, low, middle).hex())
            low = middle
    return path[::-1]


def root_from_proof(leaf: bytes, index: int, size: int, path: Sequence[str]) -> str:
    """The root that this leaf hash, at `index` of `size` leaves, leads to by `path`; "" if the path cannot be one."""
    node, position, last = leaf, index, size - 1
    if not 0 <= index < size or not all(_HASH.fullmatch(each) for each in path):
        return ""
    for sibling in path:
        if last == 0:
            return ""
        if position % 2 or position == last:
            node = _join(bytes.fromhex(sibling), node)
            while position % 2 == 0 and position:
                position >>= 1
                last >>= 1
        else:
            node = _join(node, bytes.fromhex(sibling))
        position >>= 1
        last >>= 1
    return node.hex() if last == 0 else ""


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _largest_power_of_two_below(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)


def _subtree(leaves: Sequence[bytes], low: int, high: int) -> bytes:
    tree = Tree()
    for leaf in leaves[low:high]:
        tree.add_hash(leaf)
    return bytes.fromhex(tree.root())
