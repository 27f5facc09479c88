"""The bytes that an entry's hash covers.

PostgreSQL's `record_send` of a row: each value with its type and length, or its absence. It is written again here in
Python on purpose: a verifier that asked the database to compute hashes would believe whatever the database says.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

_UUID: Final = 2950
_TEXT: Final = 25
_BIGINT: Final = 20
_INTEGER: Final = 23
_BOOLEAN: Final = 16
_BYTES: Final = 17
_MOMENT: Final = 1184
_BIGINTS: Final = 1016

FIELDS: Final[tuple[tuple[str, int], ...]] = (
    ("member_id", _UUID),
    ("unit", _TEXT),
    ("seq", _BIGINT),
    ("programme_id", _UUID),
    ("posting", _BIGINT),
    ("kind", _TEXT),
    ("amount", _BIGINT),
    ("debit", _TEXT),
    ("credit", _TEXT),
    ("posted", _BIGINT),
    ("pending", _BIGINT),
    ("held", _BIGINT),
    ("debt", _BIGINT),
    ("idem_key", _TEXT),
    ("request_hash", _BYTES),
    ("reverses_member", _UUID),
    ("reverses", _BIGINT),
    ("hold_id", _UUID),
    ("peer_id", _UUID),
    ("opens_lot", _BOOLEAN),
    ("lot_expires_at", _MOMENT),
    ("lot_available_at", _MOMENT),
    ("lot_priority", _INTEGER),
    ("lot_origin_member", _UUID),
    ("lot_origin_seq", _BIGINT),
    ("hold_expires_at", _MOMENT),
    ("idle_expires_at", _MOMENT),
    ("source", _TEXT),
    ("reason", _TEXT),
    ("actor", _TEXT),
    ("approved_by", _TEXT),
    ("rule_version", _TEXT),
    ("effective_at", _MOMENT),
    ("recorded_at", _MOMENT),
    ("lots", _BIGINTS),
    ("amounts", _BIGINTS),
)
"""The columns of `ledger.entry` but its hash, with PostgreSQL's type numbers."""

_HEADER: Final = struct.Struct(">ii")
_COUNT: Final = struct.pack(">i", len(FIELDS))
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_ABSENT: Final = -1


def _moment(value: datetime) -> bytes:
    since = value - _EPOCH
    return struct.pack(">q", (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _bigints(values: Sequence[int]) -> bytes:
    return struct.pack(">iiiii", 1, 0, _BIGINT, len(values), 1) + b"".join(
        struct.pack(">iq", 8, value) for value in values
    )


_ENCODERS: Final[dict[int, Callable[[Any], bytes]]] = {
    _UUID: lambda value: bytes(value.bytes),
    _TEXT: str.encode,
    _BIGINT: struct.Struct(">q").pack,
    _INTEGER: struct.Struct(">i").pack,
    _BOOLEAN: struct.Struct(">?").pack,
    _BYTES: bytes,
    _MOMENT: _moment,
    _BIGINTS: _bigints,
}


def encode(values: Mapping[Any, Any]) -> bytes:
    """Write the record of an entry, a row of `ledger.entry` by column."""
    parts = [_COUNT]
    for name, kind in FIELDS:
        value = values[name]
        if value is None:
            parts.append(_HEADER.pack(kind, _ABSENT))
        else:
            data = _ENCODERS[kind](value)
            parts.append(_HEADER.pack(kind, len(data)))
            parts.append(data)
    return b"".join(parts)


def chain(head: bytes, values: Mapping[Any, Any]) -> bytes:
    """The hash of an entry that follows the entry whose hash is `head`; the first follows the empty string."""
    return hashlib.sha256(head + encode(values)).digest()
