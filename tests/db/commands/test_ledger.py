from __future__ import annotations

import pytest

from tests.db.commands.conftest import Tallystar


@pytest.fixture
def books(tallystar: Tallystar) -> Tallystar:
    orders = tallystar.file(
        "o.csv", "order,time,customer,amount", "1,2024-01-01,9,10", "2,2024-01-02,9,20", "3,2024-01-03,8,5"
    )
    tallystar("import", "orders", orders, "--channel", "online")
    return tallystar


def test_right_books_verify(books: Tallystar) -> None:
    assert "The books balance" in books("ledger", "verify").stdout
    verified = books.json("ledger", "verify")
    assert (verified["passed"], verified["accounts"], verified["entries"], verified["findings"]) == (True, 2, 3, [])


def test_a_changed_entry_is_named(books: Tallystar) -> None:
    books.change("ALTER TABLE ledger.entry DISABLE TRIGGER USER")
    books.change("UPDATE ledger.entry SET amount = amount + 1 WHERE source = 'order:online/2'")
    verified = books.json("ledger", "verify", code=1)
    (finding,) = verified["findings"]
    assert finding["member_id"].startswith("mem_")
    assert (finding["unit"], finding["sequence"]) == ("points", 2)
    told = books("ledger", "verify", code=1).stdout
    assert f"{finding['member_id']} points, entry 2:" in told


def test_projections_are_rebuilt_from_the_entries(books: Tallystar) -> None:
    books.change("UPDATE ledger.account SET posted = posted + 1000")
    assert "its balances, lots or holds" in books("ledger", "verify", code=1).stdout
    assert books.json("ledger", "rebuild") == {"accounts": 2}
    books("ledger", "verify")


def test_a_sweep_answers_what_it_did(books: Tallystar) -> None:
    assert books.json("ledger", "sweep") == {"accounts": 0, "entries": 0}
