"""A till in a store, a member with points, and a clock in the tests' hands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import audit, posting
from ledger.reading import Balance, balance, lots
from ledger.units import Unit, define_unit
from loyalty.kit.programme import Programme, get_channel
from redemption import till
from redemption.benefits.definition import Coupon, DaysFromIssue, Definition
from redemption.benefits.issuing import issue
from redemption.benefits.templates import Template, publish_definition
from redemption.benefits.wallet import Benefit
from redemption.catalogue import CatalogueItem, save_item
from redemption.money_off import RedemptionPolicy
from redemption.policies import publish_policy
from redemption.record import Redemption
from redemption.terms import Effect, FixedOff, Minimum, Terms
from tests.roles import as_owner

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
"""Noon in Shanghai."""


class Till:
    """One store's till, with short forms, so that a test reads as the rule it holds."""

    def __init__(self, connection: AsyncConnection, programme: Programme, channel_id: UUID) -> None:
        self.connection = connection
        self.programme = programme
        self.channel_id = channel_id
        self.member_id = uuid4()
        self.now = NOON
        self._keys = 0

    def key(self) -> str:
        self._keys += 1
        return f"till-{self._keys}"

    async def pass_time(self, **delta: float) -> None:
        self.now += timedelta(**delta)
        await self.connection.execute(text("SELECT set_config('test.now', :now, false)"), {"now": self.now.isoformat()})

    async def earn(self, amount: int, *, member: UUID | None = None, **fields: Any) -> None:
        await posting.earn(
            self.connection,
            programme_id=self.programme.id,
            member_id=member or self.member_id,
            amount=amount,
            key=self.key(),
            source="test",
            **fields,
        )

    async def balance(self, member: UUID | None = None) -> Balance:
        return await balance(self.connection, member_id=member or self.member_id)

    async def spendable(self, member: UUID | None = None) -> int:
        return (await self.balance(member)).spendable

    async def lots(self) -> list[tuple[int, datetime | None]]:
        return [(lot.remaining, lot.expires_at) for lot in await lots(self.connection, member_id=self.member_id)]

    async def policy(self, **fields: Any) -> RedemptionPolicy:
        """100 points take 1 yuan off, in steps of 100, for up to half of a basket."""
        usual: dict[str, Any] = {"currency": "CNY", "step_points": 100, "step_amount_minor": 100, "max_share_bp": 5_000}
        return await publish_policy(self.connection, programme_id=self.programme.id, **(usual | fields))

    async def template(
        self, code: str = "ten-off", effect: Effect | None = None, *, terms: dict[str, Any] | None = None, **fields: Any
    ) -> Template:
        """10 yuan off a basket of 50 or more, for 30 days, everywhere."""
        usual: dict[str, Any] = {"currency": "CNY", "minimum": Minimum(amount_minor=5_000)}
        gives = Coupon(terms=Terms(effect=effect or FixedOff(amount_minor=1_000), **(usual | (terms or {}))))
        definition: dict[str, Any] = {
            "name": {"zh": "减十元", "en": "Ten off"},
            "gives": gives,
            "validity": DaysFromIssue(days=30),
        }
        return await self.publish(code, Definition(**(definition | fields)))

    async def publish(self, code: str, definition: Definition) -> Template:
        return await publish_definition(
            self.connection, programme_id=self.programme.id, code=code, definition=definition, actor="test"
        )

    async def item(self, code: str = "mug", points_cost: int = 300, **fields: Any) -> CatalogueItem:
        name = {"zh": "马克杯", "en": "Mug"}
        return await save_item(
            self.connection, programme_id=self.programme.id, code=code, name=name, points_cost=points_cost, **fields
        )

    async def issue(self, code: str = "ten-off", **fields: Any) -> Benefit:
        usual: dict[str, Any] = {"member_id": self.member_id, "key": self.key(), "source": "test"}
        return await issue(self.connection, programme_id=self.programme.id, template_code=code, **(usual | fields))

    async def begin(self, points: int | None = None, **fields: Any) -> Redemption:
        usual: dict[str, Any] = {"member_id": self.member_id, "channel_id": self.channel_id, "key": self.key()}
        if "catalogue_item" not in fields:
            usual |= {"basket_minor": 10_000, "currency": "CNY"}
        return await till.begin(self.connection, programme_id=self.programme.id, points=points, **(usual | fields))

    async def capture(self, redemption: Redemption, receipt: str | None = "R-1", **fields: Any) -> Redemption:
        usual: dict[str, Any] = {"programme_id": self.programme.id, "key": self.key()}
        return await till.capture(
            self.connection, redemption_id=redemption.id, receipt_number=receipt, **(usual | fields)
        )

    async def void(self, redemption: Redemption, **fields: Any) -> Redemption:
        usual: dict[str, Any] = {"programme_id": self.programme.id, "key": self.key()}
        return await till.void(self.connection, redemption_id=redemption.id, **(usual | fields))

    async def refund(self, redemption: Redemption, **fields: Any) -> Redemption:
        usual: dict[str, Any] = {"programme_id": self.programme.id, "key": self.key()}
        return await till.refund(self.connection, redemption_id=redemption.id, **(usual | fields))


async def make_till(connection: AsyncConnection, programme: Programme) -> Till:
    """A till at `store-1` of a programme whose points never expire unless a test says so."""
    await define_unit(connection, Unit(programme_id=programme.id))
    channel = await get_channel(connection, programme.id, "store-1")
    return Till(connection, programme, channel.id)


@pytest.fixture
async def desk(connection: AsyncConnection, programme: Programme) -> AsyncIterator[Till]:
    """A till whose clock stands at noon until a test moves it; every test leaves books that verify."""
    async with as_owner(connection):
        await connection.execute(
            text(
                "CREATE OR REPLACE FUNCTION ledger.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
                "$$SELECT current_setting('test.now')::timestamptz$$"
            )
        )
    desk = await make_till(connection, programme)
    await desk.pass_time()
    yield desk
    # Other tests may have put the end of a hold that they committed into the past; this one's accounts are whole.
    whose = text("SELECT member_id FROM ledger.account WHERE programme_id = :programme")
    own = set((await connection.scalars(whose, {"programme": programme.id})).all())
    assert [each for each in (await audit.verify(connection)).findings if each.member_id in own] == []
