"""A shopper sees an item's way, as far as the brand makes it public."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from loyalty.items.events import EventKind, record_event
from loyalty.items.products import LocalText
from loyalty.items.timeline import TimelineStep, read_timeline
from loyalty.items.verdicts import Place
from loyalty.kit.errors import InvalidInputError
from tests.db.items.conftest import GTIN, NOON, Brand

FACTORY = LocalText(zh="杭州工厂", en="Hangzhou works")


async def happened(brand: Brand, kind: EventKind, days_ago: float, **fields: Any) -> None:
    defaults: dict[str, Any] = {
        "programme_id": brand.programme.id,
        "gtin": GTIN,
        "kid": 1,
        "lo": 0,
        "hi": 9,
        "kind": kind,
        "at": NOON - timedelta(days=days_ago),
    }
    await record_event(brand.connection, **defaults | fields)


async def steps(brand: Brand, index: int = 0) -> list[TimelineStep]:
    return await read_timeline(brand.connection, gtin=GTIN, kid=1, index=index, now=NOON)


async def test_the_public_steps_and_the_first_scan_in_their_order(brand: Brand) -> None:
    await brand.mint(10, state="activated")
    await happened(brand, "shipped", 5)
    await happened(brand, "made", 8, places=FACTORY)
    await brand.scan(at=NOON - timedelta(days=1), place=Place(city="上海"))
    await brand.scan(at=NOON)
    found = await steps(brand)
    assert [step.kind for step in found] == ["made", "shipped", "first_scanned"]
    assert found[0].places == FACTORY
    assert found[2] == TimelineStep(
        kind="first_scanned", at=NOON - timedelta(days=1), places=LocalText(zh="上海", en="上海")
    )


async def test_the_brands_own_business_stays_its_own_unless_it_says_otherwise(brand: Brand) -> None:
    await brand.mint(10, state="activated")
    assert await steps(brand) == []
    await happened(brand, "printed", 9, public=True)
    await happened(brand, "received", 3, public=False)
    assert [step.kind for step in await steps(brand)] == ["printed"]


async def test_what_is_planned_has_not_happened(brand: Brand) -> None:
    await brand.mint(10, state="activated")
    await happened(brand, "shipped", -1)
    assert await steps(brand) == []


async def test_an_event_is_about_its_interval_alone(brand: Brand) -> None:
    await brand.mint(10, state="activated")
    await happened(brand, "packed", 3, lo=2, hi=4)
    assert [[step.kind for step in await steps(brand, index)] for index in (1, 2, 4, 5)] == [
        [],
        ["packed"],
        ["packed"],
        [],
    ]


async def test_an_interval_that_cannot_be_is_refused(brand: Brand) -> None:
    with pytest.raises(InvalidInputError, match="not an interval"):
        await happened(brand, "made", 1, lo=5, hi=4)
