"""Reports: the books of the programme."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Struct

from ledger.books import liabilities, monthly_flow, trial_balance
from loyalty.web.api.operations import Require, problems, tell
from loyalty.web.api.points import Unit
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

MAX_MONTHS: Final = 120


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


@get(
    "/reports/trial-balance",
    operation_id="getTrialBalance",
    summary="Trial balance",
    guards=[Require("reports:read")],
    responses=problems(),
)
async def get_trial_balance(
    services: NamedDependency[Services], caller: NamedDependency[Caller], unit: Unit = "points"
) -> TrialBalance:
    """Every class of accounts with its balance; together they are zero."""
    async with services.transaction() as connection:
        lines = await trial_balance(connection, programme_id=caller.programme_id, unit=unit)
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
async def get_liability(services: NamedDependency[Services], caller: NamedDependency[Caller]) -> Liability:
    """Points that the programme may still have to honour, by unit."""
    async with services.transaction() as connection:
        lines = await liabilities(connection, programme_id=caller.programme_id)
    return Liability(data=[tell(LiabilityLine, line, spendable=line.posted) for line in lines])


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
) -> MonthlyFlow:
    """Points earned, redeemed, expired, taken back and adjusted, by month of the programme's time zone."""
    async with services.transaction() as connection:
        lines = await monthly_flow(
            connection,
            programme_id=caller.programme_id,
            unit=unit,
            months=months,
        )
    return MonthlyFlow(unit=unit, data=[tell(MonthLine, line) for line in lines])


router: Final = Router(path="/", tags=["Reports"], route_handlers=[get_trial_balance, get_liability, get_monthly_flow])
