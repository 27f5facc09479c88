"""Giving what campaigns give for purchases that came in, up to what budgets and caps leave, exact to the unit.

Whoever calls holds the purchases' accounts (`ledger.holding`), before anything that counts was written. Then a member's
own counters are locked, in the order of members, then what limits benefits a member, and shared budgets and stock last,
in the order of campaigns: nobody waits for each other in a ring, and budgets are held for the shortest time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.awards import Award, award_many
from loyalty.campaigns.bonus.campaign import BUDGET
from loyalty.campaigns.bonus.computing import Bonus, Published, Purchase, bonuses
from loyalty.campaigns.bonus.definition import CampaignTerms
from loyalty.campaigns.bonus.tables import campaign_award_table, campaign_member_table
from loyalty.campaigns.holdout import Control, control_of, hold_out
from loyalty.kit.clock import local_date
from loyalty.kit.errors import ConflictError
from loyalty.kit.quotas import Key, quota_table, set_total, take_up_to
from loyalty.kit.quotas import give as give_back
from redemption.benefits.errors import MemberLimitError, OutOfBenefitsError
from redemption.benefits.issuing import hold_limits, issue_of
from redemption.benefits.templates import Template, list_templates
from redemption.benefits.wallet import Benefit


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign gave for an order, and how much of it was taken back since.

    `sequence` is the posting of the points; where a benefit was given instead there are none.
    """

    member_id: UUID
    order_id: UUID
    campaign_id: UUID
    version: int
    unit: str
    points: int
    line_points: Sequence[int]
    sequence: int | None
    taken_back: int = 0
    benefit_id: UUID | None = None


_Place: TypeAlias = tuple[UUID, UUID]
"""A member and a campaign."""


class _Wanted(msgspec.Struct, kw_only=True):
    """A bonus on its way through the caps."""

    purchase: Purchase
    bonus: Bonus
    day: date
    benefit: Benefit | None = None

    @property
    def terms(self) -> CampaignTerms:
        return self.bonus.published.terms

    @property
    def place(self) -> _Place:
        return self.purchase.member_id, self.bonus.published.campaign_id


async def give(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    time_zone: str,
    campaigns: Sequence[Published],
    purchases: Sequence[Purchase],
) -> list[Given]:
    """Give what campaigns give for new purchases, which come in the order of members and, of each, of time.

    Points are posted under the key `campaign:{campaign}:{order}` and pinned to the campaign's version; a benefit is
    issued under the same key. Where a cap or budget leaves less than a campaign would give, what is left is given;
    which of one campaign's purchases in one batch get it is decided in their order.
    """
    offers = await _offers(connection, programme_id, time_zone, campaigns, purchases)
    counters = await _lock_members(connection, programme_id, offers)
    wanted = _within_members(offers, counters)
    templates = await _templates(connection, programme_id, wanted)
    await hold_limits(
        connection,
        [(each.purchase.member_id, templates[code]) for each in wanted if (code := each.bonus.template) in templates],
    )
    wanted = await _within_budgets(connection, programme_id, wanted)
    wanted.sort(key=lambda each: each.purchase.member_id)
    wanted = await _issue(connection, wanted, templates)
    await _count_members(connection, wanted, counters)
    points = [each for each in wanted if each.bonus.points]
    awards = [_award(each) for each in points]
    posted_of: dict[str, int] = {}
    if awards:
        postings = await award_many(connection, programme_id=programme_id, awards=awards)
        posted_of = {award.key: posted.sequence for award, posted in zip(awards, postings, strict=True)}
    given = [
        Given(
            member_id=each.purchase.member_id,
            order_id=each.purchase.order_id,
            campaign_id=each.bonus.published.campaign_id,
            version=each.bonus.published.version,
            unit=each.terms.unit,
            points=each.bonus.points,
            line_points=each.bonus.line_points,
            sequence=posted_of.get(_key(each)),
            benefit_id=each.benefit.id if each.benefit is not None else None,
        )
        for each in wanted
    ]
    if given:
        rows = [
            _row(each) | {"programme_id": programme_id, "day": want.day}
            for each, want in zip(given, wanted, strict=True)
        ]
        await connection.execute(insert(campaign_award_table), rows)
    return given


def _award(wanted: _Wanted) -> Award:
    published = wanted.bonus.published
    return Award(
        member_id=wanted.purchase.member_id,
        unit=published.terms.unit,
        amount=wanted.bonus.points,
        key=_key(wanted),
        source=_source(wanted),
        effective_at=wanted.purchase.placed_at,
        rule_version=f"campaign/{published.code}/{published.version}",
    )


def _key(wanted: _Wanted) -> str:
    return f"campaign:{wanted.bonus.published.campaign_id}:{wanted.purchase.order_id}"


def _source(wanted: _Wanted) -> str:
    return f"campaign:{wanted.purchase.channel}/{wanted.purchase.number}"


