"""Trying a tier policy with what the brand gives on entry to its tiers: tiers and benefits do not know each other."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import utc_now
from loyalty.kit.programme import get_programme
from loyalty.members.reading import count_members
from redemption.benefits.definition import Definition
from redemption.benefits.templates import list_templates
from redemption.terms import FixedOff, Terms
from tiers.policies import DEFAULT_LADDER
from tiers.simulation import StoredSimulation, simulate_version


async def try_version(
    connection: AsyncConnection, *, programme_id: UUID, version: int, by: str, ladder_code: str = DEFAULT_LADDER
) -> StoredSimulation:
    """Simulate a version on the members there are now, with the benefits that their moves would give them.

    Raises NotFoundError.
    """
    members = await count_members(connection, programme_id=programme_id)
    return await simulate_version(
        connection,
        programme_id=programme_id,
        version=version,
        moment=utc_now(),
        member_count=members.active,
        by=by,
        ladder_code=ladder_code,
        entry_costs_minor=await entry_costs(connection, programme_id=programme_id),
    )


async def entry_costs(connection: AsyncConnection, *, programme_id: UUID) -> dict[str, int]:
    """What a member who enters each tier is given once, in minor units of the programme's currency, by tier code.

    What takes off an amount in another currency costs nothing known: only its template can say what it costs.
    """
    currency = (await get_programme(connection, programme_id)).currency
    costs = Counter[str]()
    for template in await list_templates(connection, programme_id=programme_id, states=["published"]):
        for tier in template.definition.on_tiers:
            costs[tier] += _cost_minor(template.definition, currency)
    return dict(costs)


def _cost_minor(definition: Definition, currency: str) -> int:
    """What one costs the brand: as its template says, else the fixed amount that it takes off, else nothing known."""
    if definition.cost_minor is not None:
        return definition.cost_minor
    match definition.terms:
        case Terms(currency=used, effect=FixedOff(amount_minor=amount_minor)) if used == currency:
            return amount_minor
        case _:
            return 0
