"""Of what others captured, a shopper is shown what the brand says, in the brand's words, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from loyalty.items.epcis.capturing import capture_event
from loyalty.items.epcis.moments import write_moment
from loyalty.items.epcis.publishing import (
    USUAL_KINDS,
    PublicStep,
    name_place,
    public_steps,
    publish_step,
    withhold_step,
)
from loyalty.items.epcis.vocabulary import BIZ_STEP
from loyalty.items.events import record_event
from loyalty.items.products import LocalText
from loyalty.items.timeline import TimelineStep, read_timeline
from loyalty.kit.errors import InvalidInputError, NotFoundError
from tests.db.items.conftest import GTIN, NOON, Brand
from tests.epcis_examples import RECEIVED, alone, changed, encoded
from tests.factories import make_programme

SHOP = LocalText(zh="上海旗舰店", en="Shanghai store")
DOCK = LocalText(zh="收货口", en="Dock")


async def captured(brand: Brand, *, days_ago: float = 3, index: int = 0, **more: Any) -> dict[str, Any]:
    """An event of a retailer about one item, as it was captured."""
    event = changed(RECEIVED, "eventTime", write_moment(NOON - timedelta(days=days_ago)))
    event |= {"epcList": [f"https://id.gs1.org/01/{GTIN}/21/{brand.serial(index)}"]} | more
    new = await capture_event(
        brand.connection, encoded(alone(event)), programme_id=brand.programme.id, item_keys=brand.keys
    )
    return {"eventID": new.event_id} | event


async def publish(brand: Brand, biz_step: str, **more: Any) -> PublicStep:
    return await publish_step(brand.connection, programme_id=brand.programme.id, biz_step=biz_step, **more)


async def steps(brand: Brand, index: int = 0) -> list[TimelineStep]:
    return await read_timeline(brand.connection, gtin=GTIN, kid=1, index=index, now=NOON)


async def kinds(brand: Brand, index: int = 0) -> list[str]:
    return [step.kind for step in await steps(brand, index)]


async def test_nothing_is_shown_until_the_brand_says_so(brand: Brand) -> None:
    await captured(brand)
    assert await steps(brand) == []
    await publish(brand, "receiving")
    assert await steps(brand) == [TimelineStep(kind="received", at=NOON - timedelta(days=3))]
    await withhold_step(brand.connection, programme_id=brand.programme.id, biz_step="receiving")
    assert await steps(brand) == []


async def test_only_the_item_that_is_named_and_only_the_step_that_is_shown(brand: Brand) -> None:
    await publish(brand, "receiving")
    await captured(brand)
    await captured(brand, bizStep="storing", days_ago=2)
    assert (await kinds(brand), await kinds(brand, 1)) == (["received"], [])


async def test_captured_steps_stand_among_the_brands_own(brand: Brand) -> None:
    await publish(brand, "receiving")
    await publish(brand, "retail_selling")
    await captured(brand, days_ago=3)
    await captured(brand, days_ago=1, bizStep="retail_selling")
    for kind, days_ago in (("made", 9), ("shipped", 2)):
        await record_event(
            brand.connection,
            programme_id=brand.programme.id,
            gtin=GTIN,
            kid=1,
            lo=0,
            hi=9,
            kind=kind,  # type: ignore[arg-type]
            at=NOON - timedelta(days=days_ago),
        )
    assert await kinds(brand) == ["made", "received", "shipped", "sold"]


async def test_a_place_is_called_as_the_brand_calls_it(brand: Brand) -> None:
    await publish(brand, "receiving")
    await captured(brand)
    for place, names in (
        ("urn:epc:id:sgln:0012345.11111.400", DOCK),  # where it was read
        ("https://id.gs1.org/414/0012345111112", SHOP),  # where it is from then on: the one that is shown
    ):
        await name_place(brand.connection, programme_id=brand.programme.id, place=place, names=names)
        assert (await steps(brand))[0].places == names


async def test_a_step_may_be_shown_as_another(brand: Brand) -> None:
    assert await publish(brand, "urn:epcglobal:cbv:bizstep:accepting", kind="sold") == PublicStep(
        biz_step="accepting", kind="sold"
    )
    assert (await publish(brand, "accepting")).kind == "received"
    assert await publish(brand, "https://brand.example/step/blending", kind="made")
    assert await public_steps(brand.connection, programme_id=brand.programme.id) == [
        PublicStep(biz_step="https://brand.example/step/blending", kind="made"),
        PublicStep(biz_step="accepting", kind="received"),
    ]


async def test_an_event_that_was_taken_back_is_shown_no_more(brand: Brand) -> None:
    await publish(brand, "receiving")
    event = await captured(brand)
    declaration = {"errorDeclaration": {"declarationTime": "2026-03-02T00:00:00Z", "reason": "did_not_occur"}}
    await capture_event(
        brand.connection, encoded(alone(event | declaration)), programme_id=brand.programme.id, item_keys=brand.keys
    )
    assert await steps(brand) == []


async def test_what_is_yet_to_come_is_not_shown(brand: Brand) -> None:
    await publish(brand, "receiving")
    await captured(brand, days_ago=-1)
    assert await steps(brand) == []


async def test_what_one_brand_shows_another_does_not(brand: Brand) -> None:
    other = await make_programme(brand.connection)
    await publish_step(brand.connection, programme_id=other.id, biz_step="receiving")
    await captured(brand)
    assert await steps(brand) == []
    assert await public_steps(brand.connection, programme_id=brand.programme.id) == []


async def test_what_cannot_be_shown_is_refused(brand: Brand) -> None:
    for biz_step, kind, field in (
        ("recieving", None, "biz_step"),
        ("storing", None, "kind"),  # shoppers have no word for it
        ("storing", "stored", "kind"),
        ("https://brand.example/step", None, "kind"),
    ):
        with pytest.raises(InvalidInputError) as refused:
            await publish(brand, biz_step, kind=kind)
        assert refused.value.field == field
    with pytest.raises(NotFoundError):
        await withhold_step(brand.connection, programme_id=brand.programme.id, biz_step="receiving")
    somewhere = "urn:epc:id:sgln:0012345.11111.0"
    for place, names, field in (
        ("nowhere", SHOP, "place"),
        (somewhere, LocalText(), "names"),
        (somewhere, LocalText(en="x" * 201), "names"),
    ):
        with pytest.raises(InvalidInputError) as refused:
            await name_place(brand.connection, programme_id=brand.programme.id, place=place, names=names)
        assert refused.value.field == field


def test_every_usual_step_is_a_word_of_cbv() -> None:
    assert set(USUAL_KINDS) <= BIZ_STEP.words
