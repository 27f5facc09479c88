"""Scans by day are counted once, and with what is not counted yet they are exact."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import text

from loyalty.campaigns.earning import BEGINNING, EarnPolicy, EarnRule, PerAmount, publish_policy
from loyalty.channels.orders import Order, OrderLine, accept_order
from loyalty.channels.recruiting import recruiting_funnel
from loyalty.items.ranges import assign_dealer
from loyalty.items.trace.joins import record_join
from loyalty.items.trace.scan_days import Side, count_scans, scans_by
from loyalty.items.verdicts import Place
from loyalty.kit.programme import get_channel
from tests.db.items.conftest import GTIN, NOON, Brand

DAY = date(2026, 3, 2)


async def by(brand: Brand, side: Side, **fields: str) -> dict[str, int]:
    counted = await scans_by(
        brand.connection, brand.programme, side, first_day=DAY - timedelta(7), last_day=DAY, now=NOON, **fields
    )
    return {each.value: each.scans for each in counted}


async def test_counts_are_the_same_before_and_after_the_log_is_counted(brand: Brand) -> None:
    minted = await brand.mint(20, state="shipped", region="CN-SH")
    await assign_dealer(brand.connection, programme_id=brand.programme.id, gtin=GTIN, kid=1, lo=0, hi=4, dealer="East")
    place = Place(city="上海", region="CN-SH", source="device")
    for hours in range(1, 30, 3):
        await brand.scan(hours % 7, device=f"phone-{hours}", place=place, at=NOON - timedelta(hours=hours))
    await brand.scan(0, at=NOON - timedelta(minutes=1))
    sides: tuple[Side, ...] = ("day", "gtin", "origin_id", "dealer", "region", "verdict")
    before = {side: await by(brand, side) for side in sides}
    assert before["day"] == {"2026-03-01": 6, "2026-03-02": 5}
    assert before["region"] == {"CN-SH": 10, "": 1}
    assert before["origin_id"] == {str(minted.origin_id): 11}
    assert set(before["dealer"]) == {"East", ""}

    for _ in range(3):
        assert not await count_scans(brand.connection, brand.programme, now=NOON)

    assert {side: await by(brand, side) for side in sides} == before
    assert await brand.connection.scalar(text("SELECT sum(scans) FROM scan_day")) == 10  # the last is too fresh
    assert await by(brand, "day", gtin="09521234000006") == {}


async def test_the_funnel_follows_people_from_an_item_s_page(brand: Brand) -> None:
    await brand.mint(20, state="shipped")
    everything = EarnRule(code="spend", rate=PerAmount(points=1, per_minor=100, currency="CNY"))
    await publish_policy(
        brand.connection,
        programme_id=brand.programme.id,
        policy=EarnPolicy((everything,)),
        published_by="owner",
        valid_from=BEGINNING,
    )
    store = await get_channel(brand.connection, brand.programme.id, "store-1")
    joined = [await brand.member() for _ in range(3)]
    bystander = await brand.member()
    for index, member_id in enumerate(joined):
        await brand.scan(index)
        arguments = {"programme_id": brand.programme.id, "member_id": member_id, "gtin": GTIN, "at": NOON}
        assert await record_join(brand.connection, brand.keys, serial=brand.serial(index), **arguments)  # type: ignore[arg-type]
        assert not await record_join(brand.connection, brand.keys, serial="X" * 16, **arguments)  # type: ignore[arg-type]
    for index, member_id in enumerate([*joined[:2], bystander]):
        await brand.claim(member_id, index, at=NOON + timedelta(minutes=1))
    for number, member_id in enumerate((joined[0], joined[2], bystander)):
        line = OrderLine(line_id="1", sku="TEA", quantity=1, amount_minor=100)
        order = Order(
            external_id=f"R-{number}",
            placed_at=NOON + timedelta(days=1),
            currency="CNY",
            lines=(line,),
            member_id=member_id,
        )
        await accept_order(brand.connection, brand.keyring, channel=store, order=order)

    for side in ("gtin", "origin_id"):
        (step,) = await recruiting_funnel(
            brand.connection, brand.programme, side, first_day=DAY, last_day=DAY, now=NOON + timedelta(hours=1)
        )
        assert (step.scans, step.joins, step.claims, step.purchases) == (3, 3, 2, 1)
    before = DAY - timedelta(1)
    assert await recruiting_funnel(brand.connection, brand.programme, "gtin", first_day=before, last_day=before) == []
