"""Erasure: a person asks to be forgotten, and the books stay whole.

Identities and profile go, of the member and of all that were merged into it; their id stays and leads to nobody. The
ledger holds no personal data and is not touched; consents and merges name ids alone and stay as evidence. Whoever comes
with the same phone afterwards is somebody new.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import InvalidInputError
from loyalty.members.member import get_member, person_ids

_MOST_TEXT: Final = 200


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """That a member was erased, when, by whom and why. The reason must not say who the person was."""

    member_id: UUID
    erased_at: datetime
    erased_by: str
    erased_because: str


_LOCK: Final = text("SELECT id FROM member WHERE id = ANY (:ids) ORDER BY id FOR UPDATE")
_FORGET_IDENTITIES: Final = text("DELETE FROM member_identity WHERE member_id = ANY (:ids)")
_FORGET_PROFILES: Final = text("DELETE FROM member_profile WHERE member_id = ANY (:ids)")
_ERASE: Final = text("UPDATE member SET state = 'erased', locale = NULL WHERE id = :id")
_RECORD: Final = text("""
    INSERT INTO member_erasure (member_id, programme_id, erased_by, erased_because)
    VALUES (:id, :programme, :actor, :reason) ON CONFLICT DO NOTHING
""")
_READ: Final = text("SELECT member_id, erased_at, erased_by, erased_because FROM member_erasure WHERE member_id = :id")


async def erase(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, reason: str, actor: str
) -> Erasure:
    """Forget a person, under every id they were a member as. Repeated: the first erasure is answered.

    Points stay on the account of an erased member until they expire or an adjustment takes them. Raises NotFoundError
    (member_id), InvalidInputError.
    """
    for field, value in (("reason", reason), ("actor", actor)):
        if not value.strip() or len(value) > _MOST_TEXT:
            message = f"from 1 to {_MOST_TEXT} characters"
            raise InvalidInputError(message, field=field)
    member = await get_member(connection, programme_id=programme_id, member_id=member_id)
    await connection.execute(_LOCK, {"ids": await person_ids(connection, member_id=member.id)})
    # Who was merged into whom may have changed while the lock was waited for: look again, now that it cannot.
    member = await get_member(connection, programme_id=programme_id, member_id=member_id)
    ids = await person_ids(connection, member_id=member.id)
    await connection.execute(_FORGET_IDENTITIES, {"ids": ids})
    await connection.execute(_FORGET_PROFILES, {"ids": ids})
    await connection.execute(_ERASE, {"id": member.id})
    await connection.execute(_RECORD, {"id": member.id, "programme": programme_id, "actor": actor, "reason": reason})
    return Erasure(**(await connection.execute(_READ, {"id": member.id})).one()._mapping)  # noqa: SLF001
