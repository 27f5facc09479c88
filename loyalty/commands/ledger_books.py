"""What the books say: `tallystar ledger close|books|reconcile`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.books import (
    Expiring,
    Known,
    Liability,
    MonthlyFlow,
    Trial,
    liability_by_expiry,
    monthly_flow,
    trial_balance,
)
from ledger.books import liabilities as read_liabilities
from ledger.closing import Closing, close_books, roll_up_anew
from ledger.reconciliation import Reconciliation
from ledger.reconciliation import reconcile as reconcile_ledger
from ledger.units import get_unit
from loyalty.commands.layout import print_table
from loyalty.commands.progress import Counter
from loyalty.commands.running import (
    REFUSED,
    Opened,
    answer_json,
    json_option,
    programme_option,
    run,
    run_in_transaction,
)
from loyalty.kit.clock import last_moment_of_local_day
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import public_id
from loyalty.kit.programme import Programme, list_programmes
from loyalty.members.member import MEMBER_PREFIX

_MOST_SHOWN: Final = 50

unit_option = click.option("--unit", default="points", show_default=True, help="What is counted.")
known_option = click.option(
    "--known",
    type=click.Choice(["then", "now"]),
    default="now",
    show_default=True,
    help="As it was known then (what had been recorded) or is known now (what took effect).",
)


def parse_day(text: str, field: str) -> date:
    """A day of the calendar as it is written in ISO 8601. Raises InvalidInputError."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError("is not a day of the calendar, like 2026-03-31", field=field) from error


@click.command()
@click.option("--thorough", is_flag=True, help="Compare every account; the jobs do so once a day.")
@json_option
def close(*, thorough: bool, as_json: bool) -> None:
    """Add up what has moved since the books were closed last. The jobs do it every two minutes."""

    async def work(opened: Opened) -> Closing | None:
        return await close_books(opened.engine, thorough=thorough)

    closing = run(work)
    if as_json:
        answer_json({"closing": closing})
    elif closing is None:
        click.echo("Nothing has moved since the books were closed last.")
    else:
        click.echo(f"Closing {closing.number}: {closing.accounts:,} accounts, {closing.entries:,} entries.")


class BooksAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The books of one unit at a moment."""

    unit: str
    moment: datetime | None
    trial: list[Trial]
    owed: Liability
    expiring: list[Expiring]
    months: list[MonthlyFlow]


@click.command()
@programme_option
@unit_option
@click.option("--as-of", metavar="DAY", help="At the end of a local day, as 2026-03-31; otherwise now.")
@known_option
@json_option
def books(*, programme: str | None, unit: str, as_of: str | None, known: Known, as_json: bool) -> None:
    """Print the trial balance, what is owed to members, when it expires, and what came and went by month."""

    async def work(opened: Opened, connection: AsyncConnection) -> BooksAnswer:
        found = await opened.programme(connection, programme)
        await get_unit(connection, programme_id=found.id, code=unit)
        moment = last_moment_of_local_day(parse_day(as_of, "as_of"), found.time_zone) if as_of else None
        asked: dict[str, Any] = {"programme_id": found.id, "moment": moment, "known": known}
        owed = {each.unit: each for each in await read_liabilities(connection, **asked)}
        return BooksAnswer(
            unit=unit,
            moment=moment,
            trial=await trial_balance(connection, unit=unit, **asked),
            owed=owed.get(unit) or Liability(unit=unit, members=0, posted=0, pending=0, held=0, debt=0),
            expiring=await liability_by_expiry(connection, unit=unit, **asked),
            months=await monthly_flow(connection, unit=unit, **asked),
        )

    answer = run_in_transaction(work)
    if as_json:
        answer_json(answer)
        return
    print_table(("account", "balance"), [(line.account, line.balance) for line in answer.trial])
    click.echo()
    owed = answer.owed
    rows = [("spendable", owed.posted), ("pending", owed.pending), ("on hold", owed.held)]
    print_table(
        ("owed to members", "points"), [*rows, ("together", owed.owed_to_members), ("owed by members", owed.debt)]
    )
    click.echo()
    until = [(f"{each.month:%Y-%m}" if each.month else "never", each.amount) for each in answer.expiring]
    print_table(("expires", "points"), until)
    click.echo()
    print_table(
        ("month", "earned", "redeemed", "expired", "taken back", "by hand"),
        [
            (f"{each.month:%Y-%m}", each.earned, each.redeemed, each.expired, each.taken_back, each.adjusted)
            for each in answer.months
        ],
    )


@click.command()
@click.option("--mend", is_flag=True, help="Make the roll-ups that differ anew from the entries that are closed.")
@json_option
def reconcile(*, mend: bool, as_json: bool) -> None:
    """Add up entries, accounts, lots, holds and the roll-up, and name every difference.

    Exit code 1 where there is one. What differs in accounts, lots or holds is for `ledger verify` and `rebuild`.
    """

    async def work(opened: Opened) -> tuple[Reconciliation, dict[UUID, Programme]]:
        # One snapshot for all of it: postings go on meanwhile, and are not seen half.
        async with opened.engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            with Counter("entries") as counter:
                result = await reconcile_ledger(connection, progress=lambda found: counter.show(found.entries))
            programmes = {each.id: each for each in await list_programmes(connection)}
        if mend:
            wrong = {(each.programme_id, each.unit) for each in result.differences if each.member_id is None}
            for programme_id, unit in sorted(wrong):
                async with opened.engine.begin() as connection:
                    await roll_up_anew(connection, programme_id=programme_id, unit=unit)
        return result, programmes

    found, programmes = run(work)
    if as_json:
        answer_json(_reconciliation(found, programmes))
    else:
        _tell_reconciliation(found, programmes)
    if not found.agrees:
        raise click.exceptions.Exit(REFUSED)


def _code(programmes: dict[UUID, Programme], programme_id: UUID) -> str:
    return programmes[programme_id].code if programme_id in programmes else str(programme_id)


def _reconciliation(found: Reconciliation, programmes: dict[UUID, Programme]) -> dict[str, Any]:
    def told(each: Any) -> dict[str, Any]:
        fields: dict[str, Any] = msgspec.structs.asdict(each)
        fields["programme"] = _code(programmes, fields.pop("programme_id"))
        if fields.get("member_id") is not None:
            fields["member_id"] = public_id(MEMBER_PREFIX, fields["member_id"])
        return fields

    return {
        "agrees": found.agrees,
        "accounts": found.accounts,
        "entries": found.entries,
        "lines": [{**told(line), "agrees": line.agrees} for line in found.lines],
        "differences": [told(difference) for difference in found.differences],
    }


def _tell_reconciliation(found: Reconciliation, programmes: dict[UUID, Programme]) -> None:
    click.echo(f"{found.entries:,} entries of {found.accounts:,} accounts were added up.")
    print_table(
        ("programme", "unit", "points", "entries", "accounts", "lots, holds", "books", ""),
        [
            (
                _code(programmes, line.programme_id),
                *(line.unit, line.what, line.entries, line.accounts),
                *("-" if line.lots is None else line.lots, line.books, "" if line.agrees else "differs"),
            )
            for line in found.lines
        ],
    )
    for each in found.differences[:_MOST_SHOWN]:
        place = "" if each.member_id is None else f" {public_id(MEMBER_PREFIX, each.member_id)}"
        click.echo(f"  {_code(programmes, each.programme_id)} {each.unit}{place}: {each.problem}")
    if len(found.differences) > _MOST_SHOWN:
        click.echo(f"  and {len(found.differences) - _MOST_SHOWN:,} more; --json lists all")
    if found.agrees:
        click.echo("Everything agrees.")
