"""Where identities are kept: found by their blind index, sealed for the member whose they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.crypto import Keyring
from loyalty.kit.ids import new_id
from loyalty.members.identifiers import Identity, IdentityKey, IdentityKind, sealed_field
from loyalty.members.linking import Holder


class StoredIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """An identity as a member's page shows it, in the clear. `channel` is the code of where it was first heard."""

    id: UUID
    member_id: UUID
    kind: IdentityKind
    scope: str
    value: str
    channel: str
    verified_at: datetime | None
    added_at: datetime


class NewIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """An identity about to be stored for a member."""

    key: IdentityKey
    identity: Identity
    member_id: UUID


_FIND: Final = text("""
    SELECT i.kind, i.scope, i.digest, i.member_id, m.merged_into
    FROM unnest(CAST(:kinds AS text[]), CAST(:scopes AS text[]), CAST(:digests AS bytea[])) AS w (kind, scope, digest)
    JOIN member_identity i
        ON i.programme_id = :programme AND i.kind = w.kind AND i.digest = w.digest AND i.scope = w.scope
    JOIN member m ON m.id = i.member_id
""")

_SURVIVORS: Final = text("""
    WITH RECURSIVE chain AS (
        SELECT id AS start, id, merged_into FROM member WHERE id = ANY (:ids)
        UNION ALL
        SELECT chain.start, m.id, m.merged_into FROM chain JOIN member m ON m.id = chain.merged_into
    )
    SELECT start, id FROM chain WHERE merged_into IS NULL
""")

_HELD: Final = text("""
    SELECT m.id, m.joined_at, i.kind, i.scope, i.digest, i.verified_at IS NOT NULL AS verified
    FROM member m LEFT JOIN member_identity i ON i.member_id = m.id
    WHERE m.id = ANY (:ids)
""")

_INSERT: Final = text("""
    INSERT INTO member_identity (programme_id, kind, digest, scope, id, member_id, sealed, channel, verified_at)
    SELECT :programme, kind, digest, scope, id, member_id, sealed, :channel, CASE WHEN verified THEN now() END
    FROM unnest(
        CAST(:kinds AS text[]), CAST(:digests AS bytea[]), CAST(:scopes AS text[]), CAST(:ids AS uuid[]),
        CAST(:members AS uuid[]), CAST(:sealed AS bytea[]), CAST(:verified AS boolean[])
    ) AS n (kind, digest, scope, id, member_id, sealed, verified)
    ON CONFLICT DO NOTHING
""")

_VERIFY: Final = text("""
    UPDATE member_identity i SET verified_at = now()
    FROM unnest(CAST(:kinds AS text[]), CAST(:scopes AS text[]), CAST(:digests AS bytea[])) AS w (kind, scope, digest)
    WHERE i.programme_id = :programme AND i.kind = w.kind AND i.digest = w.digest AND i.scope = w.scope
        AND i.verified_at IS NULL
""")

_OF_MEMBERS: Final = text("""
    SELECT id, member_id, kind, scope, sealed, channel, verified_at, added_at FROM member_identity
    WHERE member_id = ANY (:members) ORDER BY verified_at NULLS LAST, id
""")

_MOVE: Final = text("UPDATE member_identity SET member_id = :to, sealed = :sealed WHERE member_id = :from AND id = :id")


async def find_holders(
    connection: AsyncConnection, *, programme_id: UUID, keys: Collection[IdentityKey]
) -> dict[IdentityKey, Holder]:
    """Who holds each of `keys`, with everything else that they hold; merged members as their survivor."""
    if not keys:
        return {}
    found = (await connection.execute(_FIND, {"programme": programme_id, **_columns(keys)})).all()
    survivors = await _survivors(connection, {row.member_id for row in found if row.merged_into})
    held = await holders_of(connection, {survivors.get(row.member_id, row.member_id) for row in found})
    return {
        IdentityKey(row.kind, row.scope, bytes(row.digest)): held[survivors.get(row.member_id, row.member_id)]
        for row in found
    }


