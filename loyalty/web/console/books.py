"""The ledger page: the books of every unit, which sum to zero, and what is owed to members."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency

from ledger.books import Liability, MonthlyFlow, Trial, liabilities, monthly_flow, trial_balance
from ledger.units import Unit, list_units
from loyalty.kit.clock import local_date, utc_now
from loyalty.web.console.desk import console_page, words
from loyalty.web.console.entries import ACCOUNTS
from loyalty.web.console.overview import Worth, draw_flow, every_month, worth_of
from loyalty.web.i18n import Translator
from loyalty.web.staff.person import read_manager
from loyalty.web.state import Services
from redemption.policies import list_policies


class UnitBooks(msgspec.Struct, frozen=True, kw_only=True):
    """The books of one unit. `total` is the sum of the trial balance: zero, or something is badly wrong."""

    unit: Unit
    expiry: str
    trial: list[Trial]
    total: int
    owed: Liability
    worth: list[Worth]
    flow: list[MonthlyFlow]


@get("/ledger")
async def show_books(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The trial balance, the liability and the flow of every unit."""
    books: list[UnitBooks] = []
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        programme = desk.programme
        t, formats = words(request, desk)
        owed = {each.unit: each for each in await liabilities(connection, programme_id=programme.id)}
        policies = await list_policies(connection, programme_id=programme.id)
        today = local_date(utc_now(), programme.time_zone)
        for unit in await list_units(connection, programme_id=programme.id):
            trial = await trial_balance(connection, programme_id=programme.id, unit=unit.code)
            held = owed.get(unit.code) or Liability(unit=unit.code, members=0, posted=0, pending=0, held=0, debt=0)
            flow = await monthly_flow(connection, programme_id=programme.id, unit=unit.code)
            books.append(
                UnitBooks(
                    unit=unit,
                    expiry=expiry_words(unit, t),
                    trial=trial,
                    total=sum(line.balance for line in trial),
                    owed=held,
                    worth=worth_of(held, policies, programme.currency) if unit.code == "points" else [],
                    flow=every_month(flow, today),
                )
            )
    return console_page(
        request,
        "console/books.html",
        desk,
        section="ledger",
        books=books,
        accounts=ACCOUNTS,
        charts={each.unit.code: draw_flow(each.flow, t, formats) for each in books},
    )


def expiry_words(unit: Unit, t: Translator) -> str:
    """How points of a unit expire, in a sentence."""
    if unit.expiry_kind == "fixed_period":
        months, days = unit.expiry_months or 0, unit.expiry_days or 0
        return t("console.expiry.fixed_months", n=months) if months else t("console.expiry.fixed_days", n=days)
    if unit.expiry_kind == "yearly":
        return t("console.expiry.yearly", month=unit.expiry_month or 12, day=unit.expiry_day or 31)
    return t(f"console.expiry.{unit.expiry_kind}", n=unit.expiry_months or 0)
