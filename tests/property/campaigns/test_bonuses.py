"""Stacking of campaigns: exact shares, the same whatever the order, and what is kept is what its rules allow."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.campaigns.bonus.computing import Published, Purchase, bonuses
from loyalty.campaigns.bonus.definition import CampaignTerms, FixedBonus, Multiplier
from loyalty.campaigns.earning import BasketLine
from redemption.terms import Items
from redemption.terms.stacking import Stacking

NOW = datetime(2026, 11, 11, tzinfo=UTC)


@st.composite
def purchases(draw: st.DrawFn) -> Purchase:
    lines = draw(
        st.lists(
            st.builds(
                BasketLine,
                sku=st.sampled_from("AB"),
                category=st.just("x"),
                quantity=st.integers(0, 3),
                amount_minor=st.integers(0, 5_000),
            ),
            max_size=5,
        )
    )
    earned = draw(st.lists(st.integers(0, 500), min_size=len(lines), max_size=len(lines)))
    return Purchase(
        member_id=UUID(int=1),
        order_id=UUID(int=2),
        placed_at=NOW,
        channel="shop",
        channel_kind="online",
        currency="CNY",
        lines=lines,
        earned={"points": earned},
        campaigns=frozenset(UUID(int=number) for number in range(10)),
    )


TERMS = st.builds(
    CampaignTerms,
    name=st.just({"zh": "活动", "en": "Campaign"}),
    reward=st.builds(Multiplier, factor_bp=st.integers(10_001, 50_000))
    | st.builds(FixedBonus, points=st.integers(1, 300)),
    items=st.sampled_from((Items(), Items(skus=("A",)))),
    minimum_minor=st.sampled_from((0, 2_000)),
    currency=st.just("CNY"),
    order_points=st.none() | st.integers(1, 200),
    stacking=st.builds(
        Stacking,
        priority=st.integers(1, 3),
        group=st.sampled_from((None, "one", "two")),
        choice=st.sampled_from(("first", "best")),
        exclusive=st.sampled_from((False, False, True)),
    ),
)


@given(st.lists(TERMS, max_size=6), purchases(), st.randoms(use_true_random=False), st.integers(0, 300))
@settings(max_examples=100, deadline=None)
def test_bonuses_are_exact_and_go_together_as_they_say(
    terms: list[CampaignTerms], purchase: Purchase, shuffler: random.Random, left: int
) -> None:
    campaigns = [
        Published(campaign_id=UUID(int=number), code="c", version=1, terms=each, starts_at=NOW, ends_at=None)
        for number, each in enumerate(terms)
    ]
    found = bonuses(campaigns, purchase, time_zone="Asia/Shanghai")
    for bonus in found:
        assert sum(bonus.line_points) == bonus.points > 0
        assert min(bonus.line_points) >= 0
        assert bonus.points <= (bonus.published.terms.order_points or bonus.points)
        cut = bonus.cut(min(left, bonus.points))
        assert sum(cut.line_points) == cut.points == min(left, bonus.points)

    stackings = [bonus.published.terms.stacking for bonus in found]
    groups = [stacking.group for stacking in stackings if stacking.group is not None]
    assert len(groups) == len(set(groups))
    assert len(found) == 1 or not any(stacking.exclusive for stacking in stackings)
    assert [each.priority for each in stackings] == sorted(each.priority for each in stackings)

    shuffled = list(campaigns)
    shuffler.shuffle(shuffled)
    assert bonuses(shuffled, purchase, time_zone="Asia/Shanghai") == found
    # Something is given wherever one of them alone would give something.
    alone = [bonuses([each], purchase, time_zone="Asia/Shanghai") for each in campaigns]
    assert bool(found) == any(alone)
