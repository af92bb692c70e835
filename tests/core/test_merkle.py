"""Merkle trees, held against RFC 6962 written down as it is in the text."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.core.merkle import EMPTY_ROOT, Tree, leaf_hash, proof_of, root_from_proof, root_of

LINES = st.lists(st.binary(max_size=8), max_size=70)


def naive_root(lines: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1."""
    if not lines:
        return hashlib.sha256().digest()
    if len(lines) == 1:
        return hashlib.sha256(b"\x00" + lines[0]).digest()
    k = 1
    while k * 2 < len(lines):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(lines[:k]) + naive_root(lines[k:])).digest()


def naive_path(lines: list[bytes], index: int) -> list[str]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(lines) == 1:
        return []
    k = 1
    while k * 2 < len(lines):
        k *= 2
    if index < k:
        return [*naive_path(lines[:k], index), naive_root(lines[k:]).hex()]
    return [*naive_path(lines[k:], index - k), naive_root(lines[:k]).hex()]


@given(LINES)
def test_the_root_is_the_rfcs(lines: list[bytes]) -> None:
    assert root_of(lines) == naive_root(lines).hex()


def test_the_root_is_right_for_every_small_size() -> None:
    tree = Tree()
    for size in range(1, 130):
        tree.add(b"%d" % size)
        assert tree.size == size
        assert tree.root() == naive_root([b"%d" % n for n in range(1, size + 1)]).hex()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7, 8, 11, 16, 17, 33])
def test_every_line_can_be_proved(size: int) -> None:
    lines = [b"line %d" % n for n in range(size)]
    leaves = [leaf_hash(line) for line in lines]
    for index in range(size):
        path = proof_of(leaves, index)
        assert path == naive_path(lines, index)
        assert root_from_proof(leaves[index], index, size, path) == root_of(lines)


def test_known_roots() -> None:
    """The test tree of the Certificate Transparency reference code (merkletree tests, sizes 0, 1, 2, 3 and 8)."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    lines = [bytes.fromhex(each) for each in inputs]
    assert EMPTY_ROOT == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root_of(lines[:1]) == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root_of(lines[:2]) == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert root_of(lines[:3]) == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    assert root_of(lines) == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40), st.data())
def test_a_proof_that_was_touched_proves_nothing(lines: list[bytes], data: st.DataObject) -> None:
    leaves = [leaf_hash(line) for line in lines]
    index = data.draw(st.integers(0, len(lines) - 1))
    path, root = proof_of(leaves, index), root_of(lines)
    assert root_from_proof(leaf_hash(b"another line"), index, len(lines), path) != root
    assert root_from_proof(leaves[index], index, len(lines), [*path, "00" * 32]) == ""
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        other = hashlib.sha256(path[at].encode()).hexdigest()
        assert root_from_proof(leaves[index], index, len(lines), [*path[:at], other, *path[at + 1 :]]) != root
        assert root_from_proof(leaves[index], index, len(lines), path[:-1]) != root


@given(LINES.filter(lambda lines: len(set(lines)) == len(lines) > 1), st.data())
def test_a_proof_holds_for_its_own_place_only(lines: list[bytes], data: st.DataObject) -> None:
    leaves = [leaf_hash(line) for line in lines]
    here, there = data.draw(st.permutations(range(len(lines))))[:2]
    assert root_from_proof(leaves[here], there, len(lines), proof_of(leaves, here)) != root_of(lines)


@pytest.mark.parametrize("junk", ["", "00", "zz" * 32, "AA" * 32, " " + "0" * 63, "00" * 33])
def test_a_path_of_junk_is_no_path(junk: str) -> None:
    assert root_from_proof(leaf_hash(b"x"), 0, 2, [junk]) == ""


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (1, 1), (0, 0), (0, -1)])
def test_a_leaf_that_is_not_there_has_no_root(index: int, size: int) -> None:
    assert root_from_proof(leaf_hash(b"x"), index, size, []) == ""


@pytest.mark.parametrize("index", [-1, 2])
def test_a_leaf_that_is_not_there_has_no_proof(index: int) -> None:
    with pytest.raises(IndexError):
        proof_of([leaf_hash(b"a"), leaf_hash(b"b")], index)


def test_a_node_cannot_pass_for_a_line() -> None:
    """Leaves and nodes are hashed differently: two lines are not one long line."""
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert root_of([left + right]) != root_of([b"a", b"b"])
