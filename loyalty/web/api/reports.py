"""Reports: the books of the programme, now or at any past moment."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Struct

from ledger.books import liabilities, liability_by_expiry, monthly_flow, trial_balance
from loyalty.accounting.deferred import DeferralReport, DeferredCohort, deferred_revenue
from loyalty.kit.rounding import half_up
from loyalty.web.api.operations import Require, problems, tell
from loyalty.web.api.points import Unit
from loyalty.web.requests import MOMENT_PATTERN, read_moment
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

MAX_MONTHS: Final = 120
_WHOLE_BP: Final = 10_000

Past = Annotated[
    str | None,
    QueryParameter(
        format="date-time",
        pattern=MOMENT_PATTERN,
        description="A moment, RFC 3339 with its offset; the present where it is left out.",
    ),
]
Known = Annotated[
    Literal["then", "now"],
    QueryParameter(description="`then`: what had been recorded by the moment. `now`: what took effect by it."),
]


class TrialLine(Struct, frozen=True, kw_only=True):
    """One class of accounts: credits less debits, in points."""

    account: str
    balance: int


class TrialBalance(Struct, frozen=True, kw_only=True):
    """Every class of accounts of a unit. `sum` is 0, because every entry is balanced."""

    unit: str
    sum: int
    data: list[TrialLine]


class LiabilityLine(Struct, frozen=True, kw_only=True):
    """What members hold of one unit, in points, and what they owe."""

    unit: str
    members: int
    spendable: int
    pending: int
    held: int
    debt: int
    owed_to_members: int


class Liability(Struct, frozen=True, kw_only=True):
    """What the programme owes its members, by unit."""

    data: list[LiabilityLine]


class ExpiryLine(Struct, frozen=True, kw_only=True):
    """What members hold that can be spent until the end of a month, its first day; null: points that never expire."""

    month: date | None
    amount: int


class Expiry(Struct, frozen=True, kw_only=True):
    """What the programme owes its members by the month of expiry, the soonest first."""

    unit: str
    data: list[ExpiryLine]


class MonthLine(Struct, frozen=True, kw_only=True):
    """Points in and out in one month of the programme's time zone; `month` is its first day."""

    month: date
    earned: int
    redeemed: int
    expired: int
    taken_back: int
    adjusted: int


class MonthlyFlow(Struct, frozen=True, kw_only=True):
    """Points in and out by month, oldest first; months without any are left out."""

    unit: str
    data: list[MonthLine]


class DeferredMovement(Struct, frozen=True, kw_only=True):
    """How deferred revenue came from the beginning of the period to its end, in minor units, each rounded half up.

    `redeemed` and `true_up` are revenue: for points used, and for expectations that changed.
    """

    opening_minor: int
    added_minor: int
    redeemed_minor: int
    true_up_minor: int
    closing_minor: int


class DeferredMonth(DeferredMovement, frozen=True, kw_only=True):
    """The purchases of one month in one currency, and what became of the points of that month.

    `expected_used_bp` is the share of the month's points that will have been used in the end, and
    `expected_at_sale_bp` the share that was expected when they were sold, by which their price was allocated.
    """

    month: date
    currency: str
    sales_minor: int
    earned: int
    used: int
    expired: int
    open: int
    expected_at_sale_bp: int
    expected_used_bp: int
    allocated_minor: int
    recognised_minor: int
    breakage_minor: int


class DeferredCurrency(DeferredMovement, frozen=True, kw_only=True):
    """All months together, in one currency."""

    currency: str


class Experience(Struct, frozen=True, kw_only=True):
    """What became of points so many months after the month in which they were earned, over all months."""

    age_months: int
    exposed: int
    used: int
    expired: int


class DeferredRevenue(Struct, frozen=True, kw_only=True):
    """Revenue that waits for points to be used (IFRS 15), for a month up to `last`, and what it rests on.

    `unvalued` are currencies in which nobody said what a point is worth.
    """

    unit: str
    first: date
    last: date
    open: int
    expected_breakage: int
    currencies: list[DeferredCurrency]
    months: list[DeferredMonth]
    experience: list[Experience]
    unvalued: list[str]


@get(
    "/reports/trial-balance",
    operation_id="getTrialBalance",
    summary="Trial balance",
    guards=[Require("reports:read")],
    responses=problems(),
)
async def get_trial_balance(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    unit: Unit = "points",
    moment: Past = None,
    known: Known = "now",
) -> TrialBalance:
    """Every class of accounts with its balance; together they are zero."""
    at = read_moment(moment, field="moment")
    async with services.transaction() as connection:
        lines = await trial_balance(connection, programme_id=caller.programme_id, unit=unit, moment=at, known=known)
    return TrialBalance(
        unit=unit, sum=sum(line.balance for line in lines), data=[tell(TrialLine, line) for line in lines]
    )


