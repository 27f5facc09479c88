"""What campaigns give for one purchase, before caps: pure and exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from loyalty.campaigns.bonus.definition import ONE_BP, BenefitReward, CampaignTerms, Multiplier
from loyalty.campaigns.earning import BasketLine
from loyalty.kit.apportion import apportion
from loyalty.kit.clock import local_date
from redemption.basket.eligibility import matching_lines, when_refused, where_refused


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign's version as published: it holds from `starts_at` until before `ends_at`."""

    campaign_id: UUID
    code: str
    version: int
    terms: CampaignTerms
    starts_at: datetime
    ends_at: datetime | None


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase as campaigns see it. `number` is the channel's own for it.

    `earned` is what the policy gave each line, by unit.

    `first` says whether the member had bought nothing before, `birthday` is None where it is not known, and `campaigns`
    are those whose segment and rule the member matches and from which they are not held out.
    """

    member_id: UUID
    order_id: UUID
    placed_at: datetime
    channel: str
    channel_kind: str
    currency: str
    lines: Sequence[BasketLine]
    earned: Mapping[str, Sequence[int]]
    campaigns: frozenset[UUID]
    first: bool = False
    birthday: date | None = None
    number: str = ""


class Bonus(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign gives for a purchase. `line_points` are the lines' shares, and sum to `points`.

    `template` is the code of the template where it gives a benefit; then there are no points.
    """

    published: Published
    points: int
    line_points: tuple[int, ...]
    template: str | None = None

    @property
    def gives(self) -> bool:
        """Whether it gives anything."""
        return self.points > 0 or self.template is not None

    def cut(self, points: int) -> Bonus:
        """The same bonus where a cap leaves fewer points."""
        return msgspec.structs.replace(self, points=points, line_points=tuple(apportion(points, self.line_points)))


def bonuses(campaigns: Sequence[Published], purchase: Purchase, *, time_zone: str) -> list[Bonus]:
    """What the campaigns give for a purchase, in the order in which they count: those of them that go together.

    Only `order_points` is applied of the caps. The order in which campaigns are given never matters.
    """
    offered = []
    for published in campaigns:
        if applies(published, purchase, time_zone=time_zone):
            bonus = _reward(published, purchase)
            if bonus.gives:
                offered.append(bonus)
    return together(offered)


def applies(published: Published, purchase: Purchase, *, time_zone: str) -> bool:
    """Whether a purchase is one of a campaign's, but for which lines match and what they cost."""
    terms, moment = published.terms, purchase.placed_at
    if purchase.campaigns.isdisjoint((published.campaign_id,)) or (terms.first_purchase and not purchase.first):
        return False
    if moment < published.starts_at or (published.ends_at is not None and moment >= published.ends_at):
        return False
    if terms.currency is not None and terms.currency != purchase.currency:
        return False
    day = local_date(moment, time_zone)
    if terms.double_days and day.day != day.month:
        return False
    if terms.birthday is not None and not celebrates(purchase.birthday, day, terms.birthday):
        return False
    refused = when_refused(terms.schedule, moment, time_zone) or where_refused(
        terms.places, purchase.channel, purchase.channel_kind, None
    )
    return refused is None


def celebrates(birthday: date | None, day: date, span: Literal["day", "week", "month"]) -> bool:
    """Whether a day is the birthday, in the calendar week (from Monday) of it, or in its month."""
    if birthday is None:
        return False
    if span == "month":
        return day.month == birthday.month
    first = last = day
    if span == "week":
        first = day - timedelta(days=day.isoweekday() - 1)
        last = first + timedelta(days=6)
    return any(first <= _in_year(birthday, year) <= last for year in {first.year, last.year})


def _in_year(birthday: date, year: int) -> date:
    """The birthday in a year; 29 February is the 28th where there is none."""
    try:
        return birthday.replace(year=year)
    except ValueError:
        return birthday.replace(year=year, day=28)


def _reward(published: Published, purchase: Purchase) -> Bonus:
    terms = published.terms
    matching = set(matching_lines(terms.items, purchase.lines))
    paid = [line.amount_minor if place in matching else 0 for place, line in enumerate(purchase.lines)]
    if not matching or sum(paid) < terms.minimum_minor:
        return _nothing(published, paid)
    if isinstance(terms.reward, BenefitReward):
        return msgspec.structs.replace(_nothing(published, paid), template=terms.reward.template)
    if isinstance(terms.reward, Multiplier):
        earned = purchase.earned.get(terms.unit, [0] * len(paid))
        weights = [points if place in matching else 0 for place, points in enumerate(earned)]
        points = sum(weights) * (terms.reward.factor_bp - ONE_BP) // ONE_BP
    else:
        # For what was free the lines share evenly.
        weights = paid if any(paid) else [int(place in matching) for place in range(len(paid))]
        points = terms.reward.points
    if terms.order_points is not None:
        points = min(points, terms.order_points)
    shares = apportion(points, weights) if points else [0] * len(paid)
    return Bonus(published=published, points=points, line_points=tuple(shares))


def _nothing(published: Published, paid: Sequence[int]) -> Bonus:
    return Bonus(published=published, points=0, line_points=(0,) * len(paid))


def together(offered: Sequence[Bonus]) -> list[Bonus]:
    """Of bonuses that apply each alone, those that apply together, in their order.

    By rising priority, then by the campaign's id. Of a group the first, or, where the first of them says so, the one
    that gives most points, whatever else there is. An exclusive campaign that comes first shuts out the others, and is
    shut out where another did.
    """
    in_order = sorted(offered, key=lambda bonus: (bonus.published.terms.stacking.priority, bonus.published.campaign_id))
    groups: dict[str, list[Bonus]] = {}
    for bonus in in_order:
        if bonus.published.terms.stacking.group is not None:
            groups.setdefault(bonus.published.terms.stacking.group, []).append(bonus)
    chosen = {
        group: max(members, key=lambda bonus: bonus.points)
        if members[0].published.terms.stacking.choice == "best"
        else members[0]
        for group, members in groups.items()
    }
    given: list[Bonus] = []
    shut = False
    for bonus in in_order:
        stacking = bonus.published.terms.stacking
        if shut or (stacking.exclusive and given):
            continue
        if stacking.group is not None and chosen[stacking.group] is not bonus:
            continue
        given.append(bonus)
        shut = stacking.exclusive
    return given
