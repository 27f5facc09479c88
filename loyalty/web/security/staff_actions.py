"""A record of what staff did that leaves no trace elsewhere: who saw a member's personal data, when, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.ids import new_id
from loyalty.web.security.tables import staff_action_table, staff_table

Action = Literal[
    "reveal-member",
    "download-codes",
    "change-link",
    "recall-item",
    "release-item",
    "retire-item",
    "clear-suspicion",
    "recall-unit",
    "recall-lot",
    "release-lot",
    "list-claimants",
    "change-alert-settings",
    "change-thresholds",
    "take-evidence",
    "export-segment",
]
"""What is recorded: a member's personal data shown in the clear; the codes of a range handed out as a file; where a
product's code leads, changed or removed; an item, a case or a lot recalled, found good or taken out of use; who claimed
items of a lot, handed out as a file; from when on something is an alert, or scans are told apart; the evidence of an
alert, handed out; the members of a segment, handed out."""

MOST_ACTIONS: Final = 100


class StaffAction(msgspec.Struct, frozen=True, kw_only=True):
    """One thing somebody did to `subject_id` (a member, a range of codes). `name` is who, as known today."""

    staff_id: UUID
    name: str
    action: Action
    subject_id: UUID
    done_at: datetime
    note: str = ""


def subject_of(programme_id: UUID, *names: str | int) -> UUID:
    """The id of what has none of its own, such as an item or a lot, from the words that name it."""
    return uuid5(programme_id, "/".join(str(name) for name in names))


async def record_action(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    staff_id: UUID,
    action: Action,
    subject_id: UUID,
    note: str = "",
) -> None:
    """Write down what is being done, and why where they said so, in the transaction that does it."""
    await connection.execute(
        insert(staff_action_table).values(
            id=new_id(), programme_id=programme_id, staff_id=staff_id, action=action, subject_id=subject_id, note=note
        )
    )


async def list_actions(
    connection: AsyncConnection, *, programme_id: UUID, subject_id: UUID, limit: int = 20
) -> list[StaffAction]:
    """What staff did to one subject, newest first."""
    done, staff = staff_action_table.c, staff_table.c
    query = (
        select(done.staff_id, staff.name, done.action, done.subject_id, done.done_at, done.note)
        .join(staff_table, staff.id == done.staff_id)
        .where(done.subject_id == subject_id, done.programme_id == programme_id)
        .order_by(done.id.desc())
        .limit(min(limit, MOST_ACTIONS))
    )
    return [StaffAction(**row) for row in (await connection.execute(query)).mappings()]
