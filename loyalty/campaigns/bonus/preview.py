"""What a campaign would have given: its definition held against purchases of the past. Pure; nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec

from loyalty.campaigns.bonus.computing import Published, Purchase, bonuses
from loyalty.campaigns.bonus.definition import BenefitReward, CampaignTerms
from loyalty.campaigns.holdout import place_bp
from loyalty.kit.clock import local_date

EXAMPLES: Final = 8


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One purchase of a real member, and what it would have got; `uncapped` is what it would get without caps."""

    member_id: UUID
    order_id: UUID
    placed_at: datetime
    points: int
    uncapped: int


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign would have given over the purchases of some days, in their order, caps and budgets applied.

    `uncapped` is what it would have given without them; `spent_on` is the day on which the budget would have been used
    up. `members` got something, `held_out` would have and are the control group. Other campaigns are not looked at, and
    of benefits neither stock nor the template's own limits.
    """

    orders: int
    orders_reached: int
    members: int
    held_out: int
    points: int
    uncapped: int
    benefits: int
    days: tuple[tuple[date, int], ...]
    spent_on: date | None
    examples: tuple[Example, ...]


def preview(terms: CampaignTerms, *, campaign_id: UUID, purchases: Sequence[Purchase], time_zone: str) -> Preview:
    """Hold a definition against purchases, which come in the order of time with their facts (`with_facts`)."""
    caps = _Caps(terms)
    members: set[UUID] = set()
    held: set[UUID] = set()
    days: Counter[date] = Counter()
    examples: list[Example] = []
    uncapped = reached = benefits = 0
    spent_on: date | None = None
    for purchase in purchases:
        published = Published(
            campaign_id=campaign_id, code="preview", version=0, terms=terms, starts_at=purchase.placed_at, ends_at=None
        )
        bonus = next(iter(bonuses([published], purchase, time_zone=time_zone)), None)
        if bonus is None:
            continue
        offered = bonus.points
        if place_bp(campaign_id, purchase.member_id) < terms.holdout_bp:
            held.add(purchase.member_id)
            continue
        day = local_date(purchase.placed_at, time_zone)
        points = caps.take(purchase.member_id, day, offered)
        uncapped += offered
        days[day] += points or 0
        if points is not None:
            reached += 1
            benefits += bonus.template is not None
            members.add(purchase.member_id)
        if terms.budget_points is not None and caps.left == 0 and spent_on is None:
            spent_on = day
        examples.append(
            Example(
                member_id=purchase.member_id,
                order_id=purchase.order_id,
                placed_at=purchase.placed_at,
                points=points or 0,
                uncapped=offered,
            )
        )
    return Preview(
        orders=len(purchases),
        orders_reached=reached,
        members=len(members),
        held_out=len(held),
        points=sum(days.values()),
        uncapped=uncapped,
        benefits=benefits,
        days=tuple(sorted(days.items())),
        spent_on=spent_on,
        examples=tuple(_telling(examples)),
    )


def _telling(examples: Sequence[Example]) -> list[Example]:
    """One that a cap cut, then the newest of each of a few members, those who got something first."""
    cut = [example for example in examples if example.points < example.uncapped][:1]
    newest = {example.member_id: example for example in sorted(examples, key=_newest)}
    others = sorted(newest.values(), key=_newest, reverse=True)
    return (cut + [example for example in others if example not in cut])[:EXAMPLES]


def _newest(example: Example) -> tuple[bool, datetime]:
    return example.points > 0, example.placed_at


class _Caps:
    """The caps of one campaign while purchases go by."""

    def __init__(self, terms: CampaignTerms) -> None:
        self.terms = terms
        self.left = terms.budget_points
        self.by_day: Counter[date] = Counter()
        self.by_member: Counter[UUID] = Counter()
        self.by_member_day: Counter[tuple[UUID, date]] = Counter()
        self.times: Counter[UUID] = Counter()

    def take(self, member_id: UUID, day: date, points: int) -> int | None:
        """What the caps leave of so many points (0 with a benefit), counted as given; None where they leave nothing."""
        terms = self.terms
        times = 1 if terms.first_purchase else terms.member_times
        if times is not None and self.times[member_id] >= times:
            return None
        if isinstance(terms.reward, BenefitReward):
            self.times[member_id] += 1
            return 0
        limits = (
            (terms.budget_points, 0 if self.left is None else (terms.budget_points or 0) - self.left),
            (terms.day_points, self.by_day[day]),
            (terms.member_points, self.by_member[member_id]),
            (terms.member_day_points, self.by_member_day[member_id, day]),
        )
        points = min([points, *(cap - used for cap, used in limits if cap is not None)])
        if points <= 0:
            return None
        self.left = None if self.left is None else self.left - points
        self.by_day[day] += points
        self.by_member[member_id] += points
        self.by_member_day[member_id, day] += points
        self.times[member_id] += 1
        return points
