"""A brand with one product and codes on it, in short forms, so that a test reads as the rule it holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.units import Unit, define_unit
from loyalty.items import claims, scans
from loyalty.items.claims import Claim, RefusedTry
from loyalty.items.keys import Master, MasterKeys
from loyalty.items.products import LocalText, Product, save_product
from loyalty.items.ranges import CodeRange, NextState, change_range_state, mint_range
from loyalty.items.verdicts import Verdict
from loyalty.kit.crypto import Keyring
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Programme
from loyalty.members.identity import channel_identity, register
from tests.factories import make_programme

GTIN = "06901234567892"
NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
"""Noon in Shanghai."""


class Brand:
    """A programme with one product of 50 points; `connection` may be swapped for another."""

    def __init__(self, connection: AsyncConnection, programme: Programme, keys: MasterKeys, product: Product) -> None:
        self.connection = connection
        self.programme = programme
        self.keys = keys
        self.product = product
        self.keyring = Keyring.generate()

    async def mint(self, count: int = 100, *, state: NextState | None = None, **fields: Any) -> CodeRange:
        defaults: dict[str, Any] = {
            "programme_id": self.programme.id,
            "gtin": GTIN,
            "count": count,
            "print_order": "spring",
            "at": NOON - timedelta(days=20),
        }
        minted = await mint_range(self.connection, self.keys, **defaults | fields)
        if state is None:
            return minted
        return await change_range_state(
            self.connection,
            programme_id=self.programme.id,
            range_id=minted.id,
            state=state,
            at=NOON - timedelta(days=9),
        )

    def serial(self, index: int = 0, *, kid: int = 1) -> str:
        return self.keys.for_product(GTIN, kid).mint(index)

    def pin(self, index: int = 0) -> str:
        return self.keys.for_product(GTIN, 1).pin(index)

    async def member(self) -> UUID:
        joined = await register(
            self.connection,
            self.keyring,
            programme_id=self.programme.id,
            channel_code="store-1",
            identities=[channel_identity("card", new_id().hex, channel_code="store-1")],
            joined_at=NOON - timedelta(days=30),
        )
        return joined.member.id

    async def scan(self, index: int = 0, **fields: Any) -> Verdict:
        defaults: dict[str, Any] = {
            "programme_id": self.programme.id,
            "gtin": GTIN,
            "serial": self.serial(index),
            "device": "phone-a",
            "at": NOON,
        }
        return await scans.scan(self.connection, self.keys, **defaults | fields)

    async def claim(self, member_id: UUID, index: int = 0, **fields: Any) -> Claim | RefusedTry:
        defaults: dict[str, Any] = {
            "programme_id": self.programme.id,
            "gtin": GTIN,
            "serial": self.serial(index),
            "member_id": member_id,
            "device": f"phone-{member_id}",
            "at": NOON,
        }
        return await claims.claim(self.connection, self.keys, **defaults | fields)


async def make_brand(connection: AsyncConnection) -> Brand:
    programme = await make_programme(connection)
    await define_unit(connection, Unit(programme_id=programme.id))
    keys = MasterKeys({1: Master(master=bytes(range(32)), pin_master=bytes(range(32, 64)), created_at=NOON)})
    product = await save_product(
        connection,
        programme_id=programme.id,
        gtin=GTIN,
        names=LocalText(zh="春茶", en="Spring tea"),
        category="tea",
        points_on_claim=50,
    )
    return Brand(connection, programme, keys, product)


@pytest.fixture
async def brand(connection: AsyncConnection) -> Brand:
    return await make_brand(connection)
