"""What campaigns have given so far, and what is left of their budgets."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.bonus.campaign import BUDGET
from loyalty.campaigns.bonus.tables import campaign_award_table
from loyalty.campaigns.tables import held_out_table
from loyalty.kit.quotas import Key, Level, levels

_award = campaign_award_table.c


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign gave: points (and how many of them refunds took back) or benefits, to whom for how many orders.

    `held_out` members are its control group so far. `budget` is None where it has none.
    """

    points: int = 0
    taken_back: int = 0
    benefits: int = 0
    members: int = 0
    orders: int = 0
    held_out: int = 0
    budget: Level | None = None


async def results_of(connection: AsyncConnection, *, campaign_ids: Collection[UUID]) -> dict[UUID, Result]:
    """The results of campaigns, by id; everyone asked for is there."""
    found = {campaign_id: Result() for campaign_id in campaign_ids}
    if not found:
        return found
    sums = select(
        _award.campaign_id,
        func.sum(_award.points).label("points"),
        func.sum(_award.taken_back).label("taken_back"),
        func.count(_award.member_id.distinct()).label("members"),
        func.count().label("orders"),
        func.count(_award.benefit_id).label("benefits"),
    ).where(_award.campaign_id.in_(campaign_ids))
    for row in await connection.execute(sums.group_by(_award.campaign_id)):
        found[row.campaign_id] = Result(
            points=int(row.points),
            taken_back=int(row.taken_back),
            benefits=row.benefits,
            members=row.members,
            orders=row.orders,
        )
    held = held_out_table.c
    counted = select(held.campaign_id, func.count()).where(held.campaign_id.in_(campaign_ids))
    for campaign_id, number in await connection.execute(counted.group_by(held.campaign_id)):
        found[campaign_id] = msgspec.structs.replace(found[campaign_id], held_out=number)
    for key, level in (await levels(connection, campaign_ids)).items():
        if key == Key(key.owner_id, BUDGET):
            found[key.owner_id] = msgspec.structs.replace(found[key.owner_id], budget=level)
    return found


async def points_by_day(connection: AsyncConnection, *, campaign_id: UUID) -> list[tuple[date, int]]:
    """The points that a campaign gave on each day of the programme's calendar on which it gave some."""
    query = (
        select(_award.day, func.sum(_award.points))
        .where(_award.campaign_id == campaign_id)
        .group_by(_award.day)
        .order_by(_award.day)
    )
    return [(day, int(points)) for day, points in await connection.execute(query)]
