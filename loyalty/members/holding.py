"""Members that a batch posts to: held as they are, all in one statement, until its transaction ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.driver import fetch, lock_patience, uuid_array

_ACTIVE: Final = """
    WITH patience AS MATERIALIZED (
        SELECT set_config('lock_timeout', coalesce(%s, current_setting('lock_timeout')), true)
    )
    SELECT member.id FROM patience CROSS JOIN member
    WHERE member.id = ANY (%s::uuid[]) AND member.programme_id = %s AND member.state = 'active'
    ORDER BY member.id FOR KEY SHARE OF member
"""
_PERSONS: Final = """
    WITH RECURSIVE person AS (
        SELECT id AS whose, id, 0 AS depth FROM unnest(%s::uuid[]) AS asked (id)
        UNION ALL
        SELECT person.whose, m.id, person.depth + 1 FROM person JOIN member m ON m.merged_into = person.id
    )
    SELECT whose, id FROM person ORDER BY depth, id
"""


async def hold_active(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_ids: Iterable[UUID],
    lock_patience_ms: int | None = None,
) -> set[UUID]:
    """Hold those of the members who are neither merged nor erased, in the order of their ids; answers their ids.

    Nobody merges or erases them before the transaction ends. What became of the others, `member.keep_unmerged` says of
    each. `lock_patience_ms` says for the rest of the transaction how long it waits for each lock. Raises DBAPIError.
    """
    asked = (lock_patience(lock_patience_ms), uuid_array(set(member_ids)), programme_id)
    rows = await fetch(connection, _ACTIVE, asked)
    return {identifier for (identifier,) in rows}


async def persons_ids(connection: AsyncConnection, *, member_ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
    """`member.person_ids` of many members at once."""
    persons: dict[UUID, list[UUID]] = {member_id: [] for member_id in member_ids}
    for whose, identifier in await fetch(connection, _PERSONS, (uuid_array(list(persons)),)):
        persons[whose].append(identifier)
    return persons
