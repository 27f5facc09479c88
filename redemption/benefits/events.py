"""What happened to benefits, as it is written down for good."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.ids import new_id
from redemption.benefits.tables import event_table

EventKind = Literal["issued", "seen", "locked", "used", "released", "returned", "revoked", "expired", "transferred"]
MOST_EVENTS: Final = 500


class Doer(msgspec.Struct, frozen=True, kw_only=True):
    """Where and by whom something was done, as far as that is known: a channel, its clerk, or who else (`actor`)."""

    channel_id: UUID | None = None
    clerk: str | None = None
    actor: str | None = None


NOBODY: Final = Doer()


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to one benefit. An amount is what the benefit takes off the purchase."""

    kind: EventKind
    at: datetime
    benefit_id: UUID
    campaign: str | None
    channel_id: UUID | None
    clerk: str | None
    actor: str | None
    order_number: str | None
    amount_minor: int | None
    currency: str | None


async def record(
    connection: AsyncConnection,
    benefit: Any,
    kind: EventKind,
    *,
    at: datetime,
    by: Doer = NOBODY,
    order_number: str | None = None,
    amount_minor: int | None = None,
    currency: str | None = None,
) -> None:
    """Write down what happened to a benefit (or a row of one)."""
    values = {
        "member_id": benefit.member_id,
        "id": new_id(),
        "benefit_id": benefit.id,
        "programme_id": benefit.programme_id,
        "template_id": benefit.template_id,
        "version": benefit.version,
        "campaign": benefit.campaign,
        "kind": kind,
        "at": at,
        "channel_id": by.channel_id,
        "clerk": by.clerk,
        "actor": by.actor,
        "order_number": order_number,
        "amount_minor": amount_minor,
        "currency": currency,
    }
    await connection.execute(insert(event_table).values(values))


async def events_of(
    connection: AsyncConnection, *, member_id: UUID, benefit_ids: Sequence[UUID] | None = None
) -> list[Event]:
    """What happened to a member's benefits, or to some of them, oldest first."""
    columns = event_table.c
    query = select(event_table).where(columns.member_id == member_id)
    if benefit_ids is not None:
        query = query.where(columns.benefit_id.in_(benefit_ids))
    rows = await connection.execute(query.order_by(columns.at, columns.id).limit(MOST_EVENTS))
    return [Event(**{field: getattr(row, field) for field in Event.__struct_fields__}) for row in rows]
