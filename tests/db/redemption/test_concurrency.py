"""Many tills at once, on real connections with real commits."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import audit
from loyalty.kit.db import transaction
from loyalty.kit.errors import DomainError
from redemption import till
from redemption.catalogue import get_item
from redemption.record import Redemption
from redemption.stale import sweep_all
from tests.db.redemption.conftest import Till, make_till
from tests.factories import make_programme


@pytest.fixture
async def shop(committed_engine: AsyncEngine) -> Till:
    """A till whose programme is committed; its own connection is closed, tests open theirs."""
    async with transaction(committed_engine) as connection:
        shop = await make_till(connection, await make_programme(connection))
        await shop.policy()
    return shop


async def _begin(engine: AsyncEngine, shop: Till, **fields: Any) -> Redemption | str:
    usual: dict[str, Any] = {"member_id": shop.member_id, "key": str(uuid4())}
    if "catalogue_item" not in fields:
        usual |= {"basket_minor": 100_000, "currency": "CNY"}
    try:
        async with transaction(engine) as connection:
            return await till.begin(
                connection, programme_id=shop.programme.id, channel_id=shop.channel_id, **(usual | fields)
            )
    except DomainError as error:
        return error.type


async def _step(engine: AsyncEngine, step: Any, shop: Till, redemption_id: UUID, **fields: Any) -> Redemption | str:
    try:
        async with transaction(engine) as connection:
            answer: Redemption = await step(
                connection, programme_id=shop.programme.id, redemption_id=redemption_id, **fields
            )
            return answer
    except DomainError as error:
        return error.type


def _told(answers: list[Redemption | str]) -> Counter[str]:
    return Counter(answer if isinstance(answer, str) else answer.state for answer in answers)


async def _earn(engine: AsyncEngine, shop: Till, amount: int, member: UUID | None = None) -> None:
    async with transaction(engine) as connection:
        shop.connection = connection
        await shop.earn(amount, member=member)


async def _spendable(engine: AsyncEngine, shop: Till) -> int:
    async with transaction(engine) as connection:
        shop.connection = connection
        return await shop.spendable()


async def test_ten_tills_cannot_hold_more_than_there_is(committed_engine: AsyncEngine, shop: Till) -> None:
    await _earn(committed_engine, shop, 1_000)
    answers = await asyncio.gather(*(_begin(committed_engine, shop, points=300) for _ in range(10)))
    assert _told(answers) == {"held": 3, "not-enough-points": 7}
    assert await _spendable(committed_engine, shop) == 100


async def test_one_key_sent_many_times_at_once_holds_once(committed_engine: AsyncEngine, shop: Till) -> None:
    await _earn(committed_engine, shop, 1_000)
    answers = await asyncio.gather(*(_begin(committed_engine, shop, points=300, key="one") for _ in range(20)))
    assert len({str(answer) for answer in answers}) == 1
    assert _told(answers) == {"held": 20}
    assert await _spendable(committed_engine, shop) == 700


async def test_counted_stock_is_never_oversold(committed_engine: AsyncEngine, shop: Till) -> None:
    members = [uuid4() for _ in range(20)]
    for member in members:
        await _earn(committed_engine, shop, 300, member)
    async with transaction(committed_engine) as connection:
        shop.connection = connection
        await shop.item(stock=5)

    answers = await asyncio.gather(
        *(_begin(committed_engine, shop, catalogue_item="mug", member_id=member) for member in members)
    )

    assert _told(answers) == {"held": 5, "out-of-stock": 15}
    async with transaction(committed_engine) as connection:
        assert (await get_item(connection, programme_id=shop.programme.id, code="mug")).stock == 0
        assert (await audit.verify(connection)).findings == []


async def test_one_coupon_at_ten_tills_is_used_once(committed_engine: AsyncEngine, shop: Till) -> None:
    async with transaction(committed_engine) as connection:
        shop.connection = connection
        await shop.template()
        coupon = await shop.issue()
    answers = await asyncio.gather(*(_begin(committed_engine, shop, coupon=coupon.code) for _ in range(10)))
    assert _told(answers) == {"held": 1, "benefit-not-usable": 9}


async def test_capture_and_void_at_once_end_in_one_of_both(committed_engine: AsyncEngine, shop: Till) -> None:
    await _earn(committed_engine, shop, 1_000)
    for round_ in range(5):
        held = await _begin(committed_engine, shop, points=100)
        assert isinstance(held, Redemption)
        capture = {"receipt_number": f"R-{round_}", "key": f"capture-{round_}"}
        answers = await asyncio.gather(
            _step(committed_engine, till.capture, shop, held.id, **capture),
            _step(committed_engine, till.void, shop, held.id, key=f"void-{round_}"),
        )
        assert isinstance(answers[1], Redemption)
        assert _told(list(answers)) in ({"captured": 1, "voided": 1}, {"already-voided": 1, "voided": 1})
    assert await _spendable(committed_engine, shop) == 1_000


async def test_refunds_at_once_give_back_no_more_than_the_whole(committed_engine: AsyncEngine, shop: Till) -> None:
    await _earn(committed_engine, shop, 1_000)
    held = await _begin(committed_engine, shop, points=1_000)
    assert isinstance(held, Redemption)
    await _step(committed_engine, till.capture, shop, held.id, receipt_number="R-1", key="capture")
    answers = await asyncio.gather(
        *(
            _step(committed_engine, till.refund, shop, held.id, amount_minor=300, key=f"refund-{index}")
            for index in range(6)
        )
    )
    assert _told(answers) == {"captured": 3, "already-refunded": 3}
    assert await _spendable(committed_engine, shop) == 900


async def test_sweeps_at_once_close_each_redemption_once(committed_engine: AsyncEngine, shop: Till) -> None:
    await _earn(committed_engine, shop, 1_000)
    async with transaction(committed_engine) as connection:
        shop.connection = connection
        await shop.item(stock=5, points_cost=100)
    for _ in range(5):
        await _begin(committed_engine, shop, catalogue_item="mug", hold_seconds=1)
    await asyncio.sleep(1.1)
    closed = await asyncio.gather(*(sweep_all(committed_engine, batch_size=2) for _ in range(3)))
    assert sum(closed) == 5
    async with transaction(committed_engine) as connection:
        assert (await get_item(connection, programme_id=shop.programme.id, code="mug")).stock == 5
