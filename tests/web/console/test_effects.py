"""What came of campaigns, as a manager reads it: in words, with its interval, and what it is compared with."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import insert

from loyalty.effects.tables import sent_campaign_member_table, sent_campaign_table, sent_campaign_use_table
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.ids import new_id
from loyalty.kit.programme import get_channel
from tests.web.console.conftest import Life
from tests.web.house import House
from tests.web.member.conftest import Browser


async def send_campaign(house: House, members: list[UUID]) -> None:
    today = utc_now().date()
    async with transaction(house.engine) as connection:
        channel = await get_channel(connection, house.programme.id, "store-1")
        of = {"campaign_id": new_id(), "programme_id": house.programme.id}
        days = {"first_day": today - timedelta(days=400), "last_day": today + timedelta(days=1)}
        campaign = {"id": of["campaign_id"], "programme_id": house.programme.id, "channel_id": channel.id}
        await connection.execute(insert(sent_campaign_table), [campaign | days | {"code": "26", "kind": "Type A"}])
        await connection.execute(
            insert(sent_campaign_member_table), [of | {"member_id": member_id} for member_id in members]
        )
        use = {"customer": "x", "benefit": "TEA-10", "day": today, "number": 1, "store": "S1", "discount_minor": 1_000}
        await connection.execute(insert(sent_campaign_use_table), [of | use | {"member_id": members[0]}])


async def test_a_campaign_is_told_in_words_and_says_that_it_was_not_sent_by_chance(
    house: House, manager: Browser, life: Life
) -> None:
    other = await house.member(name="Zhou Min", card="6688 7777")
    await send_campaign(house, [life.member.id, other.id])
    await manager.get("/console/effects")
    assert "Campaign 26" in manager.words
    assert "not by chance" in manager.words
    address = manager.text.partition('href="/console/effects/cam_')[2].partition('"')[0]
    await manager.get(f"/console/effects/cam_{address}")
    assert "Who was sent this campaign was not chosen by chance." in manager.words
    assert "TEA-10" in manager.words
    assert "¥10.00" in manager.words
    await manager.get(f"/console/effects/cam_{address}?lang=zh")
    assert "收到此活动的会员不是随机选出的。" in manager.words
