"""Points in money: `tallystar ledger journal|deferred|accounting`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal, TextIO

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.books import Known
from ledger.journal import Money, documents, journal_csv, month_of
from ledger.units import get_unit
from loyalty.accounting.deferred import DeferralReport, DeferredRevenue, deferred_revenue
from loyalty.accounting.policy import AccountingPolicy, PointValue, publish_policy, read_policy, valuations
from loyalty.commands.layout import print_table
from loyalty.commands.ledger_books import known_option, parse_day, unit_option
from loyalty.commands.running import Opened, answer_json, json_option, programme_option, run_in_transaction
from loyalty.kit.clock import last_moment_of_local_day, local_date, utc_now
from loyalty.kit.currency import minor_digits
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import public_id
from loyalty.kit.programme import Programme
from loyalty.kit.rounding import half_up
from loyalty.members.member import MEMBER_PREFIX
from loyalty.web.i18n import Formats

_WHOLE_BP: Final = 10_000


@click.command()
@programme_option
@unit_option
@click.option("--month", metavar="MONTH", help="A month, as 2026-03; the present one unless days are given.")
@click.option("--from", "first", metavar="DAY", help="The first local day, as 2026-03-01.")
@click.option("--to", "last", metavar="DAY", help="The last local day.")
@click.option(
    "--by",
    type=click.Choice(["day", "entry"]),
    default="day",
    show_default=True,
    help="One document for what is alike on a day, or one for each entry.",
)
@click.option("--currency", metavar="CODE", help="Add amounts of money in a currency in which a point has a value.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A file; otherwise standard output.")
def journal(
    *,
    programme: str | None,
    unit: str,
    month: str | None,
    first: str | None,
    last: str | None,
    by: Literal["day", "entry"],
    currency: str | None,
    out: Path | None,
) -> None:
    """Write the journal of a period for a general ledger, as CSV: balanced documents under your account codes.

    Account codes are set by `tallystar ledger accounting`.
    """

    async def work(opened: Opened, connection: AsyncConnection) -> None:
        found = await opened.programme(connection, programme)
        await get_unit(connection, programme_id=found.id, code=unit)
        start, end = _period(found, month, first, last)
        policy = await read_policy(connection, programme_id=found.id, unit=unit)
        money = await _money(connection, found, policy, currency, end) if currency else None
        pieces = journal_csv(
            documents(
                connection,
                programme_id=found.id,
                unit=unit,
                first=start,
                last=end,
                by=by,
                name=lambda member_id: public_id(MEMBER_PREFIX, member_id),
            ),
            unit=unit,
            accounts=policy.accounts,
            money=money,
        )
        await _write(pieces, out)

    run_in_transaction(work)


async def _write(pieces: AsyncIterator[str], out: Path | None) -> None:
    file: TextIO = sys.stdout if out is None else out.open("w", encoding="utf-8", newline="")
    try:
        async for piece in pieces:
            file.write(piece)
    finally:
        if out is not None:
            file.close()


def _period(programme: Programme, month: str | None, first: str | None, last: str | None) -> tuple[date, date]:
    if first or last:
        if month or not (first and last):
            raise InvalidInputError("give a month, or both days", field="from")
        start, end = parse_day(first, "from"), parse_day(last, "to")
        if end < start:
            raise InvalidInputError("the last day is before the first", field="to")
        return start, end
    return month_of(parse_day(f"{month}-01", "month") if month else local_date(utc_now(), programme.time_zone))


async def _money(
    connection: AsyncConnection, programme: Programme, policy: AccountingPolicy, currency: str, last: date
) -> Money:
    values = await valuations(connection, programme_id=programme.id, policy=policy)
    if currency not in values:
        message = f"nobody said what a point is worth in {currency[:20]}: tallystar ledger accounting --value"
        raise InvalidInputError(message, field="currency")
    value = values[currency].at(last_moment_of_local_day(last, programme.time_zone))
    return Money(currency=currency, digits=minor_digits(currency), value_per_point=value)


@click.command()
@programme_option
@unit_option
@click.option("--month", metavar="MONTH", help="A month, as 2026-03, up to its end; otherwise the present one, so far.")
@known_option
@json_option
def deferred(*, programme: str | None, unit: str, month: str | None, known: Known, as_json: bool) -> None:
    """Print the revenue that waits for points to be used (IFRS 15), by the month of the purchases."""

    async def work(opened: Opened, connection: AsyncConnection) -> tuple[Programme, DeferralReport]:
        found = await opened.programme(connection, programme)
        last = month_of(parse_day(f"{month}-01", "month"))[1] if month else None
        return found, await deferred_revenue(connection, found, unit=unit, last=last, known=known)

    found, report = run_in_transaction(work)
    if as_json:
        answer_json(_deferral(report))
    else:
        _tell_deferral(report, Formats("en", found.zone))


def _deferral(report: DeferralReport) -> dict[str, Any]:
    """Amounts are exact fractions of minor units, as text: `8842297/1000`."""
    return {
        "unit": report.unit,
        "first": report.first,
        "last": report.last,
        "left": report.left,
        "expected_breakage": str(report.expected_breakage),
        "unvalued": report.unvalued,
        "ages": report.ages,
        "revenue": [
            {
                "currency": each.currency,
                "total": _fractions(each.total),
                "cohorts": [
                    {
                        "month": cohort.deferral.month,
                        "price_minor": cohort.sales.amount_minor,
                        "earned": cohort.estimate.cohort.earned,
                        "used": cohort.estimate.cohort.used,
                        "expired": cohort.estimate.cohort.expired,
                        "expected_used": str(cohort.estimate.expected_used),
                        "allocated": str(cohort.deferral.allocated),
                        "recognised": str(cohort.deferral.recognised),
                        "breakage": str(cohort.deferral.breakage),
                        **_fractions(cohort.movement),
                    }
                    for cohort in each.cohorts
                ],
            }
            for each in report.revenue
        ],
    }


def _fractions(struct: msgspec.Struct) -> dict[str, str]:
    return {name: str(value) for name, value in msgspec.structs.asdict(struct).items()}


def _tell_deferral(report: DeferralReport, formats: Formats) -> None:
    click.echo(f"{report.unit}, {report.first} to {report.last}")
    click.echo(
        f"{report.left:,} points are open; {half_up(report.expected_breakage):,} of them are not expected to be used."
    )
    for revenue in report.revenue:
        click.echo()
        _tell_currency(revenue, formats)
    if not report.revenue:
        click.echo("Nothing is deferred.")
    for currency in report.unvalued:
        click.echo(
            f"Nobody said what a point is worth in {currency}: tallystar ledger accounting --value {currency}=100/1"
        )


def _tell_currency(revenue: DeferredRevenue, formats: Formats) -> None:
    def money(amount: Fraction) -> str:
        return formats.money(half_up(amount), revenue.currency)

    def line(month: str, sales: str, share: str, moved: Any) -> tuple[str, ...]:
        amounts = (moved.opening, moved.added, moved.redeemed, moved.true_up, moved.closing)
        return (month, sales, share, *(money(amount) for amount in amounts))

    cohorts = [
        line(
            f"{each.deferral.month:%Y-%m}",
            formats.money(each.sales.amount_minor, revenue.currency),
            formats.percent(half_up(each.estimate.used_share * _WHOLE_BP)),
            each.movement,
        )
        for each in revenue.cohorts
    ]
    print_table(
        ("sold in", "for", "used in the end", "opening", "added", "redeemed", "true-up", "deferred"),
        [*cohorts, line("together", "", "", revenue.total)],
    )


@click.command()
@programme_option
@unit_option
@click.option(
    "--beyond-bp", type=int, help="What share of the points that outlive all experience is used, in 1/10,000."
)
@click.option("--value", "values", multiple=True, metavar="CUR=POINTS/MINOR", help="CNY=100/100: 100 points are ¥1.00.")
@click.option("--account", "accounts", multiple=True, metavar="CLASS=CODE", help="member=2310; CLASS= takes it away.")
@json_option
def accounting(
    *,
    programme: str | None,
    unit: str,
    beyond_bp: int | None,
    values: Sequence[str],
    accounts: Sequence[str],
    as_json: bool,
) -> None:
    """Show how points are accounted for, or publish a new version of it with what the options change."""

    async def work(opened: Opened, connection: AsyncConnection) -> AccountingPolicy:
        found = await opened.programme(connection, programme)
        policy = await read_policy(connection, programme_id=found.id, unit=unit)
        if beyond_bp is None and not values and not accounts:
            return policy
        codes = policy.accounts | dict(_pair(text, "account") for text in accounts)
        changed = AccountingPolicy(
            beyond_bp=policy.beyond_bp if beyond_bp is None else beyond_bp,
            values=policy.values | dict(_value(text) for text in values),
            accounts={name: code for name, code in codes.items() if code},
        )
        await publish_policy(
            connection, programme_id=found.id, unit=unit, policy=changed, published_by="tallystar ledger accounting"
        )
        return changed

    policy = run_in_transaction(work)
    if as_json:
        answer_json(policy)
        return
    click.echo(f"Of the points that outlive all experience, {policy.beyond_bp / 100:g} % are expected to be used.")
    for currency, value in policy.values.items():
        click.echo(f"{value.points:,} {unit} are worth {value.amount_minor:,} minor units of {currency}.")
    for name, code in policy.accounts.items():
        click.echo(f"{name} is booked on {code}.")


def _pair(text: str, field: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or not name:
        message = f"{text!r} is not of the form NAME=VALUE"
        raise InvalidInputError(message, field=field)
    return name, value


def _value(text: str) -> tuple[str, PointValue]:
    currency, value = _pair(text, "value")
    points, _, amount = value.partition("/")
    if not (points.isdecimal() and amount.isdecimal()):
        raise InvalidInputError("is POINTS/MINOR, such as 100/100", field="value")
    return currency, PointValue(points=int(points), amount_minor=int(amount))
