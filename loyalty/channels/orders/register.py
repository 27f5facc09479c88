"""The register of a channel's own numbers: what each stands for, claimed once for ever, and the lock of an order.

An order and its refunds arrive in any order and at the same time. They meet on the register's row of the order, which
whoever comes first makes: a refund finds the order there, or leaves itself waiting before an order can claim the row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.channels.orders.shapes import DocumentKind
from loyalty.kit.errors import IdempotencyMismatchError
from loyalty.kit.programme import Channel


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """What a number stands for. Nothing but the number is known of an order that only a refund has named yet."""

    external_id: str
    member_id: UUID | None = None
    document_id: UUID | None = None
    content_hash: bytes | None = None


_COLUMNS: Final = "external_id, member_id, document_id, content_hash"
_FIND: Final = text(f"""
    SELECT {_COLUMNS} FROM order_reference
    WHERE channel_id = :channel AND kind = :kind AND external_id = ANY (:numbers) AND document_id IS NOT NULL
""")  # noqa: S608  (constants; values are bound)
_CLAIM: Final = text("""
    INSERT INTO order_reference (channel_id, kind, external_id, programme_id, member_id, document_id, content_hash)
    SELECT :channel, :kind, external_id, :programme, member_id, document_id, content_hash
    FROM unnest(
        CAST(:numbers AS text[]), CAST(:members AS uuid[]), CAST(:documents AS uuid[]), CAST(:hashes AS bytea[])
    ) AS n (external_id, member_id, document_id, content_hash)
    ORDER BY external_id
    ON CONFLICT (channel_id, kind, external_id) DO UPDATE
    SET member_id = excluded.member_id, document_id = excluded.document_id, content_hash = excluded.content_hash
    WHERE order_reference.document_id IS NULL
    RETURNING external_id
""")
_EXPECT: Final = text("""
    INSERT INTO order_reference (channel_id, kind, external_id, programme_id)
    VALUES (:channel, 'order', :number, :programme)
    ON CONFLICT DO NOTHING
""")
_LOCK: Final = text(f"""
    SELECT {_COLUMNS} FROM order_reference
    WHERE channel_id = :channel AND kind = 'order' AND external_id = :number
    FOR UPDATE
""")  # noqa: S608  (constants; values are bound)
_SETTLE: Final = text("""
    UPDATE order_reference SET member_id = :member
    WHERE channel_id = :channel AND kind = :kind AND external_id = :number
""")


async def find_documents(
    connection: AsyncConnection, *, channel: Channel, kind: DocumentKind, external_ids: Collection[str]
) -> dict[str, Reference]:
    """Which of a channel's numbers stand for a document, and for which."""
    rows = await connection.execute(_FIND, {"channel": channel.id, "kind": kind, "numbers": list(external_ids)})
    return {row.external_id: _reference(row) for row in rows}


async def claim_documents(
    connection: AsyncConnection, *, channel: Channel, kind: DocumentKind, references: Sequence[Reference]
) -> set[str]:
    """Claim numbers for new documents; answers those that were free. A number another transaction is claiming is waited
    for, in the order of the numbers, so that two batches with the same documents do not deadlock.
    """
    rows = await connection.execute(
        _CLAIM,
        {
            "channel": channel.id,
            "kind": kind,
            "programme": channel.programme_id,
            "numbers": [reference.external_id for reference in references],
            "members": [reference.member_id for reference in references],
            "documents": [reference.document_id for reference in references],
            "hashes": [reference.content_hash for reference in references],
        },
    )
    return set(rows.scalars())


async def lock_order(connection: AsyncConnection, *, channel: Channel, external_id: str) -> Reference:
    """Lock the number of an order until the transaction ends, whether or not the order has arrived."""
    place = {"channel": channel.id, "number": external_id}
    await connection.execute(_EXPECT, place | {"programme": channel.programme_id})
    return _reference((await connection.execute(_LOCK, place)).one())


async def settle_document(
    connection: AsyncConnection, *, channel: Channel, kind: DocumentKind, external_id: str, member_id: UUID
) -> None:
    """Note whose a document is that had waited."""
    await connection.execute(_SETTLE, {"channel": channel.id, "kind": kind, "number": external_id, "member": member_id})


def check_same(reference: Reference, content_hash: bytes, kind: DocumentKind) -> None:
    """Raise IdempotencyMismatchError where a number comes back with another content."""
    if reference.content_hash != content_hash:
        message = f"{kind} {reference.external_id} came before with another content; it stays as it came first"
        raise IdempotencyMismatchError(message, field="external_id")


def _reference(row: Row[Any]) -> Reference:
    return Reference(
        external_id=row.external_id,
        member_id=row.member_id,
        document_id=row.document_id,
        content_hash=bytes(row.content_hash) if row.content_hash is not None else None,
    )
