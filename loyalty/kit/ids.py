"""Identifiers: UUIDv7 inside, short prefixed ids outside.

`mem_01K5...` is the prefix of what it names, then the UUID's 128 bits as 26 Crockford base-32 characters, so that ids
sort by the time they were made, are case-insensitive, and survive being read aloud.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import uuid_utils

from loyalty.kit.errors import NotFoundError

CROCKFORD_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ENCODED_LENGTH: Final = 26
_PAIRS: Final = [first + second for first in CROCKFORD_ALPHABET for second in CROCKFORD_ALPHABET]
_PYTHONS_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
_READ: Final = str.maketrans(CROCKFORD_ALPHABET + "OILU", _PYTHONS_DIGITS + "011*")
"""From Crockford's digits to those that `int` reads in base 32."""


def new_id() -> UUID:
    """Make a UUIDv7 (RFC 9562): ordered by the millisecond it was made in."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def encode_base32(value: int, length: int) -> str:
    """Write a non-negative integer as `length` Crockford base-32 characters, most significant first."""
    pairs = "".join([_PAIRS[(value >> shift) & 1023] for shift in range(10 * ((length + 1) // 2 - 1), -1, -10)])
    return pairs[-length:]


def decode_base32(text: str) -> int:
    """Read Crockford base-32, folding case, `O` to `0`, `I` and `L` to `1`. Raises ValueError on anything else."""
    if not (text.isascii() and text.isalnum()):  # `int` would also read signs, blanks and underscores
        message = "there is a character that is not of base 32"
        raise ValueError(message)
    return int(text.upper().translate(_READ), 32)


def public_id(prefix: str, identifier: UUID) -> str:
    """Write an id as the outside world sees it, such as `mem_01K5...`."""
    return f"{prefix}_{encode_base32(identifier.int, _ENCODED_LENGTH)}"


def parse_public_id(prefix: str, text: str, *, field: str = "id") -> UUID:
    """Read an id written by `public_id`. Raises NotFoundError: an id we never gave names nothing we have."""
    head, separator, encoded = text.partition("_")
    if head == prefix and separator and len(encoded) == _ENCODED_LENGTH:
        try:
            value = decode_base32(encoded)
        except ValueError:
            value = 1 << 128
        if value < 1 << 128:
            return UUID(int=value)
    message = f"{text[:60]!r} is not an id of this kind; it starts with {prefix}_ and has {_ENCODED_LENGTH} characters"
    raise NotFoundError(message, field=field)
