"""From draft to end: every change is written down and can be undone until it is published."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from loyalty.campaigns.bonus import campaign as lifecycle
from loyalty.campaigns.bonus.campaign import Campaign, ChangedSinceError
from loyalty.campaigns.bonus.definition import CampaignTerms, FixedBonus, Multiplier
from loyalty.campaigns.bonus.preview import Preview
from loyalty.campaigns.bonus.results import Result, points_by_day, results_of
from loyalty.channels.orders.purchases import preview_campaign
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.quotas import Level
from tests.db.campaigns.bonus.conftest import CampaignShop
from tests.db.channels.orders.conftest import MOMENT, line


async def save(campaigns: CampaignShop, campaign: Campaign, points: int) -> Campaign:
    terms = msgspec.structs.replace(campaign.terms, reward=FixedBonus(points=points))
    return await lifecycle.save_draft(
        campaigns.connection,
        programme_id=campaigns.programme_id,
        campaign_id=campaign.id,
        draft=msgspec.to_builtins(terms),
        seen=campaign.changes,
        by="ben",
    )


def points(campaign: Campaign) -> int:
    assert isinstance(campaign.terms.reward, FixedBonus)
    return campaign.terms.reward.points


async def test_changes_of_a_draft_are_undone_one_after_the_other(campaigns: CampaignShop) -> None:
    campaign = await campaigns.draft(FixedBonus(points=1))
    who: dict[str, Any] = {"programme_id": campaigns.programme_id, "campaign_id": campaign.id}
    for number in (2, 3):
        campaign = await save(campaigns, campaign, number)
    for number in (2, 1):
        assert await lifecycle.can_undo(campaigns.connection, campaign)
        campaign = await lifecycle.undo(campaigns.connection, **who, seen=campaign.changes, by="ann")
        assert points(campaign) == number
    assert not await lifecycle.can_undo(campaigns.connection, campaign)
    with pytest.raises(ConflictError):
        await lifecycle.undo(campaigns.connection, **who, seen=campaign.changes, by="ann")
    written = await lifecycle.history(campaigns.connection, **who)
    assert [(change.what, change.changed_by) for change in written] == [
        ("undone", "ann"),
        ("undone", "ann"),
        ("saved", "ben"),
        ("saved", "ben"),
        ("created", "ann"),
    ]


async def test_what_somebody_else_changed_meanwhile_is_not_overwritten(campaigns: CampaignShop) -> None:
    seen = await campaigns.draft()
    await save(campaigns, seen, 9)
    with pytest.raises(ChangedSinceError):
        await save(campaigns, seen, 8)


async def test_published_for_later_withdrawn_published_ended(campaigns: CampaignShop) -> None:
    now = utc_now()
    who: dict[str, Any] = {"programme_id": campaigns.programme_id}
    later = now + timedelta(days=2)
    campaign = await campaigns.publish(await campaigns.draft(), later, ends_at=later + timedelta(days=1))
    moments = [now, later, later + timedelta(days=1)]
    assert [campaign.state(moment) for moment in moments] == ["scheduled", "running", "ended"]
    who["campaign_id"] = campaign.id

    campaign = await lifecycle.withdraw(campaigns.connection, **who, seen=campaign.changes, by="ann")
    assert (campaign.state(later), points(campaign)) == ("draft", 50)
    campaign = await campaigns.publish(campaign)
    assert campaign.versions[0].version == 2
    with pytest.raises(ConflictError):
        await lifecycle.withdraw(campaigns.connection, **who, seen=campaign.changes, by="ann")
    campaign = await lifecycle.end(campaigns.connection, **who, seen=campaign.changes, by="ann")
    assert campaign.state(utc_now()) == "ended"
    span = {"first": now, "last": later + timedelta(hours=1)}
    found = await lifecycle.published_between(campaigns.connection, programme_id=campaigns.programme_id, **span)
    assert [(each.version, each.ends_at) for each in found] == [(2, campaign.ended_at)]


async def test_a_next_version_takes_over_at_its_start(campaigns: CampaignShop) -> None:
    campaign = await campaigns.run(FixedBonus(points=1))
    later = utc_now() + timedelta(hours=1)
    campaign = await campaigns.publish(await save(campaigns, campaign, 2), later)
    found = await lifecycle.published_between(
        campaigns.connection, programme_id=campaigns.programme_id, first=utc_now(), last=later
    )
    assert [(each.version, each.ends_at) for each in found] == [(1, later), (2, None)]
    running = campaign.in_force(later)
    assert running is not None
    assert running.version == 2


async def test_what_does_not_fit_is_refused(campaigns: CampaignShop) -> None:
    draft = await campaigns.draft(code="summer")
    with pytest.raises(ConflictError):
        await campaigns.draft(code="summer")
    with pytest.raises(InvalidInputError, match="past"):
        await campaigns.publish(draft, utc_now() - timedelta(days=1))
    with pytest.raises(InvalidInputError) as caught:
        await campaigns.draft(unit="stars")
    assert caught.value.field == "unit"
    with pytest.raises(NotFoundError):
        await lifecycle.get_campaign(campaigns.connection, programme_id=draft.id, campaign_id=draft.id)


async def test_a_published_version_never_changes(campaigns: CampaignShop) -> None:
    campaign = await campaigns.run()
    change = text("UPDATE earn_campaign_version SET definition = '{}' WHERE campaign_id = :id")
    with pytest.raises(DBAPIError, match="never changes"):
        await campaigns.connection.execute(change, {"id": campaign.id})


async def test_a_preview_says_what_real_orders_would_have_got_and_writes_nothing(
    campaigns: CampaignShop, keyring: Keyring
) -> None:
    for number in range(3):
        await campaigns.shop.order(str(number), line(1, 10_000), placed_at=MOMENT + timedelta(days=number))
    other = await campaigns.shop.join("2")
    await campaigns.shop.order("9", line(1, 2_000), member_id=other)
    draft = await campaigns.draft(Multiplier(factor_bp=20_000), budget_points=150)

    async def tried(terms: CampaignTerms) -> Preview:
        return await preview_campaign(
            campaigns.connection,
            keyring,
            programme=campaigns.shop.programme,
            campaign_id=draft.id,
            terms=terms,
            first=MOMENT,
            last=MOMENT + timedelta(days=9),
        )

    found = await tried(draft.terms)
    assert (found.orders, found.orders_reached, found.members) == (4, 3, 2)
    assert (found.points, found.uncapped) == (150, 320)
    assert [points for _, points in found.days] == [120, 30, 0]
    assert found.spent_on == found.days[1][0]
    assert {example.member_id for example in found.examples[1:]} <= {campaigns.shop.member_id, other}
    assert found.examples[0].points == 30
    firsts = await tried(msgspec.structs.replace(draft.terms, first_purchase=True, budget_points=None))
    assert firsts.points == 120
    everyone = await tried(msgspec.structs.replace(draft.terms, holdout_bp=5_000, budget_points=None))
    assert everyone.members + everyone.held_out == 2
    result = (await results_of(campaigns.connection, campaign_ids=[draft.id]))[draft.id]
    assert result == Result()


async def test_results_count_what_was_given_and_taken_back(campaigns: CampaignShop) -> None:
    campaign = await campaigns.run(FixedBonus(points=50), budget_points=1_000)
    await campaigns.order("1", line(1, 100))
    await campaigns.order("2", line(1, 100))
    await campaigns.shop.refund("r", "1", 100)
    result = (await results_of(campaigns.connection, campaign_ids=[campaign.id]))[campaign.id]
    assert (result.points, result.taken_back, result.members, result.orders) == (100, 50, 1, 2)
    assert result.budget == Level(total=1_000, left=900)
    assert sum(points for _, points in await points_by_day(campaigns.connection, campaign_id=campaign.id)) == 100
