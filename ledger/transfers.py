"""Points move between members: a gift, a household, two members who are one person, and back.

These are postings as those of `posting.py`, with idempotency keys and errors as said there. They are the only ones that
touch two accounts, which they lock in the order of the members' ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.operations import fingerprint
from ledger.posting import Posting, call


async def transfer(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    from_member_id: UUID,
    to_member_id: UUID,
    unit: str = "points",
    amount: int,
    key: str,
    source: str,
) -> Posting:
    """Give points to another member; lots travel with their expiry. Answers the giver's posting.

    Raises InsufficientBalanceError.
    """
    return await call(
        connection,
        "transfer",
        programme=programme_id,
        **{"from": from_member_id},
        to=to_member_id,
        unit=unit,
        amount=amount,
        key=key,
        hash=fingerprint("transfer", unit, to_member_id, amount),
        source=source,
    )


async def move_all(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    from_member_id: UUID,
    to_member_id: UUID,
    key: str,
    source: str,
) -> list[Posting]:
    """Move every unit's lots, pending points and debt to a member who is the same person.

    `source` names the move, and `move_back` finds it by it. Raises OpenHoldsError.
    """
    return [
        await call(
            connection,
            "move_all",
            programme=programme_id,
            **{"from": from_member_id},
            to=to_member_id,
            unit=unit,
            key=f"{key}:{unit}",
            hash=fingerprint("move_all", unit, to_member_id),
            source=source,
        )
        for unit in await _units(connection, from_member_id)
    ]


async def move_back(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    survivor_id: UUID,
    absorbed_id: UUID,
    moved_by: str,
    key: str,
    source: str,
) -> list[Posting]:
    """Undo the `move_all` whose source was `moved_by`.

    What is left of each moved lot returns to the lot it came from; debt that one paid for the other is owed again by
    the one whose it was; what was spent meanwhile stays spent.
    """
    return [
        await call(
            connection,
            "move_back",
            programme=programme_id,
            survivor=survivor_id,
            absorbed=absorbed_id,
            unit=unit,
            moved=moved_by,
            key=f"{key}:{unit}",
            hash=fingerprint("move_back", unit, absorbed_id, moved_by),
            source=source,
        )
        for unit in await _units(connection, absorbed_id)
    ]


async def _units(connection: AsyncConnection, member_id: UUID) -> Sequence[str]:
    rows = await connection.execute(
        text("SELECT unit FROM ledger.account WHERE member_id = :member ORDER BY unit"), {"member": member_id}
    )
    return rows.scalars().all()
