"""Whatever says what the entries add up to must say the same; where it does not, the difference is named."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from ledger import reconciliation
from ledger.closing import close_books_on, roll_up_anew
from ledger.reconciliation import Reconciliation, reconcile
from tests.db.ledger.conftest import A_DAY, NEW_YEAR, Book
from tests.roles import as_owner


async def busy(book: Book, member: UUID) -> None:
    """Spendable, pending and held points of one member, another's debt, all of it closed but the last."""
    await book.unit()
    debtor = uuid4()
    await book.earn(member, 100, expires_at=NEW_YEAR + 90 * A_DAY)
    await book.earn(member, 20, available_at=NEW_YEAR + 9 * A_DAY)
    await book.hold(member, 30, expires_at=NEW_YEAR + A_DAY)
    await book.claw_back(debtor, 7)
    await close_books_on(book.connection)
    await book.spend(member, 5)


async def tamper(book: Book, *statements: str) -> Reconciliation:
    """What is found after the owner's statements, which are undone again."""
    async with book.connection.begin_nested() as forgery:
        async with as_owner(book.connection):
            for table in ("entry", "closed_head"):
                await book.connection.execute(text(f"ALTER TABLE ledger.{table} DISABLE TRIGGER USER"))
            for statement in statements:
                await book.connection.execute(text(statement))
        found = await reconcile(book.connection)
        await forgery.rollback()
    return found


async def test_what_agrees_is_shown_side_by_side(book: Book, member: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "BATCH_ACCOUNTS", 1)
    await busy(book, member)
    found = await reconcile(book.connection)
    assert found.agrees
    assert (found.accounts, found.entries, found.differences) == (2, 5, [])
    assert [(line.what, line.entries, line.accounts, line.lots, line.books) for line in found.lines] == [
        ("spendable", 65, 65, 65, 65),
        ("pending", 20, 20, 20, 20),
        ("held", 30, 30, 30, 30),
        ("debt", 7, 7, None, 7),
    ]


TAMPERED = {
    "an account": (
        "UPDATE ledger.account SET posted = posted + 1 WHERE member_id = '{m}'",
        "spendable: the account says 66, its entries 65",
    ),
    "a debt": ("UPDATE ledger.account SET debt = debt + 1 WHERE debt > 0", "debt: the account says 8, its entries 7"),
    "a lot": (
        "UPDATE ledger.filed_lot SET remaining = remaining + 3 WHERE member_id = '{m}' AND pending",
        "pending: its lots say 23, its entries 20",
    ),
    "a hold": ("UPDATE ledger.hold SET released = 2 WHERE member_id = '{m}'", "held: its holds say 28, its entries 30"),
    "an account's row": ("DELETE FROM ledger.account WHERE member_id = '{m}'", "there are entries and no account"),
    "the last entry": (
        "DELETE FROM ledger.entry WHERE member_id = '{m}' AND seq = 4",
        "the account's last entry is 4, and that of the entries is 3",
    ),
    "an entry in between": (
        "DELETE FROM ledger.entry WHERE member_id = '{m}' AND seq = 2",
        "the last entry has the number 4, and there are 3",
    ),
    "a head": (
        "UPDATE ledger.closed_head SET head = 'x' WHERE member_id = '{m}'",
        "a closed head is not the hash of its entry",
    ),
    "a closing": (
        "UPDATE ledger.closed_head SET seq = 9 WHERE member_id = '{m}'",
        "it was closed at entry 9, and its last entry is 4",
    ),
    "an account closed twice": (
        "INSERT INTO ledger.closed_head SELECT member_id, unit, 99, seq, head FROM ledger.closed_head",
        "it was closed more than once at one entry",
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_a_difference_is_named_with_its_account(book: Book, member: UUID, what: str) -> None:
    await busy(book, member)
    statement, problem = TAMPERED[what]
    found = await tamper(book, statement.format(m=member))
    assert not found.agrees
    named = [each for each in found.differences if each.problem == problem]
    assert len(named) >= 1
    if "debt" not in what:
        assert member in {each.member_id for each in named}


async def test_an_account_that_the_closings_missed_is_named(book: Book, member: UUID) -> None:
    await busy(book, member)
    late = "UPDATE ledger.closing SET complete_until = '2030-01-01'"
    disable = "ALTER TABLE ledger.closing DISABLE TRIGGER USER"
    missed = await tamper(book, disable, f"DELETE FROM ledger.closed_head WHERE member_id = '{member}'", late)
    assert any("entries after 0 were missed" in each.problem for each in missed.differences)


async def test_a_wrong_roll_up_is_named_by_day_and_kind_and_mended(book: Book, member: UUID) -> None:
    await busy(book, member)
    async with as_owner(book.connection):
        await book.connection.execute(text("UPDATE ledger.flow SET amount = amount + 1 WHERE kind = 'hold'"))
    found = await reconcile(book.connection)
    (difference,) = found.differences
    assert difference.problem == (
        "the roll-up of 2026-01-01 (in effect 2026-01-01, points of 2026-01-01, expiring 2026-04-01), hold from member "
        "to held, has 31 points in 1 entries of 0 new accounts; closed entries add up to 30 in 1 of 0"
    )
    assert [line.what for line in found.lines if not line.agrees] == ["spendable", "held"]
    await roll_up_anew(book.connection, programme_id=book.programme_id, unit="points")
    assert (await reconcile(book.connection)).agrees
