"""The tree is that of RFC 9162: its published vectors, its definition, and a proof for every leaf of every size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.merkle import EMPTY_ROOT, Tree, leaf_hash, node_hash, root_by_path

# The leaves, roots and paths that Certificate Transparency's own implementations are tested with.
PUBLISHED_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
PUBLISHED_ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
PUBLISHED_PATHS = {
    (0, 1): (),
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
    (1, 5): (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}

sizes = st.integers(min_value=1, max_value=200)


def grown(leaves: Sequence[bytes], watched: int | None = None) -> Tree:
    tree = Tree()
    for leaf in leaves:
        if tree.size == watched:
            tree.watch()
        tree.add(leaf)
    return tree


def numbered(size: int) -> list[bytes]:
    return [b"leaf %d" % number for number in range(size)]


def defined(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(defined(leaves[:split]), defined(leaves[split:]))


@pytest.mark.parametrize("size", range(9))
def test_the_published_roots_come_out(size: int) -> None:
    assert grown(PUBLISHED_LEAVES[:size]).root.hex() == PUBLISHED_ROOTS[size]


@pytest.mark.parametrize(("index", "size"), PUBLISHED_PATHS)
def test_the_published_paths_come_out(index: int, size: int) -> None:
    assert [node.hex() for node in grown(PUBLISHED_LEAVES[:size], index).path] == [*PUBLISHED_PATHS[index, size]]


def test_a_tree_without_leaves_has_the_hash_of_nothing() -> None:
    assert grown([]).root == EMPTY_ROOT == hashlib.sha256(b"").digest()


@pytest.mark.parametrize("size", range(1, 201))
def test_every_leaf_of_every_size_is_proved_and_no_other_by_its_proof(size: int) -> None:
    leaves = numbered(size)
    root = defined(leaves)
    for index, leaf in enumerate(leaves):
        tree = grown(leaves, index)
        assert tree.root == root
        assert root_by_path(leaf, index=index, size=size, path=tree.path) == root
        assert root_by_path(b"another", index=index, size=size, path=tree.path) != root
        if size > 1:
            other = (index + 1) % size
            assert root_by_path(leaf, index=other, size=size, path=tree.path) != root


@given(sizes, st.data())
def test_a_path_that_was_changed_shortened_or_lengthened_proves_nothing(size: int, data: st.DataObject) -> None:
    leaves = numbered(size)
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    tree = grown(leaves, index)
    path = tree.path
    forged = data.draw(
        st.sampled_from(
            [
                *([*path[:at], bytes(32), *path[at + 1 :]] for at in range(len(path))),
                *([*path[:at], *path[at + 1 :]] for at in range(len(path))),
                [*path, bytes(32)],
                [bytes(32), *path],
            ]
        )
    )
    assert root_by_path(leaves[index], index=index, size=size, path=forged) != tree.root


@given(sizes, st.integers(min_value=-3, max_value=300))
def test_a_leaf_outside_the_tree_is_not_in_it(size: int, index: int) -> None:
    if not 0 <= index < size:
        assert root_by_path(b"leaf", index=index, size=size, path=[]) is None


@given(st.lists(st.binary(max_size=40), max_size=40), st.lists(st.binary(max_size=40), max_size=40))
def test_two_lists_of_leaves_never_share_a_root(one: list[bytes], other: list[bytes]) -> None:
    assert (grown(one).root == grown(other).root) == (one == other)


def test_a_node_cannot_pass_for_a_leaf() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert grown([b"a", b"b"]).root != grown([left + right]).root
