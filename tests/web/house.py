"""A brand with two stores, its people, and the application that shows its pages; tests make the members."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final
from uuid import uuid4

from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import posting
from ledger.units import Unit, define_unit
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.programme import Channel, Programme, create_channel, create_programme
from loyalty.members.identifiers import Identity, channel_identity, phone_identity
from loyalty.members.joining import register
from loyalty.members.member import Member
from loyalty.members.profile import ProfileFields
from loyalty.settings import Settings
from loyalty.web.app import create_app
from loyalty.web.security.staff import Staff, create_staff
from loyalty.web.state import Services
from redemption.policies import publish_policy
from tests.web.member.conftest import Browser
from tiers.ladders import Ladder, TierStep, publish_ladder
from tiers.rules import PointsMetric
from tiers.windows import RollingMonthsWindow

PASSWORD: Final = "a long enough password"
LADDER: Final = Ladder(
    metric=PointsMetric(),
    window=RollingMonthsWindow(months=12),
    tiers=[
        TierStep(code="leaf", name={"zh": "青叶", "en": "Leaf"}, rank=0, threshold=0),
        TierStep(code="peak", name={"zh": "云峰", "en": "Peak"}, rank=1, threshold=1000),
    ],
    grace_days=30,
)
_numbers: Final = count(60_000)


@dataclass
class House:
    """The brand. 100 points take ¥1 off, at least 100 at once, at most half of a basket."""

    app: Litestar
    engine: AsyncEngine
    programme: Programme
    store: Channel
    other_store: Channel
    people: dict[str, Staff]
    phones: dict[str, str] = field(default_factory=dict)

    @property
    def services(self) -> Services:
        services: Services = self.app.state["services"]
        return services

    async def member(self, *, points: int = 0, name: str | None = None, card: str | None = None) -> Member:
        """A member with a phone of their own (`phone_of`) and points that never expire."""
        number = f"+86199000{next(_numbers)}"
        identities: list[Identity] = [phone_identity(number)]
        if card is not None:
            identities.append(channel_identity("card", card, channel_code=self.store.code))
        async with transaction(self.engine) as connection:
            made = await register(
                connection,
                self.services.keyring,
                programme_id=self.programme.id,
                channel_code=self.store.code,
                identities=identities,
                joined_at=utc_now(),
                profile=ProfileFields(name=name),
            )
        self.phones[made.member.public_id] = number
        if points:
            await self.earn(made.member, points)
        return made.member

    def phone_of(self, member: Member) -> str:
        return self.phones[member.public_id]

    async def earn(self, member: Member, points: int, *, source: str = "order:store-1/R-1") -> None:
        async with transaction(self.engine) as connection:
            await posting.earn(
                connection,
                programme_id=self.programme.id,
                member_id=member.id,
                amount=points,
                key=uuid4().hex,
                source=source,
            )

    @asynccontextmanager
    async def at_work(self, username: str | None, *, language: str = "en") -> AsyncIterator[Browser]:
        """A browser in which somebody is signed in, or nobody."""
        browser = Browser(self.app, language=language)
        if username is not None:
            await browser.get("/staff/login")
            await browser.send("/staff/login", username=username, password=PASSWORD)
        yield browser
        await browser.client.aclose()


@asynccontextmanager
async def open_house(engine: AsyncEngine, home: Path) -> AsyncIterator[House]:
    """The brand and its application, started."""
    code = f"house-{uuid4().hex[:8]}"
    async with transaction(engine) as connection:
        programme = await create_programme(
            connection, code=code, name="Shanlan", time_zone="Asia/Shanghai", currency="CNY", locale="zh"
        )
        await create_channel(connection, programme, code="online", name="Online shop", kind="online")
        store = await create_channel(connection, programme, code="store-1", name="Huaihai Road", kind="store")
        other = await create_channel(connection, programme, code="store-2", name="West Lake", kind="store")
        await define_unit(connection, Unit(programme_id=programme.id, time_zone=programme.time_zone, adjust_limit=1000))
        await publish_ladder(connection, programme_id=programme.id, ladder=LADDER)
        await publish_policy(
            connection,
            programme_id=programme.id,
            currency="CNY",
            step_points=100,
            step_amount_minor=100,
            minimum_points=100,
            max_share_bp=5_000,
        )
        people = {
            "li.na": await create_staff(
                connection,
                programme_id=programme.id,
                username="li.na",
                name="Li Na",
                role="clerk",
                password=PASSWORD,
                channel_id=store.id,
            ),
            "wang.wei": await create_staff(
                connection,
                programme_id=programme.id,
                username="wang.wei",
                name="Wang Wei",
                role="clerk",
                password=PASSWORD,
                channel_id=other.id,
            ),
            "chen.min": await create_staff(
                connection,
                programme_id=programme.id,
                username="chen.min",
                name="Chen Min",
                role="crm",
                password=PASSWORD,
            ),
            "zhao.lei": await create_staff(
                connection,
                programme_id=programme.id,
                username="zhao.lei",
                name="Zhao Lei",
                role="admin",
                password=PASSWORD,
            ),
        }
    application = create_app(Settings(home=home, demo=True, programme=code), engine)
    started, ended = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        # In a task of its own: a fixture is left in another task than it was entered in.
        async with application.lifespan():
            started.set()
            await ended.wait()

    life = asyncio.create_task(live())
    life.add_done_callback(lambda _: started.set())
    await started.wait()
    if life.done():
        life.result()
    yield House(app=application, engine=engine, programme=programme, store=store, other_store=other, people=people)
    ended.set()
    await life
