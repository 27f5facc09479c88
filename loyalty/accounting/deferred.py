"""Deferred revenue: what was paid for points and has not been earned yet, by the month of the purchases (IFRS 15).

The ledger knows how many of a month's points were used, and what became of earlier months'; the channels know what the
purchases were paid; the policies know what a point is worth. `ledger/deferral.py` does the arithmetic. All points of a
month share its expectations; those that no purchase earned, such as a welcome gift, are spread over the purchases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.books import CohortFlow, Known, cohort_flows
from ledger.deferral import Deferral, Movement, defer, movement
from ledger.experience import Age, Estimate, estimate, observe
from ledger.units import get_unit
from loyalty.accounting.policy import WHOLE_BP, AccountingPolicy, Valuation, read_policy, valuations
from loyalty.channels.orders.summary import MonthlySales, sales_by_month
from loyalty.kit.clock import (
    add_months,
    end_of_month,
    last_moment_of_local_day,
    local_date,
    start_of_local_day,
    utc_now,
)
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.programme import Programme

_FIRST_DAY: Final = date(1970, 1, 1)


class DeferredCohort(msgspec.Struct, frozen=True, kw_only=True):
    """One month's purchases in one currency: what is deferred at the end of the period, and how it got there."""

    estimate: Estimate
    sales: MonthlySales
    value_per_point: Fraction
    deferral: Deferral
    movement: Movement


class DeferredRevenue(msgspec.Struct, frozen=True, kw_only=True):
    """The deferred revenue of one currency over a period, in minor units; cohorts oldest first."""

    currency: str
    cohorts: list[DeferredCohort]

    @property
    def total(self) -> Movement:
        """The movement of all cohorts together."""
        parts = [each.movement for each in self.cohorts]
        return Movement(
            opening=_sum(part.opening for part in parts),
            added=_sum(part.added for part in parts),
            redeemed=_sum(part.redeemed for part in parts),
            true_up=_sum(part.true_up for part in parts),
            closing=_sum(part.closing for part in parts),
        )

    @property
    def breakage(self) -> Fraction:
        """What of all revenue so far came from points that are not expected to be used."""
        return _sum(each.deferral.breakage for each in self.cohorts)


class DeferralReport(msgspec.Struct, frozen=True, kw_only=True):
    """Deferred revenue from the first day of a month to its last day or to one before it.

    `ages` is the experience that expectations rest on, of the months that were over by then. `estimates` are those of
    all cohorts that still have points. `unvalued` are currencies in which nobody said what a point is worth.
    """

    unit: str
    first: date
    last: date
    policy: AccountingPolicy
    ages: list[Age]
    estimates: list[Estimate]
    revenue: list[DeferredRevenue]
    unvalued: list[str]

    @property
    def left(self) -> int:
        """The points that are still open."""
        return sum(each.cohort.left for each in self.estimates)

    @property
    def expected_breakage(self) -> Fraction:
        """The open points that are not expected to be used."""
        return _sum(each.expected_breakage for each in self.estimates)


class _State(msgspec.Struct, frozen=True):
    """What was known at one moment."""

    estimates: dict[date, Estimate]
    sales: list[MonthlySales]
    points: dict[date, int]


def _sum(parts: Iterable[Fraction]) -> Fraction:
    return sum(parts, Fraction(0))


async def deferred_revenue(
    connection: AsyncConnection,
    programme: Programme,
    *,
    unit: str = "points",
    last: date | None = None,
    known: Known = "now",
) -> DeferralReport:
    """The report of the month that the local day `last` is in, up to its end; today's where no day is given.

    Expectations are those of the months that were over when the period ended: with the last day of a month, of that
    month too. Cohorts of which nothing is deferred any more, and was not when the period began, are left out.
    Raises InvalidInputError (last), NotFoundError (unit).
    """
    if last is not None and last < _FIRST_DAY:
        message = f"is before {_FIRST_DAY}"
        raise InvalidInputError(message, field="last")
    await get_unit(connection, programme_id=programme.id, code=unit)
    now = utc_now()
    today = local_date(now, programme.time_zone)
    day = min(last or today, today)
    first = day.replace(day=1)
    whole = day == end_of_month(day) and day < today
    month = add_months(first, 1) if whole else first
    closing = None if day == today else last_moment_of_local_day(day, programme.time_zone)
    opening = last_moment_of_local_day(first - timedelta(days=1), programme.time_zone)
    policy = await read_policy(connection, programme_id=programme.id, unit=unit)
    beyond = Fraction(policy.beyond_bp, WHOLE_BP)
    flows = await _flows(connection, programme, unit, closing, known)
    after = await _state(
        connection, programme, unit, closing or now, known, estimate(flows, month=month, beyond=beyond)
    )
    earlier = await _flows(connection, programme, unit, opening, known)
    before = await _state(connection, programme, unit, opening, known, estimate(earlier, month=first, beyond=beyond))
    values = await valuations(connection, programme_id=programme.id, policy=policy)
    return DeferralReport(
        unit=unit,
        first=first,
        last=day,
        policy=policy,
        ages=observe(flows, before=month),
        estimates=[each for each in after.estimates.values() if each.cohort.left],
        revenue=_by_currency(before, after, values, programme.time_zone),
        unvalued=sorted({sale.currency for sale in after.sales} - values.keys()),
    )


async def _flows(
    connection: AsyncConnection, programme: Programme, unit: str, moment: datetime | None, known: Known
) -> list[CohortFlow]:
    return await cohort_flows(connection, programme_id=programme.id, unit=unit, moment=moment, known=known)


async def _state(
    connection: AsyncConnection,
    programme: Programme,
    unit: str,
    moment: datetime,
    known: Known,
    estimates: Sequence[Estimate],
) -> _State:
    sales = await sales_by_month(
        connection, programme_id=programme.id, time_zone=programme.time_zone, moment=moment, known=known, unit=unit
    )
    points: dict[date, int] = {}
    for sale in sales:
        points[sale.month] = points.get(sale.month, 0) + sale.points
    return _State({each.cohort.month: each for each in estimates}, sales, points)


def _by_currency(
    before: _State, after: _State, values: Mapping[str, Valuation], time_zone: str
) -> list[DeferredRevenue]:
    opening = {(sale.month, sale.currency): sale for sale in before.sales}
    found: dict[str, list[DeferredCohort]] = {}
    for sale in after.sales:
        if sale.currency not in values or sale.month not in after.estimates:
            continue
        # What a point was worth when the month's points had been sold.
        value = values[sale.currency].at(start_of_local_day(add_months(sale.month, 1), time_zone))
        earlier = opening.get((sale.month, sale.currency))
        was = _defer(before, earlier, value) if earlier and sale.month in before.estimates else None
        deferral = _defer(after, sale, value)
        moved = movement(was, deferral)
        if any((moved.opening, moved.added, moved.revenue, moved.closing)):
            found.setdefault(sale.currency, []).append(
                DeferredCohort(
                    estimate=after.estimates[sale.month],
                    sales=sale,
                    value_per_point=value,
                    deferral=deferral,
                    movement=moved,
                )
            )
    return [DeferredRevenue(currency=currency, cohorts=found[currency]) for currency in sorted(found)]


def _defer(state: _State, sale: MonthlySales, value_per_point: Fraction) -> Deferral:
    estimate_of_month = state.estimates[sale.month]
    all_points = state.points[sale.month]
    part = Fraction(sale.points, all_points) if all_points > 0 else Fraction(0)
    return defer(
        estimate_of_month,
        price=Fraction(sale.amount_minor),
        points=estimate_of_month.cohort.earned * part,
        value_per_point=value_per_point,
    )