async def _templates(
    connection: AsyncConnection, programme_id: UUID, wanted: Sequence[_Wanted]
) -> dict[str | None, Template]:
    """The templates of the benefits among what is wanted, by code; of one that was retired nothing is given."""
    codes = {each.bonus.template for each in wanted} - {None}
    if not codes:
        return {}
    found = await list_templates(connection, programme_id=programme_id, states=["published"])
    return {template.code: template for template in found if template.code in codes}


async def _issue(
    connection: AsyncConnection, wanted: Sequence[_Wanted], templates: Mapping[str | None, Template]
) -> list[_Wanted]:
    """Issue the benefits among what is wanted; where none can be had, nothing is given for that purchase."""
    given = []
    for each in wanted:
        template = templates.get(each.bonus.template)
        if template is not None:
            with suppress(MemberLimitError, OutOfBenefitsError):
                each.benefit = await issue_of(
                    connection,
                    template,
                    member_id=each.purchase.member_id,
                    key=_key(each),
                    source=_source(each),
                    campaign=each.bonus.published.code,
                )
        if each.bonus.points or each.benefit is not None:
            given.append(each)
    return given


def _row(given: Given) -> dict[str, Any]:
    values = msgspec.structs.asdict(given)
    values["ledger_sequence"] = values.pop("sequence")
    return values | {"line_points": list(given.line_points)}


async def _offers(
    connection: AsyncConnection,
    programme_id: UUID,
    time_zone: str,
    campaigns: Sequence[Published],
    purchases: Sequence[Purchase],
) -> list[_Wanted]:
    """What campaigns offer, but to those held out of them; that is recorded where they would have got something.

    Who is held out of one campaign may get another one that it would have shut out.
    """
    controls: dict[UUID, Control] = {}
    offers: list[_Wanted] = []
    for purchase in purchases:
        asked = purchase
        while True:
            offered = bonuses(campaigns, asked, time_zone=time_zone)
            held: set[UUID] = set()
            for bonus in offered:
                campaign_id = bonus.published.campaign_id
                if campaign_id not in controls:
                    controls[campaign_id] = await control_of(
                        connection, programme_id=programme_id, campaign_id=campaign_id
                    )
                if await hold_out(connection, controls[campaign_id], member_ids=[purchase.member_id]):
                    held.add(campaign_id)
            if not held:
                break
            asked = msgspec.structs.replace(asked, campaigns=asked.campaigns - held)
        day = local_date(purchase.placed_at, time_zone)
        offers += [_Wanted(purchase=purchase, bonus=bonus, day=day) for bonus in offered]
    return offers


_OPEN: Final = text("""
    INSERT INTO earn_campaign_member (member_id, campaign_id, programme_id, times, points, days)
    SELECT *, CAST(:programme AS uuid), 0, 0, '{}' FROM unnest(CAST(:members AS uuid[]), CAST(:campaigns AS uuid[]))
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING
""")


async def _lock_members(
    connection: AsyncConnection, programme_id: UUID, wanted: Sequence[_Wanted]
) -> dict[_Place, dict[str, Any]]:
    """What members who are limited got so far, locked."""
    limited = sorted({each.place for each in wanted if _limits(each)})
    if not limited:
        return {}
    members, campaigns = [list(each) for each in zip(*limited, strict=True)]
    await connection.execute(_OPEN, {"programme": programme_id, "members": members, "campaigns": campaigns})
    columns = campaign_member_table.c
    rows = await connection.execute(
        select(campaign_member_table)
        .where(columns.member_id.in_(members), columns.campaign_id.in_(campaigns))
        .order_by(columns.member_id, columns.campaign_id)
        .with_for_update()
    )
    return {
        (row.member_id, row.campaign_id): {"times": row.times, "points": row.points, "days": dict(row.days)}
        for row in rows
    }


def _within_members(wanted: Sequence[_Wanted], counters: Mapping[_Place, dict[str, Any]]) -> list[_Wanted]:
    """What members' own limits leave; each of a member's purchases counts before the next."""
    counting = {place: counter | {"days": dict(counter["days"])} for place, counter in counters.items()}
    left: list[_Wanted] = []
    for each in wanted:
        if not _limits(each):
            left.append(each)
            continue
        points = _allowed(each, counting[each.place])
        if points is not None:
            _add(counting[each.place], each.day, points)
            left.append(_cut(each, points))
    return left


def _add(counter: dict[str, Any], day: date, points: int) -> None:
    counter["times"] += 1
    counter["points"] += points
    counter["days"][day.isoformat()] = counter["days"].get(day.isoformat(), 0) + points


async def _count_members(
    connection: AsyncConnection, wanted: Sequence[_Wanted], counters: dict[_Place, dict[str, Any]]
) -> None:
    """Write down what members who are limited get now, after budgets."""
    columns = campaign_member_table.c
    for each in wanted:
        if _limits(each):
            _add(counters[each.place], each.day, each.bonus.points)
    for member_id, campaign_id in sorted({each.place for each in wanted if _limits(each)}):
        await connection.execute(
            update(campaign_member_table)
            .where(columns.member_id == member_id, columns.campaign_id == campaign_id)
            .values(counters[member_id, campaign_id])
        )


