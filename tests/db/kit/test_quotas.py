"""Quotas: never a unit too many, and each one that is left can be had."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.errors import ConflictError
from loyalty.kit.quotas import Key, Level, QuotaSpentError, give, levels, set_total, take, take_up_to


async def _set(connection: AsyncConnection, key: Key, total: int) -> None:
    await set_total(connection, key, programme_id=uuid4(), total=total)


async def _left(connection: AsyncConnection, key: Key) -> int:
    return (await levels(connection, [key.owner_id]))[key].left


@pytest.mark.parametrize(("total", "amount"), [(5, 1), (100, 1), (1_000, 70), (999, 1_000), (33, 32), (0, 1)])
async def test_as_many_are_taken_as_there_are_and_then_none(
    connection: AsyncConnection, total: int, amount: int
) -> None:
    key = Key(uuid4(), "stock")
    await _set(connection, key, total)
    for _ in range(total // amount):
        await take(connection, {key: amount})
    with pytest.raises(QuotaSpentError) as refused:
        await take(connection, {key: amount})
    assert (refused.value.owner_id, refused.value.unit) == key
    assert await _left(connection, key) == total % amount


async def test_amounts_of_any_size_leave_nothing_unused(connection: AsyncConnection) -> None:
    key = Key(uuid4(), "amount_minor")
    await _set(connection, key, 10_000)
    for amount in (3_333, 1, 4_000, 2_665):
        await take(connection, {key: amount})
    assert await _left(connection, key) == 1
    assert await take_up_to(connection, key, 50) == 1
    assert await take_up_to(connection, key, 50) == 0


async def test_what_is_given_back_can_be_taken_again(connection: AsyncConnection) -> None:
    key = Key(uuid4(), "stock")
    await _set(connection, key, 3)
    await take(connection, {key: 3})
    await give(connection, {key: 2})
    assert (await levels(connection, [key.owner_id]))[key] == Level(total=3, left=2)
    assert await take_up_to(connection, key, 3) == 2


async def test_a_total_may_grow_and_shrinks_no_further_than_what_is_taken(connection: AsyncConnection) -> None:
    key = Key(uuid4(), "stock")
    await _set(connection, key, 100)
    await take(connection, {key: 60})
    await _set(connection, key, 200)
    assert await _left(connection, key) == 140
    await _set(connection, key, 60)
    assert await _left(connection, key) == 0
    with pytest.raises(ConflictError) as refused:
        await _set(connection, key, 59)
    assert refused.value.members["taken"] == 60


async def test_what_nothing_limits_is_had_without_end(connection: AsyncConnection) -> None:
    key = Key(uuid4(), "stock")
    await take(connection, {key: 10**12})
    assert await take_up_to(connection, key, 7) == 7
    await give(connection, {key: 7})
    assert await levels(connection, [key.owner_id]) == {}


async def test_many_at_once_take_exactly_what_there_is(committed_engine: AsyncEngine) -> None:
    """Half of them change their mind after taking; two quotas are taken together, and neither waits for ever."""
    count, money = Key(uuid4(), "uses"), Key(UUID(int=1), "amount_minor")
    async with transaction(committed_engine) as connection:
        await _set(connection, count, 40)
        await _set(connection, money, 1_000)

    async def client(number: int) -> int:
        try:
            async with transaction(committed_engine) as connection:
                await take(connection, {count: 1, money: 30})
                await connection.execute(text("SELECT pg_sleep(0.001)"))
                return 1 // (number % 2)
        except (QuotaSpentError, ZeroDivisionError):
            return 0

    taken = sum(await asyncio.gather(*(client(number) for number in range(200))))
    async with transaction(committed_engine) as connection:
        assert await _left(connection, money) == 1_000 - 30 * taken
        assert await _left(connection, count) == 40 - taken
    assert taken == 1_000 // 30
