"""A shop with one customer, and short forms of what happens between them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import posting, reading
from ledger.units import Unit, define_unit
from loyalty.campaigns.earning import BEGINNING, EarnPolicy, EarnRule, PerAmount, publish_policy
from loyalty.channels.orders import (
    Cancellation,
    Order,
    OrderLine,
    OrderResult,
    Refund,
    RefundLine,
    RefundResult,
    accept_cancellation,
    accept_order,
    accept_refund,
)
from loyalty.kit.crypto import Keyring
from loyalty.kit.programme import Channel, Programme, get_channel
from loyalty.members.identity import Identity, channel_identity, register
from redemption import policies as redemption_policies
from redemption import till
from redemption.record import Redemption
from tests.factories import make_programme

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PER_YUAN = EarnRule(code="base", rate=PerAmount(1, 100, "CNY"))
GROWTH = EarnRule(code="growth", unit="growth", rate=PerAmount(1, 1_000, "CNY"))


def line(number: int, amount_minor: int, **fields: Any) -> OrderLine:
    return OrderLine(line_id=str(number), sku=f"sku-{number}", amount_minor=amount_minor, **{"quantity": 1, **fields})


class Shop:
    """One channel, one member of it, and their books."""

    def __init__(
        self, connection: AsyncConnection, keyring: Keyring, programme: Programme, channel: Channel, member_id: UUID
    ) -> None:
        self.connection, self.keyring = connection, keyring
        self.programme, self.channel, self.member_id = programme, channel, member_id

    async def join(self, customer: str) -> UUID:
        """A member whom the channel calls by a customer id."""
        joined = await register(
            self.connection,
            self.keyring,
            programme_id=self.programme.id,
            channel_code=self.channel.code,
            identities=[self.customer(customer)],
            joined_at=MOMENT,
        )
        return joined.member.id

    def customer(self, customer: str) -> Identity:
        return channel_identity("customer", customer, channel_code=self.channel.code)

    async def publish(self, *rules: EarnRule, valid_from: datetime = BEGINNING) -> None:
        await publish_policy(
            self.connection,
            programme_id=self.programme.id,
            policy=EarnPolicy(rules),
            published_by="stf_1",
            valid_from=valid_from,
        )

    def purchase(self, number: str, *lines: OrderLine, **fields: Any) -> Order:
        """An order of the member, not sent yet."""
        if not fields.keys() & {"identities", "member_id"}:
            fields["member_id"] = self.member_id
        return Order(external_id=number, lines=lines, **{"placed_at": MOMENT, "currency": "CNY", **fields})

    async def order(self, number: str, *lines: OrderLine, **fields: Any) -> OrderResult:
        return await accept_order(
            self.connection, self.keyring, channel=self.channel, order=self.purchase(number, *lines, **fields)
        )

    async def refund(
        self, number: str, of: str, amount_minor: int | None = None, *, lines: Sequence[RefundLine] = (), **fields: Any
    ) -> RefundResult:
        refund = Refund(
            external_id=number,
            order_external_id=of,
            amount_minor=amount_minor,
            lines=tuple(lines),
            **{"refunded_at": MOMENT, "currency": "CNY", **fields},
        )
        return await accept_refund(self.connection, channel=self.channel, refund=refund)

    async def cancel(self, number: str, *lines: OrderLine, of: str | None = None, **fields: Any) -> RefundResult:
        if of is None and not fields.keys() & {"identities", "member_id"}:
            fields["member_id"] = self.member_id
        cancellation = Cancellation(
            external_id=number,
            order_external_id=of,
            lines=lines,
            **{"cancelled_at": MOMENT, "currency": "CNY", **fields},
        )
        return await accept_cancellation(self.connection, self.keyring, channel=self.channel, cancellation=cancellation)

    async def give(self, points: int, *, expires_at: datetime | None = None) -> None:
        """Points the member has from somewhere else."""
        await posting.earn(
            self.connection,
            programme_id=self.programme.id,
            member_id=self.member_id,
            amount=points,
            expires_at=expires_at,
            key=str(uuid4()),
            source="gift",
        )

    async def redeem(self, points: int, receipt: str) -> Redemption:
        """Pay a part of a basket with points and capture it under the receipt's number."""
        begun = await till.begin(
            self.connection,
            programme_id=self.programme.id,
            member_id=self.member_id,
            channel_id=self.channel.id,
            key=str(uuid4()),
            points=points,
            basket_minor=100_000,
            currency="CNY",
        )
        return await till.capture(
            self.connection,
            programme_id=self.programme.id,
            redemption_id=begun.id,
            receipt_number=receipt,
            key=str(uuid4()),
        )

    async def balance(self, member_id: UUID | None = None, *, unit: str = "points") -> tuple[int, int]:
        """What the member can spend, and what they owe."""
        now = await reading.balance(self.connection, member_id=member_id or self.member_id, unit=unit)
        return now.spendable, now.debt

    async def lots(self) -> list[tuple[int, datetime | None]]:
        """What is left of each lot, and when it expires, oldest lot first."""
        lots = await reading.lots(self.connection, member_id=self.member_id, only_open=False)
        return [(lot.remaining, lot.expires_at) for lot in sorted(lots, key=lambda lot: lot.sequence)]

    async def entries(self) -> int:
        return len(await reading.history(self.connection, member_ids=[self.member_id], limit=200))


async def open_shop(connection: AsyncConnection, keyring: Keyring, *, valid_from: datetime = BEGINNING) -> Shop:
    """A programme with a point for each whole yuan, points worth 1 fen each, a shop in it, and one member."""
    programme = await make_programme(connection)
    for unit in ("points", "growth"):
        await define_unit(connection, Unit(programme_id=programme.id, code=unit, spendable=unit == "points"))
    await redemption_policies.publish_policy(
        connection, programme_id=programme.id, currency="CNY", step_points=1, step_amount_minor=1
    )
    shop = Shop(connection, keyring, programme, await get_channel(connection, programme.id, "online"), uuid4())
    await shop.publish(PER_YUAN, valid_from=valid_from)
    shop.member_id = await shop.join("1")
    return shop


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring.generate()


@pytest.fixture
async def shop(connection: AsyncConnection, keyring: Keyring) -> Shop:
    """See `open_shop`."""
    return await open_shop(connection, keyring)
