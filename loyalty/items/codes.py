"""The serial scheme: 16 characters that prove themselves, so that nothing is stored for an item until it is seen.

80 bits are `kid(5) | masked index(35) | tag(40)`, written as Crockford base-32. The tag is a truncated AES block over
the index under a key of the GTIN, and a mask made from the tag hides the index, so that neighbours look unrelated.
A guess is right once in 2**40 tries. Everything here is pure; the masters come from `loyalty.items.keys`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from loyalty.items.batches import BATCH, Ciphers, Mill, pin_characters, read_serials, serial_strings
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import CROCKFORD_ALPHABET, decode_base32, encode_base32

SERIAL_LENGTH: Final = 16
PIN_LENGTH: Final = 6
INDEX_LIMIT: Final = 1 << 35
"""One past the highest index of a (gtin, kid)."""
KID_LIMIT: Final = 32
"""One past the highest key id. Key id 0 is set aside for imported serials, which prove nothing by themselves."""
MASTER_LENGTH: Final = 32

_BLOCK: Final = 16
_FIELD: Final = 5
_INDEX_MASK: Final = INDEX_LIMIT - 1
_TAG_LIMIT: Final = 1 << 40
_SALT: Final = b"item-code/v1"
_SEPARATORS: Final = str.maketrans("", "", " -")


class ItemCode(msgspec.Struct, frozen=True):
    """What a serial says once its tag is found right: which item of which key of which product."""

    gtin: str
    kid: int
    index: int


class ItemKeys:
    """The keys of one (gtin, kid), derived from its 32-byte masters: they mint and verify that product's codes alone.

    Raises InvalidInputError where the key id is not 1 to 31 or a master has another length.
    """

    def __init__(self, *, gtin: str, kid: int, master: bytes, pin_master: bytes) -> None:
        if not 0 < kid < KID_LIMIT:
            raise InvalidInputError(f"a key id is from 1 to {KID_LIMIT - 1}, not {kid}", field="kid")
        if len(master) != MASTER_LENGTH or len(pin_master) != MASTER_LENGTH:
            raise InvalidInputError(f"a master key has {MASTER_LENGTH} bytes", field="master")
        self.gtin: Final = gtin
        self.kid: Final = kid
        # A cipher is kept, not an encryptor: that has state, and these keys may serve several threads.
        self._ciphers: Final = Ciphers(
            mac=_cipher(master, "mac", gtin, kid),
            enc=_cipher(master, "enc", gtin, kid),
            pin=_cipher(pin_master, "pin", gtin, kid),
        )

    def mint(self, index: int) -> str:
        """The serial of one item. Raises InvalidInputError where the index is out of range."""
        _check_index(index)
        tag = self._tag(index)
        return encode_base32(self.kid << 75 | (index ^ self._mask(tag)) << 40 | int.from_bytes(tag), SERIAL_LENGTH)

    def verify(self, serial: str) -> ItemCode | None:
        """Read a serial of this key; None where it is not one of ours. The tag is compared in constant time."""
        folded = fold_serial(serial)
        if folded is None:
            return None
        value = decode_base32(folded)
        if value >> 75 != self.kid:
            return None
        tag = (value % _TAG_LIMIT).to_bytes(_FIELD)
        index = (value >> 40 & _INDEX_MASK) ^ self._mask(tag)
        return ItemCode(self.gtin, self.kid, index) if hmac.compare_digest(self._tag(index), tag) else None

    def mill(self) -> Mill:
        """A mill for a thread that mints or reads many serials."""
        return Mill(self._ciphers, self.kid)

    def mint_many(self, lo: int, count: int) -> NDArray[np.bytes_]:
        """The serials of `count` items from index `lo`, as an array of 16-byte strings (`S16`).

        Raises InvalidInputError where the interval is out of range.
        """
        _check_interval(lo, count)
        mill, rows = self.mill(), np.empty((count, SERIAL_LENGTH), dtype=np.uint8)
        for first, index in _batches(lo, count):
            rows[first : first + len(index)] = mill.serials(index)
        return serial_strings(rows)

    def verify_many(self, serials: Sequence[str] | NDArray[np.bytes_]) -> NDArray[np.int64]:
        """The indexes of many serials, in any case; -1 for each that is not of this key.

        Takes texts, or an array of 16-byte strings (`S16`). Says of each what `verify` says of it.
        """
        mill, indexes = self.mill(), np.empty(len(serials), dtype=np.int64)
        for first in range(0, len(serials), BATCH):
            batch = slice(first, first + BATCH)
            indexes[batch] = mill.indexes(*read_serials(serials[batch]))
        return indexes

    def pin(self, index: int) -> str:
        """The 6 characters under the scratch-off of one item. Raises InvalidInputError on an index out of range."""
        _check_index(index)
        block = self._ciphers.pin.encryptor().update(_block(index))
        return encode_base32(int.from_bytes(block[:4]) >> 2, PIN_LENGTH)

    def verify_pin(self, index: int, text: str) -> bool:
        """Whether somebody typed an item's PIN, in any case and with or without separators; in constant time."""
        typed = clean_typed(text)
        folded = _fold(typed) if len(typed) == PIN_LENGTH else None
        return folded is not None and hmac.compare_digest(folded, self.pin(index))

    def pin_many(self, lo: int, count: int) -> NDArray[np.bytes_]:
        """The PINs of `count` items from index `lo`, as an array of 6-byte strings (`S6`). Raises as mint_many."""
        _check_interval(lo, count)
        mill, rows = self.mill(), np.empty((count, PIN_LENGTH), dtype=np.uint8)
        for first, index in _batches(lo, count):
            rows[first : first + len(index)] = pin_characters(mill.pins(index))
        return rows.view(f"S{PIN_LENGTH}").reshape(count)

    def _tag(self, index: int) -> bytes:
        return self._ciphers.mac.encryptor().update(_block(index))[:_FIELD]

    def _mask(self, tag: bytes) -> int:
        block = self._ciphers.enc.encryptor().update(bytes(_BLOCK - _FIELD) + tag)
        return int.from_bytes(block[:_FIELD]) & _INDEX_MASK


