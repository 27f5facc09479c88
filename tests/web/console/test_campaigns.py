"""A campaign in the hands of a CRM manager: drafted, tried on real orders, published, ended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from loyalty.campaigns.bonus.campaign import CAMPAIGN_PREFIX, list_campaigns
from loyalty.campaigns.missions.mission import MISSION_PREFIX, list_missions
from loyalty.campaigns.missions.progress import collect, note_visit
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.ids import public_id
from tests.web.house import House
from tests.web.member.conftest import Browser

PAGE = "/console/campaigns"
FORM = {
    "code": "double-11",
    "name_zh": "双十一双倍积分",
    "name_en": "Double points for 11.11",
    "kind": "times",
    "value": "2",
    "who": "everybody",
    "together": "others",
    "priority": "100",
    "place": "store",
    "minimum": "50",
    "budget_points": "10000",
    "member_points": "500",
    "weekday_6": "yes",
    "weekday_7": "yes",
}


async def address(house: House, code: str) -> str:
    async with transaction(house.engine) as connection:
        campaigns = await list_campaigns(connection, programme_id=house.programme.id)
    (campaign,) = [each for each in campaigns if each.code == code]
    return f"{PAGE}/{public_id(CAMPAIGN_PREFIX, campaign.id)}"


@pytest.mark.usefixtures("life")
async def test_from_a_draft_to_its_end(house: House, manager: Browser) -> None:
    await manager.get(f"{PAGE}/new")
    await manager.send(PAGE, **FORM)
    assert "The draft is saved." in manager.words
    said = "Double points on Saturday, Sunday, in stores, from ¥50.00 on"
    assert said in manager.words
    assert "At most 10,000 points in all · 500 points a member" in manager.words
    page = await address(house, "double-11")

    # Every day now, so that the order of the customer counts; the mistake is said and nothing is saved.
    every_day = {**FORM, "weekday_6": "", "weekday_7": "", "action": "save", "seen": "1"}
    await manager.send(page, **{**every_day, "value": "1"})
    assert "More than 1 times, or a whole number of points." in manager.words
    await manager.send(page, **every_day)
    assert "Double points in stores, from ¥50.00 on" in manager.words
    await manager.send(page, **every_day)
    assert "Somebody changed it meanwhile." in manager.words

    await manager.get(f"{page}?days=30")
    assert "Would have given" in manager.words
    assert "Lin Yue" in manager.words

    await manager.send(page, action="undo", seen="2")
    assert said in manager.words
    tomorrow = (utc_now() + timedelta(days=2)).date().isoformat()
    await manager.send(page, action="publish", seen="3", starts=tomorrow, ends="2020-01-01")
    assert "The last day is before the first, or is no day." in manager.words
    await manager.send(page, action="publish", seen="3", starts=tomorrow)
    assert "Starts later" in manager.words
    await manager.send(page, action="withdraw", seen="4")
    await manager.send(page, action="publish", seen="5")
    assert "Running" in manager.words
    assert "0 of 10,000 points used" in manager.words
    await manager.send(page, action="end", seen="6")
    assert "Ended. What it gave stays." in manager.words
    for change in ("Created", "Draft changed", "Change undone", "Published · version 2", "Withdrawn before its start"):
        assert change in manager.words

    await manager.get(f"{PAGE}?lang=zh")
    assert "双倍积分 每逢周六、周日、门店、满 ¥50.00" in manager.words


async def test_what_is_typed_wrong_is_said_at_its_field(manager: Browser) -> None:
    await manager.get(f"{PAGE}/new")
    for changed, message in (
        ({"name_en": ""}, "A name in English is needed."),
        ({"minimum": "a lot"}, "This is not an amount."),
        ({"holdout": "51"}, "From 0 to 50 %"),
        ({"together": "best"}, "A group needs a name"),
        ({"member_times": "some"}, "A whole number from 1 on."),
        ({"code": "Not A Code"}, "Small letters, digits and hyphens"),
    ):
        await manager.send(PAGE, **{**FORM, **changed})
        assert message in manager.words


async def test_a_mission_is_begun_seen_on_the_card_collected_and_ended(house: House, manager: Browser) -> None:
    await manager.get("/console/missions")
    form = {"name_zh": "天天见", "name_en": "See you daily", "kind": "sign_in", "steps": "1", "points": "25"}
    await manager.send("/console/missions", **{**form, "steps": "0"})
    assert "From 1 to 366." in manager.words
    await manager.send("/console/missions", **form)
    assert "The mission is on the cards now." in manager.words
    assert "collected by 0 members" in manager.words
    async with transaction(house.engine) as connection:
        (mission,) = await list_missions(connection, programme_id=house.programme.id)
        member = await house.member(name="Xu Qiao")
        await note_visit(connection, programme=house.programme, member_id=member.id, at=utc_now())
        await collect(connection, programme=house.programme, member_id=member.id, mission_id=mission.id, at=utc_now())
    await manager.get("/console/missions")
    assert "collected by 1 member" in manager.words
    await manager.send(f"/console/missions/{public_id(MISSION_PREFIX, mission.id)}")
    assert "The mission is over." in manager.words
    assert "ended by " in manager.words
