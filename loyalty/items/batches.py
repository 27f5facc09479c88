"""Many serials at once: AES over a batch of blocks, and all their characters in one look-up, in buffers used again.

A batch that fits the second level cache is what makes this fast: every array here is some hundred kilobytes, is written
once for all batches, and is never copied where a view will do. Integers are 64 bits, because that is what numpy looks
up by; no value has more than 40.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, modes
from numpy.typing import NDArray

from loyalty.kit.ids import CROCKFORD_ALPHABET

BATCH: Final = 10_000
"""Indexes at once: with what is computed for them they fit a second level cache of a megabyte or two."""

_SERIAL_LENGTH: Final = 16
_PIN_LENGTH: Final = 6
_BLOCK: Final = 16
_INDEX_MASK: Final = (1 << 35) - 1
_TRIPLE: Final = (1 << 15) - 1
_NO_SYMBOL: Final = 255
_FOLDED: Final = {"O": "0", "I": "1", "L": "1"}
_LANES: Final = ((0x00000000000FFFFF, 20, 12), (0x000003FF000003FF, 10, 6), (0x001F001F001F001F, 5, 3))
"""How 40 bits become eight symbols of a byte each, in three halvings: what of a lane stays, its width in bits, and how
far the upper half moves to begin its own lane."""
_Integers = NDArray[np.int64]
_Bytes = NDArray[np.uint8]


class Ciphers(NamedTuple):
    """AES under the three keys of a (gtin, kid): for tags, for masks, and for PINs."""

    mac: Cipher[modes.ECB]
    enc: Cipher[modes.ECB]
    pin: Cipher[modes.ECB]


class Mill:
    """Makes and reads the serials of one (gtin, kid), up to BATCH of them at a time.

    What a method returns is a view of the mill's own buffers and holds until the next call. Not for several threads.
    """

    def __init__(self, ciphers: Ciphers, kid: int) -> None:
        self._kid: Final = kid
        self._mac: Final = ciphers.mac.encryptor()
        self._enc: Final = ciphers.enc.encryptor()
        self._pin: Final = ciphers.pin.encryptor()
        # Arrays of big-endian words swap their bytes as they are read and written, which costs no step of its own.
        blocks = np.zeros((BATCH, 2), dtype=np.int64)
        self._plain: Final = blocks.data.cast("B")
        self._lasts: Final = blocks.view(">i8")[:, 1]
        encrypted = np.zeros((BATCH + 1, 2), dtype=np.uint64)  # a block more than is used: the cipher asks for it
        self._encrypted: Final = encrypted.data.cast("B")
        self._heads: Final = encrypted.view(">u8")[:BATCH, 0]
        self._tags: Final = np.empty(BATCH, dtype=np.uint64)
        self._masks: Final = np.empty(BATCH, dtype=np.uint64)
        self._spreads: Final = np.empty(BATCH, dtype=np.int64)
        self._moved: Final = np.empty(BATCH, dtype=np.int64)
        self._symbol_bytes: Final = bytearray(BATCH * _SERIAL_LENGTH)
        self._symbols: Final = np.frombuffer(self._symbol_bytes, dtype=">i8").reshape(BATCH, 2)
        self._threes: Final = np.empty((BATCH, 2), dtype=np.int64)
        self._pins: Final = np.empty((BATCH, 2), dtype=np.uint32)

    def serials(self, index: _Integers) -> _Bytes:
        """The characters of the serials of these indexes, 16 a row."""
        count = len(index)
        tag = self._encrypt(self._mac, index, self._tags[:count])
        head = self._encrypt(self._enc, tag, self._masks[:count])
        np.bitwise_and(head, _INDEX_MASK, out=head)
        np.bitwise_xor(head, index, out=head)
        np.bitwise_or(head, self._kid << 35, out=head)
        for column, half in enumerate((head, tag)):
            self._symbols[:count, column] = self._spread(half)
        # A table of bytes is in the first level cache; numpy looks up no faster by words of several symbols.
        characters = np.frombuffer(self._symbol_bytes.translate(_ALPHABET), dtype=np.uint8)
        return characters.reshape(BATCH, _SERIAL_LENGTH)[:count]

    def pins(self, index: _Integers) -> NDArray[np.uint32]:
        """The characters of the PINs of these indexes: two words a row, each of three characters and a comma."""
        count = len(index)
        block = self._encrypt(self._pin, index, self._masks[:count])
        np.right_shift(block, 10, out=block)
        threes = self._threes[:count]
        np.right_shift(block, 15, out=threes[:, 0])
        np.bitwise_and(block, _TRIPLE, out=threes[:, 1])
        return np.take(_TRIPLES, threes, out=self._pins[:count], mode="clip")

    def indexes(self, heads: _Integers, tags: _Integers) -> _Integers:
        """The indexes of serials given as their two halves of 40 bits; -1 where this key did not make one."""
        count = len(heads)
        mask = self._encrypt(self._enc, tags, self._masks[:count])
        index = (heads ^ mask) & _INDEX_MASK
        tag = self._encrypt(self._mac, index, self._tags[:count])
        return np.where((tag == tags) & (heads >> 35 == self._kid), index, -1)

    def _spread(self, halves: _Integers) -> _Integers:
        """Five bits a byte of integers of 40 bits, the first ones in the highest byte."""
        spread, moved = self._spreads[: len(halves)], self._moved[: len(halves)]
        source = halves
        for kept, width, gap in _LANES:
            np.left_shift(source, gap, out=moved)
            np.bitwise_and(moved, kept << (width + gap), out=moved)
            np.bitwise_and(source, kept, out=spread)
            np.bitwise_or(spread, moved, out=spread)
            source = spread
        return spread

    def _encrypt(self, encryptor: CipherContext, values: _Integers, out: NDArray[np.uint64]) -> _Integers:
        """AES over a block for each value, which fills its last bytes; the first 40 bits of each, as integers."""
        count = len(values)
        self._lasts[:count] = values
        encryptor.update_into(self._plain[: count * _BLOCK], self._encrypted[: (count + 1) * _BLOCK])
        np.copyto(out, self._heads[:count])
        np.right_shift(out, 24, out=out)
        return out.view(np.int64)


def read_serials(serials: Sequence[str] | NDArray[np.bytes_]) -> tuple[_Integers, _Integers]:
    """Serials in any case as the two halves of their 80 bits; -1 in both where one cannot be a serial at all.

    Takes texts, or an array of 16 bytes each (`S16`).
    """
    characters = _characters(serials)
    symbols = _SYMBOLS[characters]
    wrong = (symbols == _NO_SYMBOL).any(axis=1)
    words = symbols.view(">u8").astype(np.uint64)
    # The other way round than a mill spreads them.
    for kept, width, gap in reversed(_LANES):
        words = words >> np.uint64(gap) & np.uint64(kept << width) | words & np.uint64(kept)
    halves = words.view(np.int64)
    halves[wrong] = -1
    return halves[:, 0], halves[:, 1]


def serial_strings(rows: _Bytes) -> NDArray[np.bytes_]:
    """Rows of 16 characters as an array of 16-byte strings (`S16`)."""
    return rows.view(f"S{_SERIAL_LENGTH}").reshape(len(rows))


def pin_characters(words: NDArray[np.uint32]) -> _Bytes:
    """What `Mill.pins` answers, without its commas: six characters a row."""
    return words.view(np.uint8).reshape(len(words), 2, 4)[:, :, :3].reshape(len(words), _PIN_LENGTH)


def _characters(serials: Sequence[str] | NDArray[np.bytes_]) -> _Bytes:
    if isinstance(serials, np.ndarray):
        return np.ascontiguousarray(serials).view(np.uint8).reshape(len(serials), _SERIAL_LENGTH)
    joined = "".join(serials)
    if len(joined) != _SERIAL_LENGTH * len(serials) or not joined.isascii() or not _all_fit(serials):
        joined = "".join(each if len(each) == _SERIAL_LENGTH and each.isascii() else _NONE for each in serials)
    return np.frombuffer(joined.encode("ascii"), dtype=np.uint8).reshape(len(serials), _SERIAL_LENGTH)


def _all_fit(serials: Sequence[str]) -> bool:
    return all(len(each) == _SERIAL_LENGTH for each in serials)


def _symbol_table() -> _Bytes:
    table = np.full(256, _NO_SYMBOL, dtype=np.uint8)
    for value, character in enumerate(CROCKFORD_ALPHABET):
        for spelling in [character, *(letter for letter, digit in _FOLDED.items() if digit == character)]:
            table[[ord(spelling), ord(spelling.lower())]] = value
    return table


def _triple_table() -> NDArray[np.uint32]:
    """The characters of every value of three symbols, and a comma, as a word."""
    values = np.arange(_TRIPLE + 1)
    alphabet = np.frombuffer(CROCKFORD_ALPHABET.encode(), dtype=np.uint8)
    table = np.full((len(values), 4), ord(","), dtype=np.uint8)
    for place in range(3):
        table[:, place] = alphabet[(values >> 5 * (2 - place)) & 31]
    return table.view(np.uint32).reshape(len(values))


_NONE: Final = "!" * _SERIAL_LENGTH
_SYMBOLS: Final = _symbol_table()
_TRIPLES: Final = _triple_table()
_ALPHABET: Final = (CROCKFORD_ALPHABET * 8).encode()
