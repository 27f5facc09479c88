"""Our own issues, campaigns and benefits are measured like what a channel sent, from what happened to the benefits.

Every figure is worked out again in plain Python from the rows themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.campaigns.bonus.campaign import CAMPAIGN_PREFIX
from loyalty.campaigns.bonus.definition import BenefitReward, FixedBonus
from loyalty.campaigns.giving import find_audience
from loyalty.campaigns.holdout import define_holdout
from loyalty.effects.measuring import Effect, effect_of
from loyalty.effects.subjects import list_subjects
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.ids import new_id, public_id
from redemption.benefits.bulk import begin_issue, work_on_issue
from redemption.benefits.definition import DaysFromIssue, Definition, MoneyOff
from redemption.benefits.events import Doer
from redemption.benefits.templates import publish_definition
from redemption.benefits.using import Sale, give_back, lock, use
from redemption.benefits.wallet import mark_seen, wallet
from tests.db.campaigns.bonus.conftest import CampaignShop
from tests.db.campaigns.gifts import publish_gift
from tests.db.channels.orders.conftest import line, open_shop
from tests.db.plain_effects import Group, newcombe, welch

FIVE = Definition(
    name={"zh": "减五元", "en": "Five off"},
    gives=MoneyOff(amount_minor=500, currency="CNY"),
    validity=DaysFromIssue(days=7),
)


class Town:
    """A shop with thirty members, of whom some are held out of an issue, and of the others some use what they got."""

    def __init__(self, shop: CampaignShop, issue_id: UUID, members: list[UUID]) -> None:
        self.shop, self.connection = shop, shop.connection
        self.issue_id, self.members = issue_id, members

    async def use_one(self, member_id: UUID, *, clerk: str | None = None, returned: bool = False) -> None:
        benefit = (await wallet(self.connection, member_id=member_id))[0]
        now = utc_now()
        by = Doer(channel_id=self.shop.shop.channel.id, clerk=clerk)
        sale = Sale(holder_id=new_id(), by=by, amount_minor=500, currency="CNY", order_number="R")
        await lock(self.connection, benefit, sale, until=now + timedelta(minutes=5), now=now)
        asked: dict[str, Any] = {"member_id": member_id, "benefit_id": benefit.id, "sale": sale, "now": now}
        assert await use(self.connection, **asked)
        if returned:
            assert await give_back(self.connection, **asked)

    async def effect(self, subject_id: str) -> Effect:
        return await effect_of(self.connection, programme_id=self.shop.programme_id, campaign_id=subject_id)

    async def rows(self, query: str, **values: Any) -> list[Any]:
        return list(await self.connection.execute(text(query), values))


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring.generate()


@pytest.fixture
async def town(committed_engine: AsyncEngine, keyring: Keyring) -> AsyncIterator[Town]:
    async with committed_engine.begin() as connection:
        shop = CampaignShop(await open_shop(connection, keyring))
        members = [shop.shop.member_id, *[await shop.shop.join(f"m{number}") for number in range(29)]]
        mine: dict[str, Any] = {"programme_id": shop.programme_id, "actor": "ann"}
        await publish_definition(connection, **mine, code="five", definition=FIVE)
        issue = await begin_issue(
            connection, **mine, template_code="five", name="Spring", audience={"kind": "everybody"}, campaign="spring"
        )
        await define_holdout(
            connection, programme_id=shop.programme_id, campaign_id=issue.id, share_bp=3_000, defined_by="ann"
        )
    assert await work_on_issue(committed_engine, issue.id, find_audience=find_audience) is not None
    async with committed_engine.connect() as connection:
        shop.connection = shop.shop.connection = connection
        yield Town(shop, issue.id, members)
        await connection.rollback()


class Plain:
    """The rows as they are, and sums over them with nothing but Python."""

    def __init__(self) -> None:
        self.bought: dict[UUID, list[tuple[date, int, int]]] = defaultdict(list)
        self.used: dict[UUID, list[tuple[date, str | None]]] = defaultdict(list)
        self.steps: dict[str, set[UUID]] = defaultdict(set)
        self.given: set[UUID] = set()
        self.held: set[UUID] = set()

    @classmethod
    async def read(cls, town: Town, subject_id: UUID, benefits: set[UUID]) -> Plain:
        plain = cls()
        for row in await town.rows("SELECT * FROM member_trade"):
            plain.bought[row.member_id].append((row.day, row.orders, row.amount_minor))
        for row in await town.rows("SELECT * FROM benefit_event ORDER BY at, id"):
            if row.benefit_id not in benefits:
                continue
            plain.steps[row.kind].add(row.benefit_id)
            if row.kind == "issued":
                plain.given.add(row.member_id)
            elif row.kind == "used":
                plain.used[row.member_id].append((row.at.astimezone(town.shop.shop.programme.zone).date(), row.clerk))
            elif row.kind == "returned":
                plain.used[row.member_id].pop()
        held = await town.rows("SELECT member_id FROM held_out WHERE campaign_id = :id", id=subject_id)
        plain.held = {row.member_id for row in held}
        return plain

    def group(self, members: set[UUID]) -> Group:
        group = Group()
        for member_id in members:
            group.spent.append(sum(amount for _, _, amount in self.bought[member_id]))
            group.orders.append(sum(orders for _, orders, _ in self.bought[member_id]))
        return group

    def with_use(self) -> int:
        return sum(
            amount
            for member_id in self.given
            for day, _, amount in self.bought[member_id]
            if day in {used for used, _ in self.used[member_id]}
        )


def assert_equal(effect: Effect, plain: Plain, exposed: set[UUID], control: set[UUID]) -> None:
    one, other = plain.group(exposed), plain.group(control)
    for sample, orders, group in (
        (effect.exposed, effect.exposed_orders, one),
        (effect.control, effect.control_orders, other),
    ):
        assert (sample.members, sample.buyers, orders) == (len(group.spent), group.buyers, sum(group.orders))
        assert (sample.total_minor, sample.squares) == (sum(group.spent), sum(each * each for each in group.spent))
    assert effect.revenue_with_minor == plain.with_use()
    assert effect.revenue_with_minor + effect.revenue_without_minor == effect.exposed.total_minor
    for found, worked_out in ((effect.spending, welch(one, other)), (effect.buying, newcombe(one, other))):
        assert found is not None
        assert (found.estimate, found.low, found.high) == pytest.approx(worked_out, rel=1e-6)


async def test_an_issue_is_measured_against_who_was_held_out_of_it(town: Town) -> None:
    benefits = {row.id for row in await town.rows("SELECT id FROM benefit")}
    plain = await Plain.read(town, town.issue_id, benefits)
    given = sorted(plain.given)
    assert plain.given | plain.held == set(town.members)
    assert plain.held, "of two dozen members at least one is held out"
    assert given
    for member_id in given[:9]:
        await mark_seen(town.connection, member_id=member_id)
    for place, member_id in enumerate(given[:5]):
        await town.use_one(member_id, clerk="li" if place % 2 else "wu", returned=place == 3)
    for place, member_id in enumerate((*given[:12], *sorted(plain.held)[:2])):
        await town.shop.order(f"o{place}", line(1, 1_000 + 137 * place), member_id=member_id)
    await town.shop.shop.refund("r", "o1", 400, refunded_at=utc_now())

    plain = await Plain.read(town, town.issue_id, benefits)
    effect = await town.effect(public_id("iss", town.issue_id))
    assert (effect.held_out, effect.currency, effect.campaign.code) == (True, "CNY", "Spring")
    assert_equal(effect, plain, plain.given, plain.held)
    assert {step.step: step.benefits for step in effect.steps} == {
        kind: len(plain.steps[kind]) for kind in ("issued", "seen", "locked", "used", "returned")
    }
    assert [(step.benefits, step.members) for step in effect.steps[1:]] == [(9, 9), (5, 5), (5, 5), (1, 1)]
    uses = [clerk for used in plain.used.values() for _, clerk in used]
    assert (effect.uses, effect.used, effect.discount_minor) == (4, 4, 4 * 500)
    assert {part.name: part.uses for part in effect.clerks} == {clerk: uses.count(clerk) for clerk in ("wu", "li")}
    assert [(part.name, part.uses) for part in effect.stores] == [("online", 4)]
    points = await town.rows("SELECT member_id, sum(points - taken_back) AS n FROM order_earning GROUP BY member_id")
    assert effect.points == sum(row.n for row in points if row.member_id in plain.given)

    (template,) = {row.template_id for row in await town.rows("SELECT template_id FROM benefit")}
    whole = await town.effect(public_id("bnt", template))
    assert not whole.held_out  # whoever else there is, and the page says so
    assert_equal(whole, plain, plain.given, set(town.members) - plain.given)
    assert whole.steps == effect.steps


async def test_earn_campaigns_are_measured_by_whom_they_gave_something(town: Town) -> None:
    await publish_gift(town.connection, town.shop.programme_id, cost_minor=1_200)
    points = await town.shop.run(FixedBonus(points=30), holdout_bp=4_000)
    gifts = await town.shop.run(BenefitReward(template="gift"), minimum_minor=2_000, currency="CNY")
    for place, member_id in enumerate(town.members[:24]):
        await town.shop.order(f"o{place}", line(1, 1_500 + 100 * place), member_id=member_id)
    await town.shop.shop.refund("r", "o7", 2_200, refunded_at=utc_now())
    awards = await town.rows("SELECT member_id FROM earn_campaign_award WHERE campaign_id = :id", id=points.id)
    places = sorted({town.members.index(row.member_id) for row in awards} - {7})
    await town.shop.shop.refund("part", f"o{places[0]}", 600, refunded_at=utc_now())
    await town.shop.shop.refund("whole", f"o{places[1]}", 1_500 + 100 * places[1], refunded_at=utc_now())

    awarded = await town.rows("SELECT * FROM earn_campaign_award WHERE campaign_id = :id", id=points.id)
    plain = await Plain.read(town, points.id, set())
    effect = await town.effect(public_id(CAMPAIGN_PREFIX, points.id))
    given = {row.member_id for row in awarded}
    assert given | plain.held == set(town.members[:24])
    assert plain.held, "of two dozen members at least one is held out"
    assert given
    assert (effect.exposed.members, effect.control.members, effect.held_out) == (len(given), len(plain.held), True)
    assert effect.points == sum(row.points - row.taken_back for row in awarded)
    kept = [row for row in awarded if row.taken_back < row.points]
    assert len(places) - 1 <= len(kept) < len(awarded)  # a use whose points were all taken back is none
    assert effect.uses == effect.used == len(kept)
    assert effect.revenue_with_minor == effect.exposed.total_minor  # all they bought was on that day
    assert effect.steps == ()

    awarded = await town.rows("SELECT * FROM earn_campaign_award WHERE campaign_id = :id", id=gifts.id)
    effect = await town.effect(public_id(CAMPAIGN_PREFIX, gifts.id))
    assert [(step.step, step.benefits) for step in effect.steps][:2] == [("issued", len(awarded)), ("seen", 0)]
    assert (effect.points, effect.uses, effect.discount_minor) == (0, 0, None)

    listed = await list_subjects(town.connection, programme_id=town.shop.programme_id)
    assert sorted(subject.source for subject in listed) == ["benefit", "benefit", "earn", "earn", "issue"]
    for subject in listed:
        measured = await town.effect(subject.public_id)
        assert measured.campaign == subject
