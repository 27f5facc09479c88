"""Merkle trees as RFC 9162, section 2.1, defines them, and RFC 6962 before it.

SHA-256, 0x00 before a leaf and 0x01 before a node; a tree of n leaves is split at the largest power of two below n.
Nothing is padded or repeated, so no two lists of leaves have the same root.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

EMPTY_ROOT: Final = hashlib.sha256().digest()
"""The root of a tree without leaves."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf's bytes."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node above two hashes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that grows leaf by leaf and keeps no more than one hash a level, however many leaves there are.

    Where one leaf is watched, `path` proves it once all leaves are in.
    """

    def __init__(self) -> None:
        self.size = 0
        self.watched: int | None = None
        """The number of the leaf that is watched, from 0 on."""
        self._path: list[bytes] = []
        self._peaks: list[
            tuple[int, bytes]
        ] = []  # whole subtrees from left to right: the first leaf's number, the hash

    def watch(self) -> None:
        """Watch the leaf that is added next."""
        self.watched = self.size

    def add(self, leaf: bytes) -> None:
        """Append a leaf's bytes."""
        start, merged = self.size, leaf_hash(leaf)
        self.size += 1
        full = self.size
        while full % 2 == 0:
            left_start, left = self._peaks.pop()
            if self.watched is not None and self.size > self.watched >= left_start:
                self._path.append(left if self.watched >= start else merged)
            start, merged = left_start, node_hash(left, merged)
            full //= 2
        self._peaks.append((start, merged))

    @property
    def root(self) -> bytes:
        """The root over the leaves so far."""
        return self._fold()[0]

    @property
    def path(self) -> list[bytes]:
        """The inclusion proof of the watched leaf (RFC 9162, 2.1.3), nearest node first."""
        return self._fold()[1]

    def _fold(self) -> tuple[bytes, list[bytes]]:
        if not self._peaks:
            return EMPTY_ROOT, []
        path = list(self._path)
        start, merged = self._peaks[-1]
        for left_start, left in reversed(self._peaks[:-1]):
            if self.watched is not None and self.watched >= left_start:
                path.append(left if self.watched >= start else merged)
            start, merged = left_start, node_hash(left, merged)
        return merged, path


def root_by_path(leaf: bytes, *, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a leaf's inclusion proof leads to (RFC 9162, 2.1.3.2); None where its length cannot be right."""
    if not 0 <= index < size:
        return None
    position, last = index, size - 1
    found = leaf_hash(leaf)
    for sibling in path:
        if last == 0:
            return None
        if position % 2 == 1 or position == last:
            found = node_hash(sibling, found)
            while position % 2 == 0 and position != 0:
                position, last = position // 2, last // 2
        else:
            found = node_hash(found, sibling)
        position, last = position // 2, last // 2
    return found if last == 0 else None
