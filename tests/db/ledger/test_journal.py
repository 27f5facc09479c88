"""The journal: balanced documents, by entry or by day, in the words and codes of a general ledger."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest

from ledger.books import trial_balance
from ledger.closing import close_books_on
from ledger.journal import Document, Money, documents, journal_csv, month_of
from tests.db.ledger.conftest import A_DAY, NEW_YEAR, Book

YUAN = Money(currency="CNY", digits=2, value_per_point=Fraction(1))


async def read(book: Book, *, by: Literal["day", "entry"] = "day", **fields: Any) -> list[dict[str, str]]:
    span = {"first": date(2026, 1, 1), "last": date(2026, 1, 31)} | {
        key: fields.pop(key) for key in ("first", "last") if key in fields
    }
    found = documents(
        book.connection, programme_id=book.programme_id, by=by, name=lambda member: member.hex[:4], **span
    )
    fields = {"unit": "points", "accounts": {}, **fields}
    text = "".join([piece async for piece in journal_csv(found, **fields)])
    return list(csv.DictReader(io.StringIO(text)))


async def trade(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 100)
    await book.earn(member, 60)
    await book.spend(member, 40)
    await book.at(NEW_YEAR + A_DAY)
    await book.spend(member, 10)


async def test_a_day_s_like_entries_are_one_document(book: Book, member: UUID) -> None:
    await trade(book, member)
    lines = await read(book)
    assert [tuple(line.values()) for line in lines] == [
        ("2026-01-01", "20260101-earn-issued-member", "earn (2)", "issued", "points", "160", ""),
        ("2026-01-01", "20260101-earn-issued-member", "earn (2)", "member", "points", "", "160"),
        ("2026-01-01", "20260101-spend-member-redeemed", "spend (1)", "member", "points", "40", ""),
        ("2026-01-01", "20260101-spend-member-redeemed", "spend (1)", "redeemed", "points", "", "40"),
        ("2026-01-02", "20260102-spend-member-redeemed", "spend (1)", "member", "points", "10", ""),
        ("2026-01-02", "20260102-spend-member-redeemed", "spend (1)", "redeemed", "points", "", "10"),
    ]


async def test_each_entry_can_be_a_document_that_names_its_member(book: Book, member: UUID) -> None:
    await trade(book, member)
    lines = await read(book, by="entry")
    assert [line["document"] for line in lines[::2]] == [f"{member.hex[:4]}-{number}" for number in range(1, 5)]
    assert [line["text"] for line in lines[::2]] == ["earn", "earn", "spend", "spend"]


@pytest.mark.parametrize("by", ["day", "entry"])
async def test_the_journal_adds_up_to_the_trial_balance_whatever_is_closed(
    book: Book, member: UUID, by: Literal["day", "entry"]
) -> None:
    await trade(book, member)
    await close_books_on(book.connection)
    await book.hold(member, 30, expires_at=NEW_YEAR + 3 * A_DAY)
    sums: Counter[str] = Counter()
    for line in await read(book, by=by):
        sums[line["account"]] += int(line["credit"] or 0) - int(line["debit"] or 0)
    trial = await trial_balance(book.connection, programme_id=book.programme_id)
    assert dict(sums) == {line.account: line.balance for line in trial}
    assert sum(sums.values()) == 0


async def test_codes_and_money_come_from_the_policy(book: Book, member: UUID) -> None:
    await trade(book, member)
    value = Money(currency="CNY", digits=2, value_per_point=Fraction(3, 8))
    lines = await read(book, accounts={"member": "2310", "redeemed": "4010"}, money=value)
    assert [(line["account"], line["debit_amount"], line["credit_amount"]) for line in lines[2:4]] == [
        ("2310", "0.15", ""),
        ("4010", "", "0.15"),
    ]
    assert (lines[4]["debit_amount"], lines[4]["currency"]) == ("0.04", "CNY")  # 3.75 fen, rounded half up


async def test_a_period_is_of_local_days_and_of_what_was_recorded_in_them(book: Book, member: UUID) -> None:
    await book.unit(time_zone="Asia/Shanghai")
    await book.at(NEW_YEAR + timedelta(hours=3, minutes=59))  # the last minute of 1 January in Shanghai
    await book.earn(member, 1)
    await book.at(NEW_YEAR + timedelta(hours=4))
    await book.earn(member, 2, effective_at=NEW_YEAR - 9 * A_DAY)
    for closed in range(2):
        first = await read(book, by="entry", last=date(2026, 1, 1))
        second = await read(book, first=date(2026, 1, 2))
        assert ([line["debit"] for line in first[::2]], [line["debit"] for line in second[::2]]) == (["1"], ["2"]), (
            closed
        )
        await close_books_on(book.connection)


async def test_it_comes_in_pieces(book: Book) -> None:
    async def many() -> AsyncIterator[Document]:
        for number in range(1_200):
            yield Document(
                day=date(2026, 1, 1), number=str(number), text="earn", debit="issued", credit="member", points=1
            )

    pieces = [piece async for piece in journal_csv(many(), unit="points", accounts={}, money=YUAN)]
    assert len(pieces) == 3
    assert sum(piece.count("\r\n") for piece in pieces) == 1 + 2 * 1_200
    await book.unit()
    await book.earn(uuid4(), 1)


@pytest.mark.parametrize(
    ("digits", "value", "points", "written"), [(0, 1, 7, "7"), (2, 1, 7, "0.07"), (3, 250, 9, "2.250")]
)
def test_amounts_have_the_currency_s_digits(digits: int, value: int, points: int, written: str) -> None:
    assert Money(currency="XXX", digits=digits, value_per_point=Fraction(value)).written(points) == written


def test_a_month_has_a_first_and_a_last_day() -> None:
    assert month_of(date(2024, 2, 17)) == (date(2024, 2, 1), date(2024, 2, 29))
