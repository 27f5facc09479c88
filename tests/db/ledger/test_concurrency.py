"""Many at once on one account: entries follow each other in time, and nobody spends what another has spent."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.audit import verify
from ledger.errors import InsufficientBalanceError
from ledger.posting import earn, spend
from ledger.reading import balance
from ledger.units import Unit, define_unit
from loyalty.kit.db import transaction

CLIENTS = 8
ROUNDS = 30


async def test_postings_that_race_for_one_account_leave_books_that_verify(committed_engine: AsyncEngine) -> None:
    programme, member = uuid4(), uuid4()
    async with transaction(committed_engine) as connection:
        await define_unit(connection, Unit(programme_id=programme))
        await earn(connection, programme_id=programme, member_id=member, amount=100, key="first", source="test")

    async def client(number: int) -> int:
        spent = 0
        for turn in range(ROUNDS):
            to: dict[str, Any] = {"programme_id": programme, "member_id": member, "source": "test"}
            async with transaction(committed_engine) as connection:
                await earn(connection, amount=1, key=f"e{number}-{turn}", **to)
            try:
                async with transaction(committed_engine) as connection:
                    await spend(connection, amount=3, key=f"s{number}-{turn}", **to)
                spent += 3
            except InsufficientBalanceError:
                continue
        return spent

    spent = sum(await asyncio.gather(*(client(number) for number in range(CLIENTS))))

    async with transaction(committed_engine) as connection:
        verified = await verify(connection)
        left = await balance(connection, member_id=member)
    assert verified.findings == []
    assert left.spendable == 100 + CLIENTS * ROUNDS - spent
