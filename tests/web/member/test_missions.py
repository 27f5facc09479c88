"""Missions on the card: a reward that is not to be had now waits, and the card says why in words."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from litestar import Litestar
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.campaigns.draws import entering
from loyalty.campaigns.draws.draw import publish_draw
from loyalty.campaigns.missions.mission import (
    MISSION_PREFIX,
    BuyTimes,
    CompleteProfile,
    Mission,
    MissionTerms,
    end_mission,
    publish_mission,
)
from loyalty.campaigns.missions.tables import mission_reward_table
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.ids import public_id
from loyalty.kit.programme import Programme
from loyalty.members.identity import find
from loyalty.members.merge import merge
from loyalty.web.i18n import Translator
from loyalty.web.member.missions import REFUSALS
from loyalty.web.state import Services
from redemption.benefits.templates import retire
from tests.db.campaigns.gifts import publish_gift
from tests.web.member.conftest import Browser

NAME = {"zh": "任务", "en": "Mission"}
TOLD = CompleteProfile(fields=("name",))
"""Complete for whoever joined with a name."""
_WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND :pid = ANY (pg_blocking_pids(pid))")
"""Who waits for a connection; `pg_stat_activity` hides that from a session that took the application's role."""


class Offers:
    """Missions of the brand, which end with the test."""

    def __init__(self, engine: AsyncEngine, brand: Programme, services: Services) -> None:
        self.engine, self.brand, self.services = engine, brand, services
        self.missions: list[Mission] = []

    async def begin(self, **terms: Any) -> str:
        """Begin a mission; answers the page that collects its reward."""
        async with transaction(self.engine) as connection:
            mission = await publish_mission(
                connection,
                programme_id=self.brand.id,
                code=f"m-{uuid4().hex[:10]}",
                terms=MissionTerms(name=NAME, **{"task": TOLD, **terms}),
                published_by="ann",
            )
        self.missions.append(mission)
        return f"/me/missions/{public_id(MISSION_PREFIX, mission.id)}"

    async def gift(self, **fields: Any) -> str:
        code = f"g-{uuid4().hex[:10]}"
        async with transaction(self.engine) as connection:
            await publish_gift(connection, self.brand.id, code=code, **fields)
        return code

    async def draw(self, *, opens_in: timedelta | None = None, **fields: Any) -> str:
        prizes = [{"code": "points", "name": NAME, "count": 1, "points": 5}]
        now = utc_now()
        async with transaction(self.engine) as connection:
            draw = await publish_draw(
                connection,
                self.services.keyring,
                programme_id=self.brand.id,
                code=f"d-{uuid4().hex[:10]}",
                definition={
                    "name": NAME,
                    "prizes": prizes,
                    "places": 9,
                    "per_member": 9,
                    "price_points": None,
                    **fields,
                },
                opens_at=now + opens_in if opens_in else None,
                closes_at=now + timedelta(days=2),
                published_by="ann",
            )
        return draw.code

    async def end(self, *missions: Mission) -> None:
        async with transaction(self.engine) as connection:
            for mission in missions:
                await end_mission(connection, programme_id=self.brand.id, mission_id=mission.id, ended_by="bob")
                self.missions.remove(mission)


@pytest.fixture
async def offers(engine: AsyncEngine, brand: Programme, pages_app: Litestar) -> Any:
    made = Offers(engine, brand, pages_app.state["services"])
    yield made
    await made.end(*made.missions)


async def test_a_reward_that_is_not_to_be_had_waits_and_the_card_says_why(
    browser: Browser,
    phone_number: str,
    offers: Offers,
    brand: Programme,
    engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await browser.join(phone_number, name="Mei")
    await browser.get("/me")
    asked: dict[str, str] = {"open": await offers.begin(task=BuyTimes(times=1), points=1)}
    # The first of two missions takes what there is, or as much as one may have.
    for reason, gift in (
        ("used_up", await offers.gift(stock=1)),
        ("limit", await offers.gift(per_member=1)),
        ("limit_day", await offers.gift(per_member_day=1)),
    ):
        await browser.send(await offers.begin(benefit=gift))
        asked[reason] = await offers.begin(benefit=gift, points=7)
    for reason, draw in (
        ("draw_full", await offers.draw(places=1)),
        ("draw_limit", await offers.draw(per_member=1)),
    ):
        await browser.send(await offers.begin(draw=draw))
        asked[reason] = await offers.begin(draw=draw, points=7)
    asked["draw_scheduled"] = await offers.begin(draw=await offers.draw(opens_in=timedelta(days=1)), points=7)
    asked["draw_closed"] = await offers.begin(draw=await offers.draw(), points=7)
    retired = await offers.gift()
    asked["not_given"] = await offers.begin(benefit=retired, points=7)
    async with transaction(engine) as connection:
        await retire(connection, programme_id=brand.id, code=retired, actor="ann")
    asked["over"] = await offers.begin(points=7)
    await offers.end(offers.missions[-1])

    assert asked.keys() == set(REFUSALS)
    english, chinese = Translator("en"), Translator("zh")
    for reason, collecting in asked.items():
        with monkeypatch.context() as clock:
            if reason == "draw_closed":
                clock.setattr(entering, "utc_now", lambda: utc_now() + timedelta(days=3))
            response = await browser.send(collecting)
        assert (response.status_code, response.url.path) == (200, "/me"), reason
        assert english(f"missions.refused.{reason}") in browser.words
        await browser.get(f"/me?mission={reason}&lang=zh")
        assert chinese(f"missions.refused.{reason}") in browser.words
        await browser.get("/me?lang=en")
    assert '<span class="figure">0</span>' in browser.text  # nothing was given by halves
    assert browser.words.count("Collect 7 points") == len(asked) - 2  # all but what is open still, and what is over
    for told in ("nonsense", ""):
        assert (await browser.get(f"/me?mission={told}")).status_code == 200
        assert "notice--caution" not in browser.text


async def test_the_reward_of_a_member_who_is_being_merged_is_the_survivors(
    browser: Browser, other_browser: Browser, phone_number: str, offers: Offers, brand: Programme, engine: AsyncEngine
) -> None:
    phones = (phone_number, f"{phone_number[:-5]}7{phone_number[-4:]}")
    for one, phone in zip((browser, other_browser), phones, strict=True):
        await one.join(phone, name="Mei")
    collecting = await offers.begin(points=40)
    await browser.get("/me")
    async with transaction(engine) as connection:
        keyring = offers.services.keyring
        (absorbed,), (survivor,) = [
            await find(connection, keyring, programme_id=brand.id, text=phone) for phone in phones
        ]
        await merge(
            connection,
            keyring,
            programme_id=brand.id,
            survivor_id=survivor.id,
            absorbed_id=absorbed.id,
            reason="one person",
            actor="test",
            key=f"test:{survivor.id}",
        )
        merging = {"pid": await connection.scalar(text("SELECT pg_backend_pid()"))}
        sending = asyncio.create_task(browser.send(collecting))
        async with engine.connect() as looking:
            while not await looking.scalar(_WAITING, merging):
                assert not sending.done()
                await looking.rollback()
    assert (await sending).status_code == 200
    async with transaction(engine) as connection:
        columns = mission_reward_table.c
        given_to = await connection.scalars(
            select(columns.member_id).where(columns.mission_id == offers.missions[0].id)
        )
    assert list(given_to) == [survivor.id]
