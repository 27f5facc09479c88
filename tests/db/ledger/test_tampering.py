"""Whoever owns the database changes the past in every way there is; each is found, and named."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.audit import Evidence, rebuild, verify
from ledger.closing import close_books_on
from ledger.record import COLUMNS, EntryRow, chain
from ledger.seal_audit import check_seals
from ledger.seal_files import SealFolder
from ledger.seal_keys import SigningKeys
from ledger.seals import Seal, SealError, make_seal
from ledger.streams import driver, rows
from tests.db.ledger.sealed_books import SealedBooks, sealed_books

ANOTHER = {
    "uuid": "overlay(coalesce({column}, gen_random_uuid())::text PLACING 'abcd' FROM 10)::uuid",
    "text": "coalesce({column}, '') || '!'",
    "bigint": "coalesce({column}, 0) + 1000",
    "integer": "coalesce({column}, 0) + 1",
    "boolean": "NOT {column}",
    "timestamp with time zone": "coalesce({column}, now()) + interval '1 microsecond'",
    "bytea": "CASE WHEN length({column}) > 0 THEN set_byte({column}, 5, get_byte({column}, 5) # 1) ELSE '\\x00' END",
    "ARRAY": "coalesce({column}, '{{}}') || 1::bigint",
}
TAKINGS = {
    "another amount": "amounts = amounts[1:1] || (amounts[2] + 1) || amounts[3:]",
    "another lot": "lots = (lots[1] + 1) || lots[2:]",
    "another order": "lots = ARRAY[lots[2], lots[1]]",
    "one less": "lots = lots[1:1], amounts = amounts[1:1]",
    "one more": "lots = lots || 1::bigint, amounts = amounts || 1::bigint",
    "none": "lots = NULL, amounts = NULL",
    "what no taking is": "lots = ARRAY[NULL, 1]::bigint[]",
    "arrays in arrays": "lots = ARRAY[[1, 2]]::bigint[]",
}
SPENT = 4
"""The entry of `busy` that took from two lots: a spend of 50 out of 30 and 100."""


@pytest.fixture(scope="module")
async def books(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SealedBooks]:
    async with sealed_books(module_database_url, tmp_path_factory.mktemp("home")) as filled:
        yield filled


async def test_what_nobody_touched_verifies(books: SealedBooks) -> None:
    async with books.tampered() as connection:
        verified = await books.verified(connection, books.folder.path)
    assert verified.findings == []
    assert (verified.accounts, verified.seals) == (3, 3)


async def another(connection: AsyncConnection, table: str, column: str) -> str:
    """An expression for another value of a column, one byte away where it has bytes."""
    kind = await connection.scalar(
        text(
            "SELECT data_type FROM information_schema.columns "
            "WHERE table_schema = 'ledger' AND table_name = :table AND column_name = :column"
        ),
        {"table": table, "column": column},
    )
    return ANOTHER[str(kind)].format(column=column)


@pytest.mark.parametrize("column", EntryRow._fields)
async def test_one_byte_in_any_column_of_an_old_entry(books: SealedBooks, column: str) -> None:
    async with books.tampered() as connection:
        change = await another(connection, "entry", column)
        await connection.execute(
            text(f"UPDATE ledger.entry SET {column} = {change} WHERE member_id = :ann AND seq = :spent"),
            {"ann": books.ann, "spent": SPENT},
        )
        found = [finding for finding in await books.findings(connection) if finding.member_id == books.ann]
    if column in ("member_id", "unit", "seq"):
        assert [(finding.sequence, finding.problem) for finding in found if finding.unit == "points"] == [
            (SPENT + 1, f"entry {SPENT} is missing before it")
        ]
    else:
        assert [(finding.unit, finding.sequence) for finding in found] == [("points", SPENT)]


@pytest.mark.parametrize("change", TAKINGS.values(), ids=TAKINGS)
async def test_a_change_of_what_an_entry_took(books: SealedBooks, change: str) -> None:
    statement = f"UPDATE ledger.entry SET {change} WHERE member_id = :ann AND seq = :spent"
    async with books.tampered(statement, ann=books.ann, spent=SPENT) as connection:
        found = await books.findings(connection)
    assert [(finding.member_id, finding.unit, finding.sequence) for finding in found] == [(books.ann, "points", SPENT)]


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "20000-01-01", "1000-01-01 BC"])
async def test_a_moment_that_python_has_no_name_for(books: SealedBooks, moment: str) -> None:
    statement = "UPDATE ledger.entry SET effective_at = CAST(:moment AS timestamptz) WHERE member_id = :ann AND seq = 2"
    async with books.tampered(statement, ann=books.ann, moment=moment) as connection:
        found = await books.findings(connection)
    assert [(finding.member_id, finding.sequence) for finding in found] == [(books.ann, 2)]


@pytest.mark.parametrize("column", ["member_id", "unit", "closing", "seq", "head"])
async def test_one_byte_in_a_closed_head(books: SealedBooks, column: str) -> None:
    async with books.tampered() as connection:
        change = await another(connection, "closed_head", column)
        await connection.execute(
            text(f"UPDATE ledger.closed_head SET {column} = {change} WHERE member_id = :bob AND closing = 2"),
            {"bob": books.bob},
        )
        found = await books.findings(connection)
    assert 2 in {finding.seal for finding in found}
    if column in ("seq", "head"):
        assert (books.bob, "points") in {(finding.member_id, finding.unit) for finding in found}


@pytest.mark.parametrize("column", ["number", "complete_until", "accounts", "entries"])
async def test_one_byte_in_a_closing(books: SealedBooks, column: str) -> None:
    async with books.tampered() as connection:
        await connection.execute(text("ALTER TABLE ledger.closing DROP CONSTRAINT closing_counts_check"))
        change = await another(connection, "closing", column)
        await connection.execute(text(f"UPDATE ledger.closing SET {column} = {change} WHERE number = 3"))
        found = await books.findings(connection)
    assert any("closing 3" in finding.problem or finding.seal == 2 for finding in found)


@pytest.mark.parametrize("seal", [1, 2, 3])
@pytest.mark.parametrize("column", Seal.__struct_fields__)
async def test_one_byte_in_any_column_of_a_seal(books: SealedBooks, column: str, seal: int) -> None:
    async with books.tampered() as connection:
        await connection.execute(text("ALTER TABLE ledger.seal DROP CONSTRAINT seal_closings_check"))
        change = await another(connection, "seal", column)
        await connection.execute(
            text(f"UPDATE ledger.seal SET {column} = {change} WHERE number = :seal"), {"seal": seal}
        )
        inside = await books.findings(connection)
        outside = await books.findings(connection, books.folder.path)
    assert seal in {finding.seal for finding in inside}
    assert (seal, books.folder.seal_name(seal)) in {(finding.seal, finding.file) for finding in outside}


async def test_a_seal_at_a_moment_that_python_has_no_name_for(books: SealedBooks) -> None:
    async with books.tampered("UPDATE ledger.seal SET sealed_at = 'infinity' WHERE number = 2") as connection:
        found = await books.findings(connection)
    assert 2 in {finding.seal for finding in found}


@pytest.mark.parametrize("seal", [1, 2, 3])
async def test_a_removed_seal(books: SealedBooks, seal: int) -> None:
    async with books.tampered("DELETE FROM ledger.seal WHERE number = :seal", seal=seal) as connection:
        inside = await books.findings(connection)
        outside = await books.findings(connection, books.folder.path)
    if seal < 3:  # the last one leaves no gap: only what is outside knows it
        assert (seal, "it is missing") in {(finding.seal, finding.problem) for finding in inside}
    assert (seal, books.folder.seal_name(seal), "the database does not know this seal") in {
        (finding.seal, finding.file, finding.problem) for finding in outside
    }


@pytest.fixture
def copy(books: SealedBooks, tmp_path: Path) -> SealFolder:
    """A copy of the folder of seals to spoil."""
    return SealFolder(Path(shutil.copytree(books.folder.path, tmp_path / "copy")))


async def outside_findings(books: SealedBooks, folder: SealFolder) -> set[tuple[int | None, str | None]]:
    async with books.tampered() as connection:
        checked = await check_seals(connection, keys=books.keys, folder=folder)
    assert all(finding.problem for finding in checked.findings)
    return {(finding.seal, finding.file) for finding in checked.findings}


@pytest.mark.parametrize("name", ["seal-000000001.json", "seal-000000002.json", "seal-000000003.json"])
async def test_one_byte_at_any_place_of_an_outside_seal(books: SealedBooks, copy: SealFolder, name: str) -> None:
    path = copy.path / name
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert (int(name[5:14]), name) in await outside_findings(books, copy), place


@pytest.mark.parametrize("name", ["seal-000000001.heads", "seal-000000002.heads", "seal-000000003.heads"])
async def test_one_byte_at_any_place_of_the_outside_heads(books: SealedBooks, copy: SealFolder, name: str) -> None:
    path = copy.path / name
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert await outside_findings(books, copy) == {(int(name[5:14]), name)}, place
    for cut in (1, 40, len(content)):
        path.write_bytes(content[:-cut])
        assert await outside_findings(books, copy) == {(int(name[5:14]), name)}, cut


@pytest.mark.parametrize("name", ["seal-000000002.json", "seal-000000002.heads"])
async def test_a_removed_file(books: SealedBooks, copy: SealFolder, name: str) -> None:
    (copy.path / name).unlink()
    assert (2, name) in await outside_findings(books, copy)


async def test_a_gap_of_any_width_is_said_at_once(books: SealedBooks, copy: SealFolder) -> None:
    (copy.path / "seal-000000001.json").unlink()
    (copy.path / "seal-000000001.heads").unlink()
    far = copy.path / "seal-900000000000000000.json"
    far.write_bytes(b"")
    assert await outside_findings(books, copy) >= {
        (1, "seal-000000001.json"),
        (4, "seal-000000004.json"),
        (900000000000000000, far.name),
    }


async def test_an_older_copy_of_the_folder_is_no_lie(books: SealedBooks, copy: SealFolder) -> None:
    for path in copy.path.glob("seal-000000003.*"):
        path.unlink()
    assert await outside_findings(books, copy) == set()


# What an attacker makes consistent.


async def cut_off(connection: AsyncConnection, books: SealedBooks, kept: int) -> None:
    """Bob's entries after `kept` never were: entries, projections, closings."""
    values = {"bob": books.bob, "kept": kept}
    await connection.execute(text("DELETE FROM ledger.entry WHERE member_id = :bob AND seq > :kept"), values)
    await cover_up(connection)


