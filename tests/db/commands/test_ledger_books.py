"""What the books say, at the command line: three orders of 2024, which earned 35 points."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.db.commands.conftest import Tallystar


@pytest.fixture
def books(tallystar: Tallystar) -> Tallystar:
    orders = tallystar.file(
        "o.csv", "order,time,customer,amount", "1,2024-01-01,9,10", "2,2024-02-02,9,20", "3,2024-02-03,8,5"
    )
    tallystar("import", "orders", orders, "--channel", "online")
    return tallystar


def test_books_are_closed_once(books: Tallystar) -> None:
    closing = books.json("ledger", "close")["closing"]
    assert (closing["number"], closing["accounts"], closing["entries"]) == (1, 2, 3)
    assert books.json("ledger", "close", "--thorough") == {"closing": None}
    assert "Nothing has moved" in books("ledger", "close").stdout


def test_the_books_are_read_now_and_as_of_a_day(books: Tallystar) -> None:
    now = books.json("ledger", "books")
    assert {line["account"]: line["balance"] for line in now["trial"]} == {"issued": -35, "member": 35}
    assert (now["owed"]["posted"], now["owed"]["members"]) == (35, 2)
    assert sum(each["amount"] for each in now["expiring"]) == 35
    past = books.json("ledger", "books", "--as-of", "2024-01-31")
    assert {line["account"]: line["balance"] for line in past["trial"]} == {"issued": -10, "member": 10}
    then = books.json("ledger", "books", "--as-of", "2024-01-31", "--known", "then")
    assert then["trial"] == []
    told = books("ledger", "books", "--as-of", "2024-02-29").stdout
    assert "together             35" in told
    assert "2024-02" in told


def test_a_day_that_is_none_is_refused(books: Tallystar) -> None:
    assert "as-of: is not a day" in books("ledger", "books", "--as-of", "2024-02-30", code=1).output


def test_what_agrees_is_reconciled(books: Tallystar) -> None:
    books("ledger", "close")
    told = books("ledger", "reconcile").stdout
    assert "3 entries of 2 accounts were added up." in told
    assert "Everything agrees." in told


def test_differences_are_named_and_wrong_roll_ups_made_anew(books: Tallystar) -> None:
    books("ledger", "close")
    books.change("UPDATE ledger.flow SET amount = amount + 1 WHERE effective_day = '2024-01-01'")
    found = books.json("ledger", "reconcile", code=1)
    (difference,) = found["differences"]
    assert (difference["programme"], difference["unit"], difference["member_id"]) == ("brand", "points", None)
    assert "the roll-up of" in difference["problem"]
    assert [line["what"] for line in found["lines"] if not line["agrees"]] == ["spendable"]
    books("ledger", "reconcile", "--mend", code=1)
    books("ledger", "reconcile")
    books.change("UPDATE ledger.account SET posted = posted + 7")
    told = books("ledger", "reconcile", code=1).stdout
    assert "mem_" in told
    assert "spendable: the account says" in told


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_journal_is_written_under_ones_own_codes(books: Tallystar) -> None:
    policy = books.json(
        "ledger", "accounting", "--account", "member=2310", "--account", "issued=6010", "--value", "GBP=10/25"
    )
    assert policy["accounts"] == {"member": "2310", "issued": "6010"}
    first = lines(books("ledger", "journal", "--currency", "GBP").stdout)
    assert [(line["account"], line["debit"], line["credit_amount"]) for line in first] == [
        ("6010", "35", ""),
        ("2310", "", "0.88"),
    ]
    books("ledger", "journal", "--by", "entry", "--out", "journal.csv")
    written = lines(Path("journal.csv").read_text())
    assert len(written) == 6
    assert all(line["document"].startswith("mem_") for line in written)
    assert lines(books("ledger", "journal", "--month", "2024-01").stdout) == []  # nothing was recorded then


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("journal", "--currency", "JPY"), "currency"),
        (("journal", "--from", "2024-01-01"), "from"),
        (("journal", "--from", "2024-02-01", "--to", "2024-01-01"), "to"),
        (("journal", "--month", "2024-13"), "month"),
        (("accounting", "--value", "GBP"), "value"),
        (("accounting", "--value", "GBP=1"), "value"),
        (("accounting", "--account", "cash=1"), "accounts"),
        (("books", "--unit", "stars"), "unit"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(books: Tallystar, words: tuple[str, ...], field: str) -> None:
    assert f"Error: {field}: " in books("ledger", *words, code=1).output


def test_deferred_revenue_is_told_by_month(books: Tallystar) -> None:
    """Nothing was used and nothing is known: all points will be, and their value waits for that."""
    books("ledger", "accounting", "--value", "CNY=1/10", "--beyond-bp", "5000")
    report = json.loads(books("ledger", "deferred", "--month", "2024-02", "--json").stdout)
    (revenue,) = report["revenue"]
    january, february = revenue["cohorts"]
    assert (january["month"], january["price_minor"], january["earned"]) == ("2024-01-01", 1_000, 10)
    assert january["allocated"] == "1000/21"  # 1,000 fen x 50 / (1,000 + 10 points x 10 fen x 1/2)
    assert (february["opening"], february["closing"]) == ("0", "2500/21")
    assert report["expected_breakage"] == "35/2"
    told = books("ledger", "deferred", "--month", "2024-02").stdout
    assert "35 points are open; 18 of them are not expected to be used." in told
    assert "¥1.67" in told
