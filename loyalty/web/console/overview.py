"""The overview: how many members, what is owed to them, what came and went, and what wants a look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.books import Liability, MonthlyFlow, liabilities, monthly_flow
from ledger.reading import recent
from loyalty.channels.orders.summary import Sales, sales_since
from loyalty.items.products import LocalText, list_products
from loyalty.items.trace.alerts import Alert, count_open, list_alerts
from loyalty.kit.clock import add_months, local_date, utc_now
from loyalty.members.profile import read_profiles
from loyalty.members.reading import ChannelCount, MemberCounts, count_by_channel, count_members
from loyalty.web.charts import Flow, flow_chart
from loyalty.web.console.desk import Places, console_page, read_places, words
from loyalty.web.console.entries import Told, tell
from loyalty.web.console.regions import region_name
from loyalty.web.i18n import Formats, Translator
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from redemption.money_off import RedemptionPolicy, worth_minor
from redemption.policies import list_policies
from redemption.summary import Redeemed, redeemed_since
from tiers.reading import TierCount, count_by_tier

DAYS: Final = 30
MONTHS: Final = 12
_ACTIVITY: Final = 12
_ALERTS: Final = 6


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """What the points that members hold are worth at a redemption rate."""

    currency: str
    amount_minor: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """What the first page of the console shows. `flow` has all of the last twelve months, oldest first."""

    counts: MemberCounts
    by_channel: list[ChannelCount]
    by_tier: list[TierCount]
    points: Liability
    worth: list[Worth]
    flow: list[MonthlyFlow]
    sales: list[Sales]
    redeemed: list[Redeemed]
    alerts: list[Alert]
    open_alerts: int
    products: dict[str, LocalText]
    activity: list[Told]
    names: dict[UUID, str]
    places: Places

    @property
    def most_in_a_tier(self) -> int:
        """The members of the fullest tier, at least 1: what a bar of the picture is measured against."""
        return max([1, *(count.members for count in self.by_tier)])


@get("/")
async def show_overview(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The overview of the programme."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        t, formats = words(request, desk)
        view = await _read(connection, services, desk, t)
    return console_page(
        request,
        "console/overview.html",
        desk,
        section="overview",
        view=view,
        names=view.products,
        region_name=lambda code: region_name(t, code),
        days=DAYS,
        flow_chart=draw_flow(view.flow, t, formats),
    )


async def _read(connection: AsyncConnection, services: Services, desk: Desk, t: Translator) -> Overview:
    now, programme = utc_now(), desk.programme
    since = now - timedelta(days=DAYS)
    programme_id = programme.id
    counts = await count_members(connection, programme_id=programme_id)
    owed = {each.unit: each for each in await liabilities(connection, programme_id=programme_id)}
    points = owed.get("points") or Liability(unit="points", members=0, posted=0, pending=0, held=0, debt=0)
    places = await read_places(connection, desk, t)
    entries = await recent(connection, programme_id=programme_id, limit=_ACTIVITY)
    profiles = await read_profiles(connection, services.keyring, {entry.member_id for entry in entries})
    flow = await monthly_flow(connection, programme_id=programme_id, months=MONTHS)
    return Overview(
        counts=counts,
        by_channel=await count_by_channel(connection, programme_id=programme_id),
        by_tier=await count_by_tier(connection, programme_id=programme_id, member_count=counts.active, moment=now),
        points=points,
        worth=worth_of(points, await list_policies(connection, programme_id=programme_id), programme.currency),
        flow=every_month(flow, local_date(now, programme.time_zone)),
        sales=await sales_since(connection, programme_id=programme_id, since=since),
        redeemed=await redeemed_since(connection, programme_id=programme_id, since=since),
        alerts=await list_alerts(connection, programme_id=programme_id, limit=_ALERTS),
        open_alerts=await count_open(connection, programme_id=programme_id),
        products={
            each.gtin: each.names for each in await list_products(connection, programme_id=programme_id, limit=500)
        },
        activity=tell(entries, t, channels=places.by_code),
        names={member_id: profile.display_name for member_id, profile in profiles.items()},
        places=places,
    )


def worth_of(points: Liability, policies: Sequence[RedemptionPolicy], currency: str) -> list[Worth]:
    """What all points are worth in each currency that they can be redeemed in, the programme's own first."""
    worth = [
        Worth(currency=policy.currency, amount_minor=worth_minor(policy, points.owed_to_members)) for policy in policies
    ]
    return sorted(worth, key=lambda each: (each.currency != currency, each.currency))


def every_month(flow: Sequence[MonthlyFlow], today: date) -> list[MonthlyFlow]:
    """The last twelve months with those in which nothing happened."""
    known = {each.month: each for each in flow}
    months = [add_months(today.replace(day=1), back - MONTHS + 1) for back in range(MONTHS)]
    return [
        known.get(month) or MonthlyFlow(month=month, earned=0, redeemed=0, expired=0, taken_back=0, adjusted=0)
        for month in months
    ]


def inward(month: MonthlyFlow) -> int:
    """Points that members got in a month, by purchases or by hand."""
    return month.earned + max(month.adjusted, 0)


def outward(month: MonthlyFlow) -> int:
    """Points that left members in a month: redeemed, expired, taken back. Never below nothing."""
    return max(0, month.redeemed + month.expired + month.taken_back + max(-month.adjusted, 0))


def draw_flow(flow: Sequence[MonthlyFlow], t: Translator, formats: Formats) -> Markup:
    """The chart of points in and out."""
    return flow_chart(
        [Flow(label=formats.short_month(each.month), inward=inward(each), outward=outward(each)) for each in flow],
        title=t("console.flow.title"),
        description=t(
            "console.flow.description",
            inward=sum(inward(each) for each in flow),
            outward=sum(outward(each) for each in flow),
        ),
        inward_name=t("console.flow.in"),
        outward_name=t("console.flow.out"),
        number=formats.number,
    )