async def cover_up(connection: AsyncConnection) -> None:
    """Make projections follow from the entries as they are now, and close the books as if for the first time."""
    await rebuild(connection)
    for table in ("closed_head", "closing", "seal"):
        await connection.execute(text(f"DELETE FROM ledger.{table}"))
    await close_books_on(connection, thorough=True)


async def rewritten(connection: AsyncConnection, books: SealedBooks, sequence: int) -> None:
    """An entry of Bob's is worth 1,000 more, in it and in every balance since, and all hashes are made anew."""
    raw = await driver(connection)
    found = await rows(
        raw, f"SELECT {COLUMNS} FROM ledger.entry WHERE member_id = %(bob)s ORDER BY seq", {"bob": books.bob}
    )
    head = b""
    for entry in map(EntryRow._make, found):
        more = 1000 * (entry.seq >= sequence)
        forged = entry._replace(amount=entry.amount + 1000 * (entry.seq == sequence), posted=entry.posted + more)
        head = chain(head, forged)
        await connection.execute(
            text(
                "UPDATE ledger.entry SET amount = :amount, posted = :posted, hash = :hash "
                "WHERE member_id = :bob AND seq = :seq"
            ),
            {"amount": forged.amount, "posted": forged.posted, "hash": head, "bob": books.bob, "seq": entry.seq},
        )
    await cover_up(connection)