async def _survivors(connection: AsyncConnection, merged: Collection[UUID]) -> dict[UUID, UUID]:
    if not merged:
        return {}
    return {row.start: row.id for row in await connection.execute(_SURVIVORS, {"ids": list(merged)})}


async def holders_of(connection: AsyncConnection, member_ids: Collection[UUID]) -> dict[UUID, Holder]:
    """Members with the keys of their identities."""
    holders: dict[UUID, Holder] = {}
    if member_ids:
        for row in await connection.execute(_HELD, {"ids": list(member_ids)}):
            holder = holders.setdefault(row.id, Holder(member_id=row.id, joined_at=row.joined_at))
            if row.kind is not None:
                holder.identities[IdentityKey(row.kind, row.scope, bytes(row.digest))] = row.verified
    return holders


async def add_identities(
    connection: AsyncConnection, keyring: Keyring, *, programme_id: UUID, channel: str, added: Collection[NewIdentity]
) -> int:
    """Store identities and answer how many were: fewer than asked when somebody else was quicker with one of them.

    They are written in the order of their keys, so that two who write the same ones wait and do not deadlock.
    """
    if not added:
        return 0
    ordered = sorted(added, key=lambda new: (new.key.kind, new.key.digest, new.key.scope))
    result = await connection.execute(
        _INSERT,
        {
            "programme": programme_id,
            "channel": channel,
            **_columns([new.key for new in ordered]),
            "ids": [new_id() for _ in ordered],
            "members": [new.member_id for new in ordered],
            "sealed": [
                keyring.encrypt(
                    new.identity.value, owner=new.member_id, field=sealed_field(new.key.kind, new.key.scope)
                )
                for new in ordered
            ],
            "verified": [new.identity.verified for new in ordered],
        },
    )
    return result.rowcount


async def mark_verified(connection: AsyncConnection, *, programme_id: UUID, keys: Collection[IdentityKey]) -> None:
    """Remember that these identities were proved; the first time counts."""
    if keys:
        ordered = sorted(keys, key=lambda key: (key.kind, key.digest, key.scope))
        await connection.execute(_VERIFY, {"programme": programme_id, **_columns(ordered)})


async def read_identities(
    connection: AsyncConnection, keyring: Keyring, member_ids: Collection[UUID]
) -> dict[UUID, list[StoredIdentity]]:
    """The identities of members in the clear: verified ones first, then in the order in which they came."""
    identities: dict[UUID, list[StoredIdentity]] = {member_id: [] for member_id in member_ids}
    for row in await connection.execute(_OF_MEMBERS, {"members": list(member_ids)}):
        identities[row.member_id].append(
            StoredIdentity(
                id=row.id,
                member_id=row.member_id,
                kind=row.kind,
                scope=row.scope,
                value=keyring.decrypt(bytes(row.sealed), owner=row.member_id, field=sealed_field(row.kind, row.scope)),
                channel=row.channel,
                verified_at=row.verified_at,
                added_at=row.added_at,
            )
        )
    return identities


async def move_identities(
    connection: AsyncConnection,
    keyring: Keyring,
    *,
    from_member_id: UUID,
    to_member_id: UUID,
    only: Collection[UUID] | None = None,
) -> list[UUID]:
    """Give a member's identities (or those of the ids `only` that it has) to another; answers the ids of those moved.

    Each is sealed anew, because a ciphertext is bound to its member.
    """
    rows = (await connection.execute(_OF_MEMBERS, {"members": [from_member_id]})).all()
    moved = [row for row in rows if only is None or row.id in only]
    for row in moved:
        await connection.execute(
            _MOVE,
            {
                "id": row.id,
                "from": from_member_id,
                "to": to_member_id,
                "sealed": keyring.reseal(
                    bytes(row.sealed),
                    owner=from_member_id,
                    field=sealed_field(row.kind, row.scope),
                    new_owner=to_member_id,
                ),
            },
        )
    return [row.id for row in moved]


def _columns(keys: Collection[IdentityKey]) -> dict[str, Sequence[Any]]:
    return {
        "kinds": [key.kind for key in keys],
        "scopes": [key.scope for key in keys],
        "digests": [key.digest for key in keys],
    }
