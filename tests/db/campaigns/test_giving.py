"""What comes by itself: on reaching a tier, and before a birthday; once, and to whom it is meant for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.campaigns.giving import give_on_birthdays, give_on_tier_entry, next_birthday
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.programme import Programme
from loyalty.members.identity import phone_identity, register
from loyalty.members.profile import ProfileFields
from redemption.benefits.definition import DaysFromIssue, Definition, Gift
from redemption.benefits.templates import publish_definition
from redemption.benefits.wallet import wallet
from tests.factories import make_programme
from tiers.ladders import Ladder, TierStep, publish_ladder
from tiers.qualification import evaluate, record
from tiers.rules import PointsMetric
from tiers.windows import LifetimeWindow

CAKE = {"zh": "蛋糕", "en": "Cake"}
KEYRING = Keyring.generate()


class Club:
    """A programme with the tiers leaf, silver from 100 points and gold from 1,000, and short forms."""

    def __init__(self, engine: AsyncEngine, programme: Programme) -> None:
        self.engine, self.programme = engine, programme
        self._numbers = 0

    async def join(self, birthday: str | None = None) -> UUID:
        self._numbers += 1
        async with transaction(self.engine) as connection:
            joined = await register(
                connection,
                KEYRING,
                programme_id=self.programme.id,
                channel_code="online",
                identities=[phone_identity(f"+86199000080{self._numbers:02d}")],
                joined_at=utc_now(),
                profile=ProfileFields(birthday=date.fromisoformat(birthday) if birthday else None),
            )
        return joined.member.id

    async def publish(self, code: str, **fields: Any) -> None:
        definition = Definition(name=CAKE, gives=Gift(item=CAKE), validity=DaysFromIssue(days=30), **fields)
        async with transaction(self.engine) as connection:
            await publish_definition(
                connection, programme_id=self.programme.id, code=code, definition=definition, actor="li"
            )

    async def score(self, member_id: UUID, points: int) -> None:
        about: dict[str, Any] = {"programme_id": self.programme.id, "member_id": member_id}
        async with transaction(self.engine) as connection:
            await record(connection, metric="points", at=utc_now(), amount=points, **about)
            await evaluate(connection, moment=utc_now(), cause="order:online/1", **about)

    async def held(self, member_id: UUID) -> list[tuple[str, str]]:
        async with transaction(self.engine) as connection:
            return [(each.template_code, each.source) for each in await wallet(connection, member_id=member_id)]


@pytest.fixture
async def club(committed_engine: AsyncEngine) -> Club:
    steps = [("leaf", 0), ("silver", 100), ("gold", 1_000)]
    tiers = [
        TierStep(code=code, name={"zh": code, "en": code}, rank=rank, threshold=threshold)
        for rank, (code, threshold) in enumerate(steps)
    ]
    async with transaction(committed_engine) as connection:
        programme = await make_programme(connection)
        ladder = Ladder(metric=PointsMetric(), window=LifetimeWindow(), tiers=tiers)
        await publish_ladder(connection, programme_id=programme.id, ladder=ladder)
    return Club(committed_engine, programme)


async def test_who_enters_a_tier_is_given_its_benefit_once(club: Club, committed_engine: AsyncEngine) -> None:
    early, late, low = [await club.join() for _ in range(3)]
    await club.score(early, 1_500)  # before there was anything to give
    await club.publish("cake", on_tiers=("gold",))
    await club.score(late, 1_200)
    await club.score(low, 200)

    assert await give_on_tier_entry(committed_engine) == 1
    assert await give_on_tier_entry(committed_engine) == 0
    assert await club.held(late) == [("cake", "tier:gold")]
    assert await club.held(early) == await club.held(low) == []
    await club.score(low, 900)
    assert await give_on_tier_entry(committed_engine) == 1
    assert await club.held(low) == [("cake", "tier:gold")]


async def test_an_entry_that_a_worker_missed_for_long_is_given_no_more(
    club: Club, committed_engine: AsyncEngine
) -> None:
    await club.publish("cake", on_tiers=("gold",))
    member = await club.join()
    await club.score(member, 1_200)
    async with transaction(committed_engine) as connection:
        await connection.execute(text("UPDATE benefit_version SET published_at = now() - interval '9 days'"))
        await connection.execute(text("UPDATE tier_change SET recorded_at = now() - interval '4 days'"))
    assert await give_on_tier_entry(committed_engine) == 0


@pytest.mark.parametrize(
    ("born", "today", "coming"),
    [
        ("1990-03-10", "2026-03-10", "2026-03-10"),
        ("1990-03-10", "2026-03-11", "2027-03-10"),
        ("1992-02-29", "2026-02-20", "2026-02-28"),
        ("1992-02-29", "2028-02-28", "2028-02-29"),
        ("1990-01-02", "2026-12-30", "2027-01-02"),
    ],
)
def test_the_next_birthday(born: str, today: str, coming: str) -> None:
    assert next_birthday(date.fromisoformat(born), date.fromisoformat(today)) == date.fromisoformat(coming)


async def test_a_birthday_that_is_near_brings_its_benefit_once_a_year(
    club: Club, committed_engine: AsyncEngine
) -> None:
    """Given a gift for seven days before a birthday, on 28 December in Shanghai: whose birthday is by 4 January has it,
    once; a year later again."""
    await club.publish("cake", before_birthday_days=7)
    near, new_year, far = [await club.join(day) for day in ("1990-12-30", "1985-01-04", "1991-01-05")]
    nobody = await club.join()
    now = datetime(2026, 12, 27, 17, tzinfo=UTC)  # 28 December there
    assert await give_on_birthdays(committed_engine, KEYRING, now=now) == 2
    assert await give_on_birthdays(committed_engine, KEYRING, now=now + timedelta(hours=1)) == 0
    assert await club.held(near) == [("cake", "birthday:2026")]
    assert await club.held(new_year) == [("cake", "birthday:2027")]
    assert await club.held(far) == await club.held(nobody) == []
    assert await give_on_birthdays(committed_engine, KEYRING, now=now + timedelta(days=1)) == 1
    assert await give_on_birthdays(committed_engine, KEYRING, now=now + timedelta(days=365)) == 2
