"""Shapes: pages that are drawn once and filled in for each visitor.

Thousands of phones see the same page but for a serial, a time and an address. Such a page is rendered once with slots
where these stand; after that, filling them in is a join of bytes, thirty times faster than rendering. Whatever else a
page shows has to be in its key, so that two visitors share a shape only where all but the slots is the same.

What is between the slots is compressed once, too. DEFLATE (RFC 1951) is a row of blocks that may end at any byte, so a
page travels as the blocks of its shape with those of its slots between them: short ones as they are, long ones, which
are ornament, compressed and remembered.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Final

from markupsafe import Markup

MOST_SHAPES: Final = 512
"""Kept in a process, those used last: some megabytes."""
MOST_FILLINGS: Final = 1024
"""Long fillings kept compressed in a process, those used last."""
SHORT_BYTES: Final = 160
"""Up to this length, a filling is not worth compressing."""

_OPEN, _CLOSE = "\ue000", "\ue001"
_SLOT: Final = re.compile(f"{_OPEN}([a-z_]+){_CLOSE}")
_TAG_BYTES: Final = 10

_LEVEL: Final = 9
_RAW: Final = -zlib.MAX_WBITS
"""DEFLATE alone, without a header of zlib's or gzip's."""
_GZIP_HEADER: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
"""RFC 1952, section 2.3: deflated, of no time, on no system in particular."""
_LAST_BLOCK: Final = b"\x01\0\0\xff\xff"
"""An empty block that says it is the last."""
_WORD: Final = 0xFFFF


def slot(name: str) -> Markup:
    """What stands in a page for a value of `name`, to be filled in later."""
    return Markup(f"{_OPEN}{name}{_CLOSE}")  # noqa: S704  (a name of ours)


class Shape:
    """A page with slots. `names` are theirs, in their order; a name may be there twice."""

    def __init__(self, text: str) -> None:
        # What is between slots and what names them take turns.
        parts = _SLOT.split(text)
        self.names: Final = tuple(parts[1::2])
        self._between: Final = [part.encode() for part in parts[::2]]
        self._mark: Final = hashlib.sha256(text.encode()).digest()

    def fill(self, values: Mapping[str, str]) -> Filled:
        """The page with `values` in its slots. They are HTML already."""
        return Filled(self, [values[name].encode() for name in self.names])

    def join(self, fillings: Sequence[bytes]) -> bytes:
        """The page with these in its slots."""
        return _alternate(self._between, fillings)

    def join_compressed(self, fillings: Sequence[bytes]) -> bytes:
        """The same as DEFLATE's blocks, without a last one."""
        return _alternate(self._compressed, [_block(filling) for filling in fillings])

    def tag(self, fillings: Sequence[bytes]) -> str:
        """What changes with any byte of the page."""
        # Lengths as well, so that what moves from one slot to its neighbour is another page.
        lengths = ",".join([str(len(filling)) for filling in fillings]).encode()
        whole = b"".join([self._mark, lengths, b";", *fillings])
        return hashlib.sha256(whole).hexdigest()[: 2 * _TAG_BYTES]

    @cached_property
    def _compressed(self) -> list[bytes]:
        return [_compress(part) for part in self._between]


class Filled:
    """A page of somebody's own: whole, and as it travels."""

    __slots__ = ("_fillings", "_shape", "body")

    def __init__(self, shape: Shape, fillings: Sequence[bytes]) -> None:
        self._shape = shape
        self._fillings = fillings
        self.body: Final = shape.join(fillings)

    @property
    def tag(self) -> str:
        """The page's entity tag, without its quotes: the same for the same page of any process."""
        return self._shape.tag(self._fillings)

    def gzipped(self) -> bytes:
        """The page in gzip's format (RFC 1952)."""
        body = self.body
        ending = zlib.crc32(body).to_bytes(4, "little") + len(body).to_bytes(4, "little")
        return b"".join([_GZIP_HEADER, self._shape.join_compressed(self._fillings), _LAST_BLOCK, ending])


class Shapes:
    """The shapes of one process."""

    def __init__(self) -> None:
        self._render: Callable[[], str] | None = None
        self._drawn = lru_cache(MOST_SHAPES)(self._draw)

    def find(self, key: Hashable, render: Callable[[], str]) -> Shape:
        """The shape of a key; rendered where it was not yet."""
        self._render = render
        return self._drawn(key)

    def _draw(self, _key: Hashable) -> Shape:
        assert self._render is not None  # noqa: S101  (`find` has set it, and nothing comes between)
        return Shape(self._render())


def _alternate(between: Sequence[bytes], fillings: Sequence[bytes]) -> bytes:
    parts = [b""] * (len(between) + len(fillings))
    parts[::2] = between
    parts[1::2] = fillings
    return b"".join(parts)


def _block(filling: bytes) -> bytes:
    if len(filling) > SHORT_BYTES:
        return _compress_again(filling)
    # RFC 1951, section 3.2.4: a stored block has its length, and that once more with all bits turned.
    length = len(filling)
    return b"\0" + length.to_bytes(2, "little") + (length ^ _WORD).to_bytes(2, "little") + filling


def _compress(part: bytes) -> bytes:
    """Blocks that refer to nothing before them and end at a byte."""
    deflating = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
    return deflating.compress(part) + deflating.flush(zlib.Z_FULL_FLUSH)


_compress_again: Final = lru_cache(MOST_FILLINGS)(_compress)