async def test_a_removed_tail_is_found_by_the_outside_seals_alone(books: SealedBooks) -> None:
    async with books.tampered() as connection:
        await cut_off(connection, books, kept=1)
        assert await books.findings(connection) == []  # nothing in the database says so any more
        found = await books.findings(connection, books.folder.path)
    named = {
        (finding.member_id, finding.unit, finding.sequence, finding.seal): finding.problem
        for finding in found
        if finding.member_id
    }
    assert [*named] == [(books.bob, "points", 2, 2), (books.bob, "points", 2, 3)]
    assert "entries 2 to 3 are gone: seal-000000003.heads" in named[books.bob, "points", 2, 3]


async def test_a_removed_tail_is_found_though_the_key_was_stolen_too(books: SealedBooks) -> None:
    async with books.tampered() as connection:
        await cut_off(connection, books, kept=2)
        for _ in range(3):
            await make_seal(connection, books.keys)
        assert await books.findings(connection) == []
        found = await books.findings(connection, books.folder.path)
    assert {(finding.member_id, finding.sequence) for finding in found if finding.member_id} == {(books.bob, 3)}
    assert (1, "seal-000000001.json", "the seal in the database is another one") in {
        (finding.seal, finding.file, finding.problem) for finding in found
    }


async def test_a_rewritten_history_is_found_by_the_outside_seals_alone(books: SealedBooks) -> None:
    async with books.tampered() as connection:
        await rewritten(connection, books, sequence=2)
        await make_seal(connection, books.keys)
        assert await books.findings(connection) == []
        found = await books.findings(connection, books.folder.path)
    assert {(finding.member_id, finding.sequence, finding.seal) for finding in found if finding.member_id} == {
        (books.bob, 2, 2),
        (books.bob, 3, 3),
    }


