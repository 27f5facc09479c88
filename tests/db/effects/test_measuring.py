"""A small campaign with a control group that was held out: every figure worked out by hand."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.tables import held_out_table, member_trade_table
from loyalty.effects.measuring import effect_of
from loyalty.effects.subjects import list_subjects
from loyalty.effects.tables import sent_campaign_member_table, sent_campaign_table, sent_campaign_use_table
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import NotFoundError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Programme, get_channel
from loyalty.members.tables import member_table

DAY = date(2026, 3, 10)


async def test_an_effect_is_counted_by_person_against_who_was_held_out(
    connection: AsyncConnection, programme: Programme
) -> None:
    """Sent: 100, 300 and nothing; the 300 by two members who are one person. Held out: 50 and nothing."""
    channel = await get_channel(connection, programme.id, "store-1")
    mine = {"programme_id": programme.id}
    one, two, absorbed, idle, held, held_idle, other = (new_id() for _ in range(7))
    common = {**mine, "joined_at": utc_now(), "joined_channel": "store-1", "state": "active", "merged_into": None}
    merged = common | {"id": absorbed, "state": "merged", "merged_into": two}
    active = [common | {"id": each} for each in (one, two, idle, held, held_idle, other)]
    await connection.execute(insert(member_table), [*active, merged])
    campaign_id = new_id()
    days = {"first_day": DAY, "last_day": date(2026, 3, 20)}
    sent = {**mine, "id": campaign_id, "channel_id": channel.id, "code": "7", "kind": "A", **days}
    await connection.execute(insert(sent_campaign_table), [sent])
    of = {**mine, "campaign_id": campaign_id}
    await connection.execute(
        insert(sent_campaign_member_table), [of | {"member_id": each} for each in (one, two, absorbed, idle)]
    )
    await connection.execute(insert(held_out_table), [of | {"member_id": each} for each in (held, held_idle, one)])

    def trade(member_id: UUID, day: date, orders: int, amount_minor: int) -> dict[str, object]:
        what = {"member_id": member_id, "day": day, "orders": orders, "amount_minor": amount_minor}
        return {**mine, "channel_id": channel.id, "currency": channel.currency, **what}

    await connection.execute(
        insert(member_trade_table),
        [
            trade(one, DAY, 1, 100),
            trade(one, date(2026, 3, 9), 1, 900),  # the day before
            trade(two, DAY, 2, 200),
            trade(absorbed, date(2026, 3, 20), 1, 100),
            trade(held, DAY, 1, 50),
            trade(other, DAY, 1, 7_000),  # neither sent it nor held out
        ],
    )
    use = {**of, "customer": "x", "benefit": "10 off", "number": 1, "store": "S1", "clerk": "Li"}
    await connection.execute(
        insert(sent_campaign_use_table),
        [
            {**use, "member_id": two, "day": DAY, "discount_minor": 20},
            {**use, "member_id": absorbed, "day": DAY, "discount_minor": 30, "clerk": "Wu"},
        ],
    )

    (campaign,) = await list_subjects(connection, programme_id=programme.id)
    effect = await effect_of(connection, programme_id=programme.id, campaign_id=campaign.public_id)
    exposed, control = effect.exposed, effect.control
    assert (exposed.members, exposed.buyers, exposed.total_minor, exposed.squares) == (3, 2, 400, 100_000)
    assert (control.members, control.buyers, control.total_minor, control.squares) == (2, 1, 50, 2_500)
    assert effect.held_out
    assert (effect.exposed_orders, effect.control_orders) == (4, 1)
    assert (effect.used, effect.uses, effect.discount_minor) == (1, 2, 50)
    assert (effect.revenue_with_minor, effect.revenue_without_minor) == (200, 200)
    assert [(part.name, part.uses, part.members, part.discount_minor) for part in effect.clerks] == [
        ("Li", 1, 1, 20),
        ("Wu", 1, 1, 30),
    ]
    assert [(part.name, part.uses, part.members) for part in effect.stores] == [("S1", 2, 1)]
    assert effect.spending is not None
    assert effect.spending.estimate == pytest.approx(400 / 3 - 25)
    assert not effect.spending.certain
    with pytest.raises(NotFoundError):
        await effect_of(connection, programme_id=programme.id, campaign_id="cam_01M00000000000000000000000")
