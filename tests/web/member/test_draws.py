"""Prize draws on the card: who enters them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.campaigns.draws.draw import publish_draw
from loyalty.campaigns.draws.entering import entries_of
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.programme import Programme
from loyalty.members.identity import find
from loyalty.members.member import Member
from loyalty.members.merge import merge
from loyalty.web.member import visitor as visiting
from loyalty.web.member.visitor import read_visitor
from loyalty.web.state import Services
from tests.web.member.conftest import Browser

NAME = {"zh": "抽奖", "en": "Draw"}


async def test_who_is_merged_while_entering_enters_as_the_survivor(
    browser: Browser,
    other_browser: Browser,
    phone_number: str,
    engine: AsyncEngine,
    brand: Programme,
    pages_app: Litestar,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services: Services = pages_app.state["services"]
    other_number = f"{phone_number[:-5]}9{phone_number[-4:]}"
    await other_browser.join(other_number)
    await browser.join(phone_number)
    async with transaction(engine) as connection:
        draw = await publish_draw(
            connection,
            services.keyring,
            programme_id=brand.id,
            code=f"d-{phone_number[-8:]}",
            definition={
                "name": NAME,
                "prizes": [{"code": "points", "name": NAME, "count": 1, "points": 5}],
                "places": 9,
                "price_points": 0,
            },
            closes_at=utc_now() + timedelta(days=1),
            published_by="ann",
        )
        absorbed, survivor = [await _find(connection, services, brand, each) for each in (phone_number, other_number)]

    async def read_and_lose(*args: Any) -> Any:
        visitor = await read_visitor(*args)
        async with transaction(engine) as connection:
            await merge(
                connection,
                services.keyring,
                programme_id=brand.id,
                survivor_id=survivor.id,
                absorbed_id=absorbed.id,
                reason="one person",
                actor="test",
                key=f"test:{survivor.id}",
            )
        return visitor

    await browser.get("/me")
    monkeypatch.setattr(visiting, "read_visitor", read_and_lose)
    await browser.send(f"/me/draws/{draw.public_id}", key="a")
    async with transaction(engine) as connection:
        entries = await entries_of(connection, member_ids=[absorbed.id, survivor.id], draw_ids=[draw.id])
    assert [entry.member_id for entry in entries] == [survivor.id]


async def _find(connection: Any, services: Services, brand: Programme, number: str) -> Member:
    (member,) = await find(connection, services.keyring, programme_id=brand.id, text=number)
    return member
