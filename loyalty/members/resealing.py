"""After a key rotation: what of members was sealed with an old key is sealed anew, a few at a time."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.crypto import HEAD_BYTES, Keyring
from loyalty.members.identifiers import sealed_field

_OLD: Final = f"substring(sealed FROM 1 FOR {HEAD_BYTES}) <> :head"
_OLD_IDENTITIES: Final = text(f"""
    SELECT programme_id, kind, digest, scope, member_id, sealed FROM member_identity
    WHERE {_OLD} LIMIT :limit FOR UPDATE SKIP LOCKED
""")  # noqa: S608  (constants; values are bound)
_OLD_FIELDS: Final = text(f"""
    SELECT member_id, field, sealed FROM member_profile WHERE {_OLD} LIMIT :limit FOR UPDATE SKIP LOCKED
""")  # noqa: S608  (constants; values are bound)
_PUT_IDENTITY: Final = text("""
    UPDATE member_identity SET sealed = :sealed
    WHERE programme_id = :programme AND kind = :kind AND digest = :digest AND scope = :scope
""")
_PUT_FIELD: Final = text("UPDATE member_profile SET sealed = :sealed WHERE member_id = :member AND field = :field")


async def reseal(connection: AsyncConnection, keyring: Keyring, *, limit: int = 500) -> int:
    """Seal up to `limit` identities and as many profile fields with the current key; answers how many values it was.

    0 means that nothing of a member needs an old key any more, but what another transaction holds: it comes next time.
    Raises KeyringError where a value was sealed by a key that is gone.
    """
    bounds = {"head": keyring.head, "limit": limit}
    identities = (await connection.execute(_OLD_IDENTITIES, bounds)).all()
    if identities:
        await connection.execute(
            _PUT_IDENTITY,
            [
                {
                    "programme": row.programme_id,
                    "kind": row.kind,
                    "digest": row.digest,
                    "scope": row.scope,
                    "sealed": keyring.reseal(
                        bytes(row.sealed), owner=row.member_id, field=sealed_field(row.kind, row.scope)
                    ),
                }
                for row in identities
            ],
        )
    fields = (await connection.execute(_OLD_FIELDS, bounds)).all()
    if fields:
        await connection.execute(
            _PUT_FIELD,
            [
                {
                    "member": row.member_id,
                    "field": row.field,
                    "sealed": keyring.reseal(bytes(row.sealed), owner=row.member_id, field=f"profile:{row.field}"),
                }
                for row in fields
            ],
        )
    return len(identities) + len(fields)
