"""Scans in numbers: by day, region, product and dealer, and what they bring: joins, claims, first purchases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.channels.recruiting import FunnelStep, recruiting_funnel
from loyalty.items.products import list_products
from loyalty.items.tables import code_range_table
from loyalty.items.trace.scan_days import ScanCount, Side, scans_by
from loyalty.kit.clock import local_date, utc_now
from loyalty.kit.ids import public_id
from loyalty.web.charts import Bar, Column, bar_chart, column_chart
from loyalty.web.console.desk import console_page, words
from loyalty.web.console.regions import region_name
from loyalty.web.i18n import Formats, Translator
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services

PERIODS: Final = (7, 30, 90, 365)
_MOST_BARS: Final = 12
_MOST_FUNNELS: Final = 20
_WEEKLY_FROM: Final = 100
"""From so many days on, columns are weeks: a day is too thin to be seen."""
_WEEK: Final = 7


class Period(msgspec.Struct, frozen=True):
    """Local days, ends included."""

    first: date
    last: date


@get("/scans")
async def show_scans(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Charts of a period: the last so many days, or from one day to another; of one product if asked."""
    asked = request.query_params
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        t, formats = words(request, desk)
        period = read_period(asked, local_date(utc_now(), desk.programme.time_zone))
        products = await list_products(connection, programme_id=desk.programme.id, limit=500)
        gtin = asked.get("gtin") if asked.get("gtin") in {product.gtin for product in products} else None
        counts = {
            side: await scans_by(
                connection, desk.programme, side, first_day=period.first, last_day=period.last, gtin=gtin
            )
            for side in _SIDES
        }
        funnels = {
            side: await recruiting_funnel(
                connection, desk.programme, side, first_day=period.first, last_day=period.last, gtin=gtin
            )
            for side in ("gtin", "origin_id")
        }
        orders = await _order_names(connection, desk, [step.value for step in funnels["origin_id"]])
    names = {product.gtin: product.names.within(t.language) for product in products}
    total = sum(each.scans for each in counts["day"])
    return console_page(
        request,
        "console/scans.html",
        desk,
        section="scans",
        period=period,
        periods=PERIODS,
        days=(period.last - period.first).days + 1,
        products=products,
        gtin=gtin,
        total=total,
        suspect=sum(each.suspect for each in counts["day"]),
        unplaced=sum(each.scans for each in counts["region"] if not each.value),
        proxy_tells=services.settings.region_header is not None,
        by_day=counts["day"],
        day_chart=draw_days(counts["day"], period, t, formats),
        bars={
            "region": [_bar(each, region_name(t, each.value) or t("scans.unknown_place")) for each in counts["region"]],
            "gtin": [_bar(each, names.get(each.value, each.value)) for each in counts["gtin"]],
            "dealer": [_bar(each, each.value or t("scans.no_dealer")) for each in counts["dealer"]],
            "verdict": [_bar(each, t(f"trace.verdict.{each.value}")) for each in counts["verdict"]],
        },
        most_bars=_MOST_BARS,
        funnel=_total(funnels["gtin"]),
        funnel_chart=draw_funnel(_total(funnels["gtin"]), t, formats),
        by_product=[(step, names.get(step.value, step.value), None) for step in funnels["gtin"][:_MOST_FUNNELS]],
        by_order=[(step, *orders.get(step.value, (step.value, None))) for step in funnels["origin_id"][:_MOST_FUNNELS]],
    )


_SIDES: Final[tuple[Side, ...]] = ("day", "region", "gtin", "dealer", "verdict")


def read_period(asked: Any, today: date) -> Period:
    """The period that was asked for; the last 30 days where that makes no sense."""
    last = _day(asked.get("to")) or today
    days = asked.get("days", "")
    if days.isascii() and days.isdecimal() and 1 <= int(days[:4]) <= PERIODS[-1]:
        return Period(today - timedelta(int(days[:4]) - 1), today)
    first = _day(asked.get("from"))
    if first is None or first > last or (last - first).days >= 2 * PERIODS[-1]:
        return Period(last - timedelta(29), last)
    return Period(first, last)


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


async def _order_names(
    connection: AsyncConnection, desk: Desk, origins: Sequence[str]
) -> dict[str, tuple[str, str | None]]:
    """What print orders are called, and where their pages are."""
    ranged = code_range_table.c
    wanted = [UUID(origin) for origin in origins]
    query = select(ranged.id, ranged.print_order).where(
        ranged.id.in_(wanted), ranged.programme_id == desk.programme.id, ranged.id == ranged.origin_id
    )
    return {
        str(row.id): (row.print_order, f"/console/codes/{public_id('rng', row.id)}")
        for row in await connection.execute(query)
    }


def _bar(count: ScanCount, label: str) -> Bar:
    return Bar(label=label, value=count.scans, part=count.suspect)


def _total(steps: Sequence[FunnelStep]) -> FunnelStep:
    return FunnelStep(
        value="",
        scans=sum(step.scans for step in steps),
        joins=sum(step.joins for step in steps),
        claims=sum(step.claims for step in steps),
        purchases=sum(step.purchases for step in steps),
    )


def draw_days(counts: Sequence[ScanCount], period: Period, t: Translator, formats: Formats) -> Any:
    """Columns by day, by week where there are many; days without a scan are there, too."""
    known = {each.value: each.scans for each in counts}
    days = [period.first + timedelta(n) for n in range((period.last - period.first).days + 1)]
    size = _WEEK if len(days) >= _WEEKLY_FROM else 1
    columns = [
        Column(
            label=formats.short_day(days[place]),
            value=sum(known.get(day.isoformat(), 0) for day in days[place : place + size]),
        )
        for place in range(0, len(days), size)
    ]
    return column_chart(
        columns,
        title=t("scans.by_week") if size > 1 else t("scans.by_day"),
        description=t("scans.description", n=sum(known.values())),
        number=formats.number,
    )


def draw_funnel(step: FunnelStep, t: Translator, formats: Formats) -> Any:
    """The four steps as bars, each with its share of the one before."""
    values = (("scans", step.scans), ("joins", step.joins), ("claims", step.claims), ("purchases", step.purchases))
    return bar_chart(
        [Bar(label=t(f"scans.step.{name}"), value=value) for name, value in values],
        title=t("scans.funnel"),
        description=t("scans.funnel_description", scans=step.scans, joins=step.joins, purchases=step.purchases),
        number=formats.number,
    )


HANDLERS: Final = (show_scans,)