@get(
    "/reports/liability",
    operation_id="getLiability",
    summary="What is owed to members",
    guards=[Require("reports:read")],
    responses=problems(),
)
async def get_liability(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    moment: Past = None,
    known: Known = "now",
) -> Liability:
    """Points that the programme may still have to honour, by unit."""
    at = read_moment(moment, field="moment")
    async with services.transaction() as connection:
        lines = await liabilities(connection, programme_id=caller.programme_id, moment=at, known=known)
    return Liability(data=[tell(LiabilityLine, line, spendable=line.posted) for line in lines])


@get(
    "/reports/expiry",
    operation_id="getExpiry",
    summary="What is owed to members, by month of expiry",
    guards=[Require("reports:read")],
    responses=problems(),
)
async def get_expiry(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    unit: Unit = "points",
    moment: Past = None,
    known: Known = "now",
) -> Expiry:
    """Spendable, pending and held points by the month until whose end they can be spent."""
    at = read_moment(moment, field="moment")
    async with services.transaction() as connection:
        lines = await liability_by_expiry(
            connection, programme_id=caller.programme_id, unit=unit, moment=at, known=known
        )
    return Expiry(unit=unit, data=[tell(ExpiryLine, line) for line in lines])


@get(
    "/reports/monthly-flow",
    operation_id="getMonthlyFlow",
    summary="Points in and out by month",
    guards=[Require("reports:read")],
    responses=problems(),
)
async def get_monthly_flow(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    unit: Unit = "points",
    months: Annotated[int, QueryParameter(ge=1, le=MAX_MONTHS, description="How many months back.")] = 12,
    moment: Past = None,
    known: Known = "now",
) -> MonthlyFlow:
    """Points earned, redeemed, expired, taken back and adjusted, by month of the programme's time zone."""
    at = read_moment(moment, field="moment")
    async with services.transaction() as connection:
        lines = await monthly_flow(
            connection, programme_id=caller.programme_id, unit=unit, months=months, moment=at, known=known
        )
    return MonthlyFlow(unit=unit, data=[tell(MonthLine, line) for line in lines])


@get(
    "/reports/deferred-revenue",
    operation_id="getDeferredRevenue",
    summary="Deferred revenue of points",
    guards=[Require("reports:read")],
    responses=problems(404),
)
async def get_deferred_revenue(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    unit: Unit = "points",
    last: Annotated[
        date | None, QueryParameter(description="The last day of the period, which begins with its month; or today.")
    ] = None,
    known: Known = "now",
) -> DeferredRevenue:
    """What was paid for points that are still to be used, by the month of the purchases, as IFRS 15 has it."""
    async with services.transaction() as connection:
        report = await deferred_revenue(connection, caller.programme, unit=unit, last=last, known=known)
    return _deferred(report)


def _deferred(report: DeferralReport) -> DeferredRevenue:
    return DeferredRevenue(
        unit=report.unit,
        first=report.first,
        last=report.last,
        open=report.left,
        expected_breakage=half_up(report.expected_breakage),
        currencies=[DeferredCurrency(currency=revenue.currency, **_minor(revenue.total)) for revenue in report.revenue],
        months=[_month(cohort) for revenue in report.revenue for cohort in revenue.cohorts],
        experience=[
            Experience(age_months=age.age, exposed=age.exposed, used=age.used, expired=age.expired)
            for age in report.ages
        ],
        unvalued=report.unvalued,
    )


def _minor(amounts: Struct) -> dict[str, Any]:
    return {f"{name}_minor": half_up(amount) for name, amount in msgspec.structs.asdict(amounts).items()}


def _month(each: DeferredCohort) -> DeferredMonth:
    estimate, deferral = each.estimate, each.deferral
    return DeferredMonth(
        month=deferral.month,
        currency=each.sales.currency,
        sales_minor=each.sales.amount_minor,
        earned=estimate.cohort.earned,
        used=estimate.cohort.used,
        expired=estimate.cohort.expired,
        open=estimate.cohort.left,
        expected_at_sale_bp=_bp(estimate.share_at_sale),
        expected_used_bp=_bp(estimate.used_share),
        allocated_minor=half_up(deferral.allocated),
        recognised_minor=half_up(deferral.recognised),
        breakage_minor=half_up(deferral.breakage),
        **_minor(each.movement),
    )


def _bp(share: Fraction) -> int:
    return half_up(share * _WHOLE_BP)


router: Final = Router(
    path="/",
    tags=["Reports"],
    route_handlers=[get_trial_balance, get_liability, get_expiry, get_monthly_flow, get_deferred_revenue],
)
