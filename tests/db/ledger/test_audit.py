"""What is posted cannot be changed; what was changed all the same is found and named."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.audit import rebuild, verify
from ledger.errors import AppendOnlyError, refusal
from ledger.posting import confirm, reinstate
from ledger.record import FIELDS
from tests.db.ledger.conftest import A_DAY, NEW_YEAR, Book
from tests.roles import as_owner

EVERY_COLUMN = [name for name, _ in FIELDS if name not in ("member_id", "unit", "seq")]


async def busy(book: Book, member: UUID) -> None:
    """An account with every kind of entry."""
    twin = uuid4()
    await book.unit(reinstate_days=30)
    earned = await book.earn(member, 100, expires_at=NEW_YEAR + 40 * A_DAY, rule_version="v1")
    await book.earn(member, 30, expires_at=NEW_YEAR + A_DAY)
    waiting = await book.earn(member, 20, available_at=NEW_YEAR + 90 * A_DAY)
    spent = await book.spend(member, 50)
    held = await book.hold(member, 40, expires_at=NEW_YEAR + 2 * A_DAY)
    await book.capture(member, held.hold_id, 10)
    await book.release(member, held.hold_id, 5)
    await book.hold(member, 7, expires_at=NEW_YEAR + 50 * A_DAY)
    await book.reverse(member, spent.sequence, 40)
    await book.at(NEW_YEAR + 3 * A_DAY)
    await confirm(book.connection, member_id=member, sequence=waiting.sequence, key="confirm", source="test")
    expired = next(index for index, kind in enumerate(await book.kinds(member), 1) if kind[0] == "expire")
    await reinstate(
        book.connection, member_id=member, sequence=expired, amount=5, expires_at=None, key="back", source="test"
    )
    await book.adjust(member, 3)
    await book.reverse(member, earned.sequence, 20)
    await book.claw_back(member, 500)
    await book.earn(member, 900)
    await book.earn(twin, 60)
    await book.transfer(member, twin, 11)
    await book.merge(twin, member)
    await book.unmerge(twin, member)


async def snapshot(connection: AsyncConnection) -> list[list[tuple[object, ...]]]:
    queries = (
        "SELECT member_id, unit, programme_id, posted, pending, held, debt, seq, last_at, head FROM ledger.account",
        "SELECT * FROM ledger.lot",
        "SELECT * FROM ledger.hold",
    )
    return [sorted(tuple(row) for row in await connection.execute(text(query))) for query in queries]


async def test_a_rebuild_from_the_entries_gives_the_same_projections(book: Book, member: UUID) -> None:
    await busy(book, member)
    before = await snapshot(book.connection)
    async with as_owner(book.connection):
        assert await rebuild(book.connection) == 2
    assert await snapshot(book.connection) == before


async def test_a_wrong_projection_is_named_and_a_rebuild_mends_it(book: Book, member: UUID) -> None:
    await busy(book, member)
    async with as_owner(book.connection):
        await book.connection.execute(
            text("UPDATE ledger.account SET posted = posted + 1 WHERE member_id = :m"), {"m": member}
        )
        await book.connection.execute(
            text("UPDATE ledger.filed_lot SET remaining = remaining + 1, open = true WHERE member_id = :m"),
            {"m": member},
        )
    found = (await verify(book.connection)).findings
    assert {finding.member_id for finding in found} == {member}
    assert any("account.posted" in finding.problem for finding in found)
    assert any("remaining" in finding.problem for finding in found)
    async with as_owner(book.connection):
        await rebuild(book.connection)


@pytest.mark.parametrize("statement", ["UPDATE ledger.entry SET amount = 1", "DELETE FROM ledger.entry"])
async def test_even_the_owner_only_ever_adds_entries(book: Book, member: UUID, statement: str) -> None:
    await busy(book, member)
    with pytest.raises(DBAPIError) as refused:
        async with book.connection.begin_nested(), as_owner(book.connection):
            await book.connection.execute(text(statement))
    assert isinstance(refusal(refused.value.orig), AppendOnlyError)  # type: ignore[arg-type]


OTHER = {
    "uuid": "gen_random_uuid()",
    "text": "coalesce({column}, '') || '!'",
    "bigint": "coalesce({column}, 0) + 1",
    "integer": "coalesce({column}, 0) + 1",
    "boolean": "NOT {column}",
    "timestamp with time zone": "coalesce({column}, now()) + interval '1 microsecond'",
    "ARRAY": "{column}[1:1] || ({column}[2] + 1) || {column}[3:]",
    "bytea": "coalesce({column}, '') || '\\x00'",
}


@pytest.mark.parametrize("column", [*EVERY_COLUMN, "hash"])
async def test_one_change_in_any_column_of_an_old_entry_is_found(book: Book, member: UUID, column: str) -> None:
    await busy(book, member)
    kind = await book.connection.scalar(
        text(
            "SELECT data_type FROM information_schema.columns "
            "WHERE table_schema = 'ledger' AND table_name = 'entry' AND column_name = :column"
        ),
        {"column": column},
    )
    change = OTHER[str(kind)].format(column=column)
    async with book.connection.begin_nested() as forgery:
        async with as_owner(book.connection):
            await book.connection.execute(text("ALTER TABLE ledger.entry DISABLE TRIGGER USER"))
            await book.connection.execute(
                text(f"UPDATE ledger.entry SET {column} = {change} WHERE member_id = :m AND seq = 4"), {"m": member}
            )
        findings = (await verify(book.connection)).findings
        await forgery.rollback()
    assert [(finding.member_id, finding.sequence) for finding in findings if finding.sequence] == [(member, 4)]


async def test_a_removed_entry_is_found(book: Book, member: UUID) -> None:
    await busy(book, member)
    async with book.connection.begin_nested() as forgery:
        async with as_owner(book.connection):
            await book.connection.execute(text("ALTER TABLE ledger.entry DISABLE TRIGGER USER"))
            removal = text("DELETE FROM ledger.entry WHERE member_id = :m AND seq = 5")
            await book.connection.execute(removal, {"m": member})
        findings = (await verify(book.connection)).findings
        await forgery.rollback()
    assert [(finding.sequence, finding.problem) for finding in findings] == [(6, "entry 5 is missing before it")]
