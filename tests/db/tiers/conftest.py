"""A member and a ladder, with short forms, so that a test reads as the rule it holds."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.programme import Programme
from tiers.changes import TierChange
from tiers.ladders import Ladder, TierStep, publish_ladder
from tiers.policies import PolicyVersion
from tiers.qualification import evaluate, record
from tiers.reading import Standing, history, standing
from tiers.review import review_member
from tiers.rules import GrowthMetric, Metric
from tiers.tables import member_tier_table
from tiers.windows import RollingMonthsWindow, Window

TIERS = [
    TierStep(code="member", name={"zh": "会员", "en": "Member"}, rank=0, threshold=0),
    TierStep(code="silver", name={"zh": "银卡", "en": "Silver"}, rank=10, threshold=500),
    TierStep(code="gold", name={"zh": "金卡", "en": "Gold"}, rank=20, threshold=1_000),
    TierStep(code="black", name={"zh": "黑卡", "en": "Black"}, rank=30, threshold=3_000),
]


def make_ladder(*, metric: Metric | None = None, window: Window | None = None, **fields: Any) -> Ladder:
    """Growth over twelve rolling months: silver from 500, gold from 1,000, black from 3,000."""
    fields.setdefault("tiers", TIERS)
    return Ladder(metric=metric or GrowthMetric(), window=window or RollingMonthsWindow(months=12), **fields)


def at(text: str, zone: str = "Asia/Shanghai") -> datetime:
    """A local time such as `2025-02-28` (noon) or `2025-02-28 23:59`."""
    moment = datetime.fromisoformat(text)
    if len(text) == len("2025-02-28"):
        moment = datetime.combine(moment.date(), time(12))
    return moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


class Club:
    """One programme's ladder and one member."""

    def __init__(self, connection: AsyncConnection, programme: Programme) -> None:
        self.connection = connection
        self.programme = programme
        self.member_id = uuid4()
        self.zone = programme.time_zone

    async def publish(self, ladder: Ladder, **fields: Any) -> PolicyVersion:
        return await publish_ladder(self.connection, programme_id=self.programme.id, ladder=ladder, **fields)

    async def record(self, day: str, amount: int, metric: str = "growth", member: UUID | None = None) -> None:
        await record(
            self.connection,
            programme_id=self.programme.id,
            member_id=member or self.member_id,
            metric=metric,
            at=at(day, self.zone),
            amount=amount,
        )

    async def evaluate(self, day: str, cause: str = "order:online/1", member: UUID | None = None) -> TierChange | None:
        return await evaluate(
            self.connection,
            programme_id=self.programme.id,
            member_id=member or self.member_id,
            moment=at(day, self.zone),
            cause=cause,
        )

    async def earn(
        self, day: str, amount: int, metric: str = "growth", member: UUID | None = None
    ) -> TierChange | None:
        """What an order does: roll up, then evaluate."""
        await self.record(day, amount, metric, member)
        return await self.evaluate(day, member=member)

    async def lock(self, member: UUID) -> None:
        """Hold a member as a posting does, until the transaction ends."""
        row = select(member_tier_table.c.member_id).filter_by(member_id=member)
        await self.connection.execute(row.with_for_update())

    async def review(self, day: str, member: UUID | None = None) -> list[TierChange]:
        return await review_member(
            self.connection,
            programme_id=self.programme.id,
            member_id=member or self.member_id,
            moment=at(day, self.zone),
        )

    async def standing(self, day: str, member: UUID | None = None) -> Standing:
        found = await standing(
            self.connection,
            programme_id=self.programme.id,
            member_id=member or self.member_id,
            moment=at(day, self.zone),
        )
        assert found is not None
        return found

    async def tier(self, day: str = "2030-01-01", member: UUID | None = None) -> str:
        return (await self.standing(day, member)).tier.code

    async def told(self, member: UUID | None = None) -> list[tuple[str, str, str]]:
        """The history, oldest first: kind, from, to."""
        changes = await history(self.connection, member_id=member or self.member_id)
        return [(change.kind, change.from_tier, change.to_tier) for change in reversed(changes)]


def last_day(until: datetime | None, zone: str = "Asia/Shanghai") -> date | None:
    """The last whole local day before a moment."""
    return None if until is None else (until - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).date()


@pytest.fixture
def club(connection: AsyncConnection, programme: Programme) -> Club:
    return Club(connection, programme)