def fold_serial(text: str) -> str | None:
    """A serial in its one spelling: upper case, `O` as `0`, `I` and `L` as `1`; None where it cannot be one."""
    return _fold(text) if len(text) == SERIAL_LENGTH else None


def serial_kid(serial: str) -> int | None:
    """The key id a serial claims to be of, before anything is proved; None where it is not a serial at all."""
    folded = fold_serial(serial)
    return None if folded is None else CROCKFORD_ALPHABET.index(folded[0])


def clean_typed(text: str) -> str:
    """What a person typed, without the spaces and hyphens that labels group characters with."""
    return text.translate(_SEPARATORS)


def group_serial(serial: str) -> str:
    """A serial in groups of four, as a person reads it from a label: `10Y7-DJPF-72MH-RCYR`."""
    return "-".join(serial[start : start + 4] for start in range(0, SERIAL_LENGTH, 4))


def _fold(text: str) -> str | None:
    if not text.isascii():  # upper() would turn some letters of other alphabets into ours
        return None
    try:
        return encode_base32(decode_base32(text), len(text))
    except ValueError:
        return None


def _cipher(master: bytes, label: str, gtin: str, kid: int) -> Cipher[modes.ECB]:
    info = f"{label}|{gtin}|{CROCKFORD_ALPHABET[kid]}".encode()
    key = HKDF(algorithm=hashes.SHA256(), length=_BLOCK, salt=_SALT, info=info).derive(master)
    # One block of a fixed form, never two alike under one key: ECB is AES itself here, a pseudo-random function.
    return Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305


def _block(value: int) -> bytes:
    return value.to_bytes(_BLOCK)


def _batches(lo: int, count: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """The indexes of an interval in batches, each with how many came before it."""
    for first in range(0, count, BATCH):
        yield first, np.arange(lo + first, lo + min(first + BATCH, count), dtype=np.int64)


def _check_index(index: int) -> None:
    if not 0 <= index < INDEX_LIMIT:
        raise InvalidInputError(f"an index is from 0 to {INDEX_LIMIT - 1}, not {index}", field="index")


def _check_interval(lo: int, count: int) -> None:
    _check_index(lo)
    if count < 0 or lo + count > INDEX_LIMIT:
        raise InvalidInputError(f"{count} codes from index {lo} do not fit below {INDEX_LIMIT}", field="count")