async def test_a_member_who_never_was_is_found_by_the_outside_seals_alone(books: SealedBooks) -> None:
    async with books.tampered() as connection:
        await connection.execute(text("DELETE FROM ledger.entry WHERE member_id = :ann"), {"ann": books.ann})
        await cover_up(connection)
        found = await books.findings(connection, books.folder.path)
    assert {(finding.member_id, finding.sequence) for finding in found if finding.member_id} == {(books.ann, 1)}


async def test_a_removed_tail_is_found_by_the_closings_where_they_were_forgotten(books: SealedBooks) -> None:
    async with books.tampered(
        "DELETE FROM ledger.entry WHERE member_id = :bob AND seq > 3", bob=books.bob
    ) as connection:
        found = await books.findings(connection)
    assert [(finding.member_id, finding.sequence, finding.problem) for finding in found] == [
        (books.bob, 4, "entry 4 is gone: closing 5 holds entry 4")
    ]


async def test_a_history_rewritten_since_a_closing_is_found_by_it(books: SealedBooks) -> None:
    async with books.tampered() as connection:
        heads = (await connection.execute(text("SELECT * FROM ledger.closed_head"))).mappings().all()
        closings = (await connection.execute(text("SELECT * FROM ledger.closing"))).mappings().all()
        seals = (await connection.execute(text("SELECT * FROM ledger.seal"))).mappings().all()
        await rewritten(connection, books, sequence=3)
        for table, kept in (("closed_head", heads), ("closing", closings), ("seal", seals)):
            await connection.execute(text(f"DELETE FROM ledger.{table}"))
            for row in kept:
                names, places = ", ".join(map(str, row)), ", ".join(f":{name}" for name in row)
                await connection.execute(text(f"INSERT INTO ledger.{table} ({names}) VALUES ({places})"), dict(row))
        found = await books.findings(connection)
    assert [(finding.member_id, finding.sequence, finding.problem) for finding in found] == [
        (books.bob, 3, "it, or an entry before it, was changed: closing 4 holds another hash")
    ]


async def test_a_seal_under_another_key_is_found_and_nothing_is_added_to_it(books: SealedBooks, tmp_path: Path) -> None:
    thief = SigningKeys.open(tmp_path / "thief.json")
    unsigned = msgspec.structs.replace(books.folder.read_seal(3), key_id=thief.current)
    async with books.tampered(
        "UPDATE ledger.seal SET key_id = :key, signature = :signature WHERE number = 3",
        key=thief.current,
        signature=thief.sign(unsigned.statement),
    ) as connection:
        (found,) = await books.findings(connection)
        with pytest.raises(SealError, match="which is not known here"):
            await make_seal(connection, books.keys)
    assert (found.seal, found.problem) == (3, f"it is signed by the key {thief.current}, which is not known here")


async def test_without_a_known_key_every_seal_is_named(books: SealedBooks) -> None:
    async with books.engine.connect() as connection:
        found = (await verify(connection, evidence=Evidence(public_keys=None, folder=None))).findings
    assert {(finding.seal, finding.problem) for finding in found} == {
        (number, "it is signed, and no key is known here") for number in (1, 2, 3)
    }


async def test_an_empty_folder_is_no_evidence(books: SealedBooks, tmp_path: Path) -> None:
    assert await outside_findings(books, SealFolder(tmp_path)) == {(None, str(tmp_path))}
