"""What is said of key ids: that all their codes are recalled, or that the key has leaked."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.code_tables import code_key_table
from loyalty.items.precedence import ExceptionState
from loyalty.kit.errors import ConflictError


class KeyCompromisedError(ConflictError):
    """The key has leaked: nothing new is made under it."""

    type = "code-key-compromised"
    title = "This key has leaked"


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a programme says of one key id. Codes of a compromised one count if they were handed out before."""

    kid: int
    state: ExceptionState | None = None
    compromised_at: datetime | None = None
    note: str = ""


async def read_key_records(connection: AsyncConnection, *, programme_id: UUID) -> dict[int, KeyRecord]:
    """What a programme says of its key ids, by key id; those of which nothing is said are left out."""
    key = code_key_table.c
    query = select(key.kid, key.state, key.compromised_at, key.note).where(key.programme_id == programme_id)
    rows = (await connection.execute(query.order_by(key.kid))).mappings()
    return {row["kid"]: KeyRecord(**{name: row[name] for name in KeyRecord.__struct_fields__}) for row in rows}


async def refuse_compromised(connection: AsyncConnection, *, programme_id: UUID, kid: int) -> None:
    """Raise KeyCompromisedError where a key has leaked."""
    record = (await read_key_records(connection, programme_id=programme_id)).get(kid)
    if record is not None and record.compromised_at is not None:
        message = f"key {kid} leaked on {record.compromised_at:%Y-%m-%d}; make new codes under another"
        raise KeyCompromisedError(message, field="kid")


async def set_key_state(
    connection: AsyncConnection, *, programme_id: UUID, kid: int, state: ExceptionState | None
) -> None:
    """Recall or retire everything made under a key id that no nearer word exempts; None takes it back."""
    now = func.clock_timestamp()
    said = insert(code_key_table).values(programme_id=programme_id, kid=kid, state=state, state_at=now)
    changed = {name: said.excluded[name] for name in ("state", "state_at")}
    await connection.execute(said.on_conflict_do_update(index_elements=["programme_id", "kid"], set_=changed))


async def mark_compromised(
    connection: AsyncConnection, *, programme_id: UUID, kid: int, at: datetime, note: str
) -> KeyRecord:
    """Write down that a key leaked by `at`. Said again, the earlier moment stays."""
    key = code_key_table.c
    said = insert(code_key_table).values(programme_id=programme_id, kid=kid, compromised_at=at, note=note)
    kept = said.on_conflict_do_update(
        index_elements=["programme_id", "kid"],
        set_={"compromised_at": said.excluded.compromised_at, "note": said.excluded.note},
        where=key.compromised_at.is_(None) | (key.compromised_at > said.excluded.compromised_at),
    )
    await connection.execute(kept)
    return (await read_key_records(connection, programme_id=programme_id))[kid]