def _limits(wanted: _Wanted) -> bool:
    terms = wanted.terms
    caps = (terms.member_points, terms.member_day_points, terms.member_times)
    return terms.first_purchase or any(cap is not None for cap in caps)


def _allowed(wanted: _Wanted, counter: Mapping[str, Any]) -> int | None:
    """How many points a member's limits leave (0 for a benefit); None where they leave nothing."""
    terms, points = wanted.terms, wanted.bonus.points
    # A first purchase is one, also where an earlier one arrives late.
    times = 1 if terms.first_purchase else terms.member_times
    if times is not None and counter["times"] >= times:
        return None
    if wanted.bonus.template is not None:
        return 0
    if terms.member_points is not None:
        points = min(points, terms.member_points - counter["points"])
    if terms.member_day_points is not None:
        points = min(points, terms.member_day_points - counter["days"].get(wanted.day.isoformat(), 0))
    return points if points > 0 else None


def _cut(wanted: _Wanted, points: int) -> _Wanted:
    if points == wanted.bonus.points:
        return wanted
    return _Wanted(purchase=wanted.purchase, bonus=wanted.bonus.cut(points), day=wanted.day)


async def _within_budgets(connection: AsyncConnection, programme_id: UUID, wanted: Sequence[_Wanted]) -> list[_Wanted]:
    """What budgets leave: of each, the purchases are served in their order until nothing is left.

    A day's budget comes first, and gets back what the campaign's then does not leave.
    """
    within_days = await _take(connection, programme_id, wanted, of_day=True)
    within = await _take(connection, programme_id, within_days, of_day=False)
    back: Counter[Key] = Counter()
    for before, after in zip(within_days, within, strict=True):
        if (key := _budget(before, of_day=True)) is not None:
            back[key] += before.bonus.points - after.bonus.points
    await give_back(connection, back)
    return [each for each in within if each.bonus.gives]


async def _take(
    connection: AsyncConnection, programme_id: UUID, wanted: Sequence[_Wanted], *, of_day: bool
) -> list[_Wanted]:
    left = list(wanted)
    by_budget: dict[Key, list[int]] = {}
    for place, each in enumerate(wanted):
        if (key := _budget(each, of_day=of_day)) is not None:
            by_budget.setdefault(key, []).append(place)
    for key, places in sorted(by_budget.items()):
        if of_day:
            await _open_day(connection, programme_id, key, wanted[places[0]].terms.day_points or 0)
        taken = await take_up_to(connection, key, sum(wanted[place].bonus.points for place in places))
        for place in places:
            points = min(taken, wanted[place].bonus.points)
            taken -= points
            left[place] = _cut(wanted[place], points)
    return left


def _budget(wanted: _Wanted, *, of_day: bool) -> Key | None:
    campaign_id = wanted.bonus.published.campaign_id
    if of_day:
        return Key(campaign_id, f"{BUDGET}:{wanted.day}") if wanted.terms.day_points is not None else None
    return Key(campaign_id, BUDGET) if wanted.terms.budget_points is not None else None


async def _open_day(connection: AsyncConnection, programme_id: UUID, key: Key, total: int) -> None:
    """Make a day's budget at its first purchase; afterwards nothing but a look."""
    columns = quota_table.c
    known = select(columns.total).where(columns.owner_id == key.owner_id, columns.unit == key.unit)
    if await connection.scalar(known) != total:
        # Where another version allows less than the day had already, nothing is left and nothing is changed.
        with suppress(ConflictError):
            await set_total(connection, key, programme_id=programme_id, total=total)


async def given_for_orders(
    connection: AsyncConnection, *, member_ids: Collection[UUID], order_ids: Collection[UUID]
) -> list[Given]:
    """What campaigns gave for orders of members. Who takes back holds the order's lock, so that it stays as it is."""
    columns = campaign_award_table.c
    rows = await connection.execute(
        select(campaign_award_table)
        .where(columns.member_id.in_(member_ids), columns.order_id.in_(order_ids))
        .order_by(columns.order_id, columns.campaign_id)
    )
    return [
        Given(
            member_id=row.member_id,
            order_id=row.order_id,
            campaign_id=row.campaign_id,
            version=row.version,
            unit=row.unit,
            points=row.points,
            line_points=row.line_points,
            sequence=row.ledger_sequence,
            taken_back=row.taken_back,
            benefit_id=row.benefit_id,
        )
        for row in rows
    ]


async def add_taken_back(connection: AsyncConnection, given: Given, *, points: int) -> None:
    """Note that more of what a campaign gave was taken back. Its budget does not get it again."""
    columns = campaign_award_table.c
    await connection.execute(
        update(campaign_award_table)
        .where(
            columns.member_id == given.member_id,
            columns.order_id == given.order_id,
            columns.campaign_id == given.campaign_id,
        )
        .values(taken_back=columns.taken_back + points)
    )
