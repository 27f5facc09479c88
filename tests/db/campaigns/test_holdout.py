"""Who is held out of a campaign: computed alike in Python and SQL, recorded once, never changed."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.holdout import (
    WHOLE_BP,
    Control,
    control_of,
    define_holdout,
    hold_out,
    hold_out_of,
    place_bp,
    without,
)
from loyalty.campaigns.segments.audience import audience
from loyalty.campaigns.tables import held_out_table
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Programme
from loyalty.members.tables import member_table

CAMPAIGN = UUID("01900000-0000-7000-8000-000000000001")


async def make_members(connection: AsyncConnection, programme: Programme, number: int) -> list[UUID]:
    ids = sorted(new_id() for _ in range(number))
    common = {"programme_id": programme.id, "joined_at": utc_now(), "joined_channel": "online"}
    await connection.execute(insert(member_table), [common | {"id": each} for each in ids])
    return ids


async def define(connection: AsyncConnection, programme: Programme, campaign_id: UUID, share_bp: int) -> Control:
    await define_holdout(
        connection, programme_id=programme.id, campaign_id=campaign_id, share_bp=share_bp, defined_by="test"
    )
    return await control_of(connection, programme_id=programme.id, campaign_id=campaign_id)


def test_a_place_is_a_fixed_hash_of_both_ids() -> None:
    member = UUID("01900000-0000-7000-8000-0000000000aa")
    # sha256(campaign || member) begins 2de4759cd6f6af0, worked out once, so that no release moves anybody.
    assert place_bp(CAMPAIGN, member) == 4096
    assert place_bp(member, CAMPAIGN) != 4096


def test_places_are_spread_evenly() -> None:
    places = [place_bp(CAMPAIGN, UUID(int=number)) for number in range(20_000)]
    for tenth in range(10):
        inside = sum(tenth * 1_000 <= place < (tenth + 1) * 1_000 for place in places)
        assert abs(inside - 2_000) < 6 * (20_000 * 0.1 * 0.9) ** 0.5


async def test_python_and_sql_hold_out_the_same_and_give_to_the_others(
    connection: AsyncConnection, programme: Programme
) -> None:
    members = await make_members(connection, programme, 300)
    await define(connection, programme, programme.id, 500)
    control = await define(connection, programme, CAMPAIGN, 2_000)
    held = {
        each
        for each in members
        if place_bp(CAMPAIGN, each) < 2_000 or place_bp(programme.id, each) < 500  # its own, and the programme's
    }
    assert 0 < len(held) < 150

    everybody = (await audience(connection, programme_id=programme.id, rule=None)).members()
    given = list(await connection.scalars(without(everybody, control)))
    assert given == [each for each in members if each not in held]
    assert {each for each in members if control.holds(each)} == held

    assert await hold_out(connection, control, member_ids=members[:150]) == held & set(members[:150])
    assert await hold_out_of(connection, control, everybody) == len(held - set(members[:150]))
    assert await hold_out_of(connection, control, everybody) == 0
    recorded = select(held_out_table.c.member_id).where(held_out_table.c.campaign_id == CAMPAIGN)
    assert set(await connection.scalars(recorded)) == held


async def test_nobody_is_held_out_where_no_share_was_said(connection: AsyncConnection, programme: Programme) -> None:
    members = await make_members(connection, programme, 5)
    for control in (
        await control_of(connection, programme_id=programme.id, campaign_id=CAMPAIGN),
        await define(connection, programme, CAMPAIGN, 0),
    ):
        everybody = (await audience(connection, programme_id=programme.id, rule=None)).members()
        assert list(await connection.scalars(without(everybody, control))) == members
        assert await hold_out(connection, control, member_ids=members) == frozenset()
        assert await hold_out_of(connection, control, everybody) == 0


async def test_a_share_is_said_once(connection: AsyncConnection, programme: Programme) -> None:
    first = await define(connection, programme, CAMPAIGN, 1_000)
    assert await define(connection, programme, CAMPAIGN, 1_000) == first
    with pytest.raises(ConflictError):
        await define(connection, programme, CAMPAIGN, 500)
    for share_bp in (-1, WHOLE_BP // 2 + 1):
        with pytest.raises(InvalidInputError):
            await define(connection, programme, new_id(), share_bp)
