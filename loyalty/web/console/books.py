"""The ledger page: the books of every unit now or at the end of a day, and the journal to take away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any, Final, Literal

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.response import Stream
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.books import (
    Expiring,
    Known,
    Liability,
    MonthlyFlow,
    Trial,
    liabilities,
    liability_by_expiry,
    monthly_flow,
    trial_balance,
)
from ledger.journal import Money, documents, journal_csv, month_of
from ledger.units import Unit, get_unit, list_units
from loyalty.accounting.deferred import DeferralReport, deferred_revenue
from loyalty.accounting.policy import read_policy, valuations
from loyalty.kit.clock import last_moment_of_local_day, local_date, utc_now
from loyalty.kit.currency import minor_digits
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import public_id
from loyalty.kit.programme import Programme
from loyalty.kit.rounding import half_up
from loyalty.members.member import MEMBER_PREFIX
from loyalty.web.charts import Column, column_chart
from loyalty.web.console.desk import console_page, words
from loyalty.web.console.entries import ACCOUNTS
from loyalty.web.console.overview import Worth, draw_flow, every_month, worth_of
from loyalty.web.i18n import Formats, Translator
from loyalty.web.staff.person import read_manager
from loyalty.web.state import Services
from redemption.policies import list_policies

_WHOLE_BP: Final = 10_000
_FIRST_DAY: Final = date(1970, 1, 1)


class UnitBooks(msgspec.Struct, frozen=True, kw_only=True):
    """The books of one unit. `total` is the sum of the trial balance: zero, or something is badly wrong.

    `deferred` is there for points, which purchases earn and which are worth something.
    """

    unit: Unit
    expiry: str
    trial: list[Trial]
    total: int
    owed: Liability
    worth: list[Worth]
    expiring: list[Expiring]
    flow: list[MonthlyFlow]
    deferred: DeferralReport | None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which day's end the page is about; None is the present. `known`: as it was known then, or is now."""

    day: date | None
    known: Known
    today: date

    @property
    def month(self) -> str:
        """The month of that day, as a form writes it."""
        return f"{self.day or self.today:%Y-%m}"

    def moment(self, programme: Programme) -> datetime | None:
        """The last moment of that day."""
        return None if self.day is None else last_moment_of_local_day(self.day, programme.time_zone)


@get("/ledger")
async def show_books(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The trial balance, the liability, its expiry, the flow and the deferred revenue of every unit."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        t, formats = words(request, desk)
        asked = _asked(request, desk.programme)
        books = await _read(connection, desk.programme, asked, t)
        policy = await read_policy(connection, programme_id=desk.programme.id)
        values = await valuations(connection, programme_id=desk.programme.id, policy=policy)
    return console_page(
        request,
        "console/books.html",
        desk,
        section="ledger",
        books=books,
        asked=asked,
        accounts=ACCOUNTS,
        currencies=sorted(values),
        whole=half_up,
        bp=_basis_points,
        charts={each.unit.code: draw_flow(each.flow, t, formats) for each in books},
        expiry_charts={each.unit.code: _draw_expiry(each.expiring, t, formats) for each in books if each.expiring},
    )


def _asked(request: Request[Any, Any, Any], programme: Programme) -> Asked:
    today = local_date(utc_now(), programme.time_zone)
    day = _day(request.query_params.get("day") or "", "day")
    known: Known = "then" if request.query_params.get("known") == "then" else "now"
    return Asked(day=None if day is None or day >= today else day, known=known, today=today)


def _day(text: str, field: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError("is not a day of the calendar", field=field) from error
    if day < _FIRST_DAY:
        message = f"is before {_FIRST_DAY}"
        raise InvalidInputError(message, field=field)
    return day


async def _read(connection: AsyncConnection, programme: Programme, asked: Asked, t: Translator) -> list[UnitBooks]:
    past: dict[str, Any] = {
        "programme_id": programme.id,
        "moment": asked.moment(programme),
        "known": asked.known,
    }
    owed = {each.unit: each for each in await liabilities(connection, **past)}
    policies = await list_policies(connection, programme_id=programme.id)
    books = []
    for unit in await list_units(connection, programme_id=programme.id):
        trial = await trial_balance(connection, unit=unit.code, **past)
        held = owed.get(unit.code) or Liability(unit=unit.code, members=0, posted=0, pending=0, held=0, debt=0)
        flow = await monthly_flow(connection, unit=unit.code, **past)
        deferred = None
        if unit.code == "points":
            deferred = await deferred_revenue(connection, programme, last=asked.day, known=asked.known)
        books.append(
            UnitBooks(
                unit=unit,
                expiry=expiry_words(unit, t),
                trial=trial,
                total=sum(line.balance for line in trial),
                owed=held,
                worth=worth_of(held, policies, programme.currency) if unit.code == "points" else [],
                expiring=await liability_by_expiry(connection, unit=unit.code, **past),
                flow=every_month(flow, asked.day or asked.today),
                deferred=deferred,
            )
        )
    return books


def _draw_expiry(expiring: Sequence[Expiring], t: Translator, formats: Formats) -> Markup:
    columns = [
        Column(label=formats.short_month(each.month) if each.month else t("books.never"), value=each.amount)
        for each in expiring
    ]
    return column_chart(
        columns,
        title=t("books.expiry"),
        description=t("books.expiry_say", n=sum(each.amount for each in expiring)),
        number=formats.number,
    )


def _basis_points(share: Fraction) -> int:
    return half_up(share * _WHOLE_BP)


@get("/ledger/journal.csv")
async def take_journal(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Stream:
    """The journal of a month for a general ledger, as a file."""
    query = request.query_params
    unit = query.get("unit") or "points"
    by: Literal["day", "entry"] = "entry" if query.get("by") == "entry" else "day"
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        programme = desk.programme
        await get_unit(connection, programme_id=programme.id, code=unit)
        day = _day(f"{query['month']}-01" if query.get("month") else "", "month")
        first, last = month_of(day or local_date(utc_now(), programme.time_zone))
        policy = await read_policy(connection, programme_id=programme.id, unit=unit)
        currency, money = query.get("currency") or "", None
        if currency:
            values = await valuations(connection, programme_id=programme.id, policy=policy)
            if currency not in values:
                raise InvalidInputError("nobody said what a point is worth in it", field="currency")
            value = values[currency].at(last_moment_of_local_day(last, programme.time_zone))
            money = Money(currency=currency, digits=minor_digits(currency), value_per_point=value)

    async def pieces() -> AsyncIterator[str]:
        async with services.transaction() as own:
            found = documents(
                own,
                programme_id=programme.id,
                unit=unit,
                first=first,
                last=last,
                by=by,
                name=lambda member_id: public_id(MEMBER_PREFIX, member_id),
            )
            async for piece in journal_csv(found, unit=unit, accounts=policy.accounts, money=money):
                yield piece

    name = f"journal-{programme.code}-{unit}-{first:%Y-%m}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Stream(pieces(), media_type="text/csv", headers=headers)


def expiry_words(unit: Unit, t: Translator) -> str:
    """How points of a unit expire, in a sentence."""
    if unit.expiry_kind == "fixed_period":
        months, days = unit.expiry_months or 0, unit.expiry_days or 0
        return t("console.expiry.fixed_months", n=months) if months else t("console.expiry.fixed_days", n=days)
    if unit.expiry_kind == "yearly":
        return t("console.expiry.yearly", month=unit.expiry_month or 12, day=unit.expiry_day or 31)
    return t(f"console.expiry.{unit.expiry_kind}", n=unit.expiry_months or 0)
