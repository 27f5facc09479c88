"""The bytes that an entry's hash covers.

PostgreSQL's `record_send` of a row: each value with its type and length, or its absence. It is written again here in
Python on purpose: a verifier that asked the database to compute hashes would believe whatever the database says.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from ledger.streams import microseconds

UUID_TYPE: Final = 2950
_TEXT: Final = 25
_BIGINT: Final = 20
_INTEGER: Final = 23
_BOOLEAN: Final = 16
_BYTES: Final = 17
MOMENT_TYPE: Final = 1184
_BIGINTS: Final = 1016

FIELDS: Final[tuple[tuple[str, int], ...]] = (
    ("member_id", UUID_TYPE),
    ("unit", _TEXT),
    ("seq", _BIGINT),
    ("programme_id", UUID_TYPE),
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
    ("reverses_member", UUID_TYPE),
    ("reverses", _BIGINT),
    ("hold_id", UUID_TYPE),
    ("peer_id", UUID_TYPE),
    ("opens_lot", _BOOLEAN),
    ("lot_expires_at", MOMENT_TYPE),
    ("lot_available_at", MOMENT_TYPE),
    ("lot_priority", _INTEGER),
    ("lot_origin_member", UUID_TYPE),
    ("lot_origin_seq", _BIGINT),
    ("hold_expires_at", MOMENT_TYPE),
    ("idle_expires_at", MOMENT_TYPE),
    ("source", _TEXT),
    ("reason", _TEXT),
    ("actor", _TEXT),
    ("approved_by", _TEXT),
    ("rule_version", _TEXT),
    ("effective_at", MOMENT_TYPE),
    ("recorded_at", MOMENT_TYPE),
    ("lots", _BIGINTS),
    ("amounts", _BIGINTS),
)
"""The columns of `ledger.entry` but its hash, with PostgreSQL's type numbers."""


class EntryRow(NamedTuple):
    """A row of `ledger.entry`: the fields in their order, then the hash; values as `ledger.streams` reads them."""

    member_id: bytes
    unit: str
    seq: int
    programme_id: bytes
    posting: int
    kind: str
    amount: int
    debit: str
    credit: str
    posted: int
    pending: int
    held: int
    debt: int
    idem_key: str | None
    request_hash: bytes | None
    reverses_member: bytes | None
    reverses: int | None
    hold_id: bytes | None
    peer_id: bytes | None
    opens_lot: bool
    lot_expires_at: int | None
    lot_available_at: int | None
    lot_priority: int | None
    lot_origin_member: bytes | None
    lot_origin_seq: int | None
    hold_expires_at: int | None
    idle_expires_at: int | None
    source: str
    reason: str | None
    actor: str | None
    approved_by: str | None
    rule_version: str | None
    effective_at: int
    recorded_at: int
    lots: list[int] | None
    amounts: list[int] | None
    hash: bytes


COLUMNS: Final = ", ".join(EntryRow._fields)
"""What to select for an EntryRow."""

_COUNT: Final = struct.pack(">i", len(FIELDS))


def _fixed(kind: int, form: str) -> Callable[[Any], bytes]:
    packer = struct.Struct(">ii" + form)
    size = packer.size - 8
    return lambda value: packer.pack(kind, size, value)


def _varying(kind: int, as_bytes: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    header = struct.Struct(">ii").pack

    def encoded(value: Any) -> bytes:
        data = as_bytes(value)
        return header(kind, len(data)) + data

    return encoded


def _bigints(values: Sequence[int]) -> bytes:
    return struct.pack(">iiiii", 1, 0, _BIGINT, len(values), 1) + b"".join(
        struct.pack(">iq", 8, value) for value in values
    )


_ENCODERS: Final[dict[int, Callable[[Any], bytes]]] = {
    UUID_TYPE: _fixed(UUID_TYPE, "16s"),
    _TEXT: _varying(_TEXT, str.encode),
    _BIGINT: _fixed(_BIGINT, "q"),
    _INTEGER: _fixed(_INTEGER, "i"),
    _BOOLEAN: _fixed(_BOOLEAN, "?"),
    _BYTES: _varying(_BYTES, bytes),
    MOMENT_TYPE: _fixed(MOMENT_TYPE, "q"),
    _BIGINTS: _varying(_BIGINTS, _bigints),
}
_PLAN: Final = tuple((_ENCODERS[kind], struct.pack(">ii", kind, -1)) for _, kind in FIELDS)


def encode(entry: EntryRow) -> bytes:
    """Write the record of an entry."""
    return _COUNT + b"".join(
        [absent if value is None else encoder(value) for value, (encoder, absent) in zip(entry, _PLAN, strict=False)]
    )


def chain(head: bytes, entry: EntryRow) -> bytes:
    """The hash of an entry that follows the entry whose hash is `head`; the first follows the empty string."""
    return hashlib.sha256(head + encode(entry)).digest()


def entry_row(values: Mapping[Any, Any]) -> EntryRow:
    """An entry from a row by column, as SQLAlchemy reads it."""
    return EntryRow(**{name: _as_streamed(values[name]) for name in EntryRow._fields})


def _as_streamed(value: Any) -> Any:
    if isinstance(value, datetime):
        return microseconds(value)
    return value.bytes if isinstance(value, UUID) else value
