"""Proofs of an entry that anybody can check without the database, and without trust in whoever runs it.

A proof holds the entry, the entries that followed it up to the next head that was sealed, the path of that head in the
seal's tree, and the signed seal. `ledger/standalone/verify_proof.py` checks it with the public key and nothing of ours.
The ledger holds no personal data, so a proof holds none; what it shows of the member is the same account's entries
between two seals.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import EntryNotFoundError
from ledger.merkle import Tree
from ledger.record import COLUMNS, FIELDS, MOMENT_TYPE, UUID_TYPE, EntryRow, chain
from ledger.seals import Seal, SealError, leaf, leaves, newest_seal, seals
from ledger.streams import driver, moment, rows
from loyalty.kit.errors import ConflictError

MOST_ENTRIES: Final = 100_000
"""How long a chain a proof may hold. An account has as many entries between two seals only where it was imported."""

_HEAD: Final = text("""
    SELECT s.number, h.seq, h.head
    FROM (SELECT min(closing) AS closing FROM ledger.closed_head
          WHERE member_id = :member AND unit = :unit AND seq >= :sequence) AS first
    JOIN ledger.seal AS s ON first.closing BETWEEN s.first_closing AND s.last_closing
    CROSS JOIN LATERAL (
        SELECT seq, head FROM ledger.closed_head
        WHERE member_id = :member AND unit = :unit AND closing BETWEEN s.first_closing AND s.last_closing
        ORDER BY closing DESC LIMIT 1) AS h
""")
_ENTRIES: Final = f"""
    SELECT {COLUMNS} FROM ledger.entry
    WHERE member_id = %(member)s AND unit = %(unit)s AND seq BETWEEN %(first)s AND %(last)s
    ORDER BY seq
"""  # noqa: S608  (columns of ours)


class NotSealedYetError(ConflictError):
    """The entry was made after the newest seal. Members: `newest_seal`, `sealed_at`; both None before the first."""

    type = "not-sealed-yet"
    title = "The entry is not sealed yet"


class SignedSeal(msgspec.Struct, frozen=True, kw_only=True):
    """What a seal says, to the letter, and the signature under it in hexadecimal digits."""

    statement: str
    signature: str


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the account's head stands in the seal's tree: its number from 0 on, and its path (RFC 9162, 2.1.3)."""

    index: int
    path: list[str]


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A proof as it is written to a file; hashes are hexadecimal digits, moments RFC 3339."""

    format: str = "tallystar-proof/1"
    before: str
    """The hash of the entry before; empty where the entry is the account's first."""
    entries: list[dict[str, Any]]
    """The entry itself and those that followed it, every column but the hash."""
    leaf: Place
    seal: SignedSeal
    later_seals: list[SignedSeal]
    """The seals that followed, for somebody who holds only a newer one."""


async def prove(
    connection: AsyncConnection,
    *,
    member_id: UUID,
    unit: str,
    sequence: int,
    later_seals: bool = False,
    most_entries: int = MOST_ENTRIES,
) -> Proof:
    """The proof of one entry by the first seal that covers it.

    Raises EntryNotFoundError; NotSealedYetError; SealError where no proof can be given because entries, heads and seals
    do not fit each other, or because more than `most_entries` entries stand between the entry and the sealed head.
    """
    account = {"member": member_id, "unit": unit}
    head = (await connection.execute(_HEAD, {**account, "sequence": sequence})).first()
    if head is None:
        raise await _unsealed(connection, account, sequence)
    if head.seq - sequence >= most_entries:
        message = (
            f"{head.seq - sequence} entries followed it before it was sealed; a proof holds {most_entries} at most"
        )
        raise SealError(message, field="sequence")
    span = {"first": max(sequence - 1, 1), "last": head.seq}
    entries = [EntryRow._make(row) for row in await rows(await driver(connection), _ENTRIES, {**account, **span})]
    before = entries.pop(0).hash if sequence > 1 and entries else b""
    if [entry.seq for entry in entries] != [*range(sequence, head.seq + 1)] or _followed(before, entries) != head.head:
        message = f"entry {sequence} does not lead to what was sealed; look with tallystar ledger verify"
        raise SealError(message, field="sequence")
    (seal, *later) = await seals(connection, first=head.number, last=None if later_seals else head.number)
    tree = await _tree(connection, seal, leaf(member_id.bytes, unit, head.seq, head.head))
    return Proof(
        before=before.hex(),
        entries=[plain(entry) for entry in entries],
        leaf=Place(index=tree.watched or 0, path=[node.hex() for node in tree.path]),
        seal=_signed(seal),
        later_seals=[_signed(one) for one in later],
    )


def write_proof(proof: Proof) -> bytes:
    """The file of a proof."""
    return msgspec.json.format(msgspec.json.encode(proof), indent=2) + b"\n"


async def _unsealed(connection: AsyncConnection, account: dict[str, Any], sequence: int) -> Exception:
    if not await rows(await driver(connection), _ENTRIES, {**account, "first": sequence, "last": sequence}):
        return EntryNotFoundError(f"there is no entry with number {sequence}", field="sequence", sequence=sequence)
    newest = await newest_seal(connection)
    if newest is None:
        message = "nothing is sealed yet"
        return NotSealedYetError(message, field="sequence", newest_seal=None, sealed_at=None)
    message = f"entry {sequence} was made after the newest seal, of {newest.sealed_at:%Y-%m-%d %H:%M:%S} UTC"
    return NotSealedYetError(message, field="sequence", newest_seal=newest.number, sealed_at=newest.sealed_at)


def _followed(head: bytes, entries: Iterable[EntryRow]) -> bytes:
    for entry in entries:
        head = chain(head, entry)
    return head


async def _tree(connection: AsyncConnection, seal: Seal, watched: bytes) -> Tree:
    tree = Tree()
    async for piece in leaves(connection, first_closing=seal.first_closing, last_closing=seal.last_closing):
        for one in piece:
            if one == watched:
                tree.watch()
            tree.add(one)
    if tree.watched is None or tree.root != seal.root:
        message = f"seal {seal.number}: the closed accounts are not those that were sealed"
        raise SealError(message, seal=seal.number)
    return tree


def _signed(seal: Seal) -> SignedSeal:
    return SignedSeal(statement=seal.statement.decode(), signature=seal.signature.hex())


def plain(entry: EntryRow) -> dict[str, Any]:
    """The columns of an entry as JSON has them: bytes in hexadecimal digits, moments to the microsecond."""
    return {name: _json(kind, value) for value, (name, kind) in zip(entry, FIELDS, strict=False)}


def _json(kind: int, value: Any) -> Any:
    if kind == MOMENT_TYPE and value is not None:
        return moment(value).isoformat(timespec="microseconds")
    if kind == UUID_TYPE and value is not None:
        return str(UUID(bytes=value))
    return value.hex() if isinstance(value, bytes) else value
