"""Making seals and keeping them outside."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.closing import close_books
from ledger.errors import AppendOnlyError, SealOutOfOrderError, refusal, refusals
from ledger.merkle import Tree
from ledger.posting import earn
from ledger.seal_files import Published, SealFolder, publish, read_leaf, seal_content
from ledger.seal_keys import SigningKeys
from ledger.seals import NO_SEAL, SealError, leaf, make_seal, newest_seal, seals
from ledger.units import Unit, define_unit
from loyalty.kit.db import transaction


class Shop:
    """A ledger that is posted to, closed and published by the application's role."""

    def __init__(self, engine: AsyncEngine, home: Path) -> None:
        self.engine = engine
        self.keys_file = home / "keys" / "seals.json"
        self.folder = SealFolder(home / "seals")
        self.programme_id = uuid4()
        self.members = sorted(uuid4() for _ in range(5))

    async def open(self) -> None:
        async with transaction(self.engine) as connection:
            for code in ("miles", "points"):
                await define_unit(connection, Unit(programme_id=self.programme_id, code=code))

    async def earn(self, *members: int, unit: str = "points") -> None:
        async with transaction(self.engine) as connection:
            for number in members:
                await earn(
                    connection,
                    programme_id=self.programme_id,
                    member_id=self.members[number],
                    unit=unit,
                    amount=10,
                    key=str(uuid4()),
                    source="test",
                )

    async def close(self) -> None:
        assert await close_books(self.engine, thorough=True) is not None

    @property
    def keys(self) -> SigningKeys:
        return SigningKeys.open(self.keys_file)

    async def publish(self, folder: SealFolder | None = None) -> Published:
        return await publish(self.engine, keys=self.keys, folder=folder or self.folder)

    def outside(self, number: int) -> list[tuple[int, str, int]]:
        """Member, unit and sequence of a seal's heads, as its file has them."""
        heads = map(read_leaf, self.folder.read_leaves(number))
        return [(self.members.index(head.member_id), head.unit, head.sequence) for head in heads]


@pytest.fixture
async def shop(committed_engine: AsyncEngine, tmp_path: Path) -> Shop:
    shop = Shop(committed_engine, tmp_path)
    await shop.open()
    return shop


async def test_a_seal_holds_the_last_heads_of_the_accounts_that_moved(shop: Shop) -> None:
    await shop.earn(4, 0, 2)
    await shop.earn(2, unit="miles")
    await shop.close()
    first = await shop.publish()
    await shop.earn(2, 3)
    await shop.close()
    await shop.earn(2)
    await shop.close()
    await shop.earn(1)  # not closed yet
    second = await shop.publish()
    assert first.seal is not None
    assert second.seal is not None
    assert shop.outside(1) == [(0, "points", 1), (2, "miles", 1), (2, "points", 1), (4, "points", 1)]
    assert shop.outside(2) == [(2, "points", 3), (3, "points", 1)]
    assert (first.seal.previous, second.seal.previous) == (NO_SEAL, first.seal.digest)
    assert [(seal.first_closing, seal.last_closing, seal.leaves) for seal in (first.seal, second.seal)] == [
        (1, 1, 4),
        (2, 3, 2),
    ]


async def test_the_root_is_that_of_the_accounts_heads(shop: Shop) -> None:
    await shop.earn(1, 0)
    await shop.close()
    published = await shop.publish()
    tree = Tree()
    async with transaction(shop.engine) as connection:
        rows = await connection.execute(text("SELECT member_id, head FROM ledger.account ORDER BY member_id"))
        for row in rows:
            tree.add(leaf(row.member_id.bytes, "points", 1, row.head))
    assert published.seal is not None
    assert published.seal.root == tree.root
    assert shop.keys.is_signed(published.seal.statement, key=published.seal.key_id, signature=published.seal.signature)


async def test_where_nothing_was_closed_nothing_is_sealed(shop: Shop) -> None:
    assert (await shop.publish()).seal is None
    await shop.earn(0)
    assert (await shop.publish()).seal is None
    await shop.close()
    assert (await shop.publish()).seal is not None
    again = await shop.publish()
    assert (again.seal, again.written, again.problems) == (None, [], [])


async def test_what_is_outside_is_what_is_in_the_database(shop: Shop) -> None:
    await shop.earn(0)
    await shop.close()
    published = await shop.publish()
    assert sorted(published.written) == sorted(
        [f"key-{shop.keys.current}.pem", "seal-000000001.heads", "seal-000000001.json"]
    )
    async with transaction(shop.engine) as connection:
        (seal,) = await seals(connection)
    assert shop.folder.read_seal(1) == seal == published.seal


async def test_a_missing_file_is_written_again_as_it_was(shop: Shop) -> None:
    for _ in range(2):
        await shop.earn(0, 1)
        await shop.close()
        await shop.publish()
    before = {path.name: path.read_bytes() for path in shop.folder.path.iterdir()}
    for path in shop.folder.path.iterdir():
        content = path.read_bytes()
        path.unlink()
        assert (await shop.publish()).written == [path.name]
        assert path.read_bytes() == content
    assert {path.name: path.read_bytes() for path in shop.folder.path.iterdir()} == before


async def test_a_new_folder_gets_every_seal(shop: Shop, tmp_path: Path) -> None:
    for _ in range(3):
        await shop.earn(0, 1)
        await shop.close()
        await shop.publish()
    copy = SealFolder(tmp_path / "bucket")
    await shop.publish(copy)
    assert {path.name: path.read_bytes() for path in copy.path.iterdir()} == {
        path.name: path.read_bytes() for path in shop.folder.path.iterdir()
    }


async def test_a_file_that_differs_is_an_alarm_and_is_kept(shop: Shop) -> None:
    await shop.earn(0)
    await shop.close()
    published = await shop.publish()
    path = shop.folder.path / "seal-000000001.json"
    assert published.seal is not None
    assert path.read_bytes() == seal_content(published.seal)
    path.write_bytes(b"something else")
    published = await shop.publish()
    assert published.problems == [f"{path} is not the seal 1 of the database"]
    assert path.read_bytes() == b"something else"


async def test_where_the_folder_knows_more_than_the_database_nothing_is_sealed(shop: Shop) -> None:
    await shop.earn(0)
    await shop.close()
    shop.folder.path.mkdir()
    (shop.folder.path / "seal-000000007.json").touch()
    with pytest.raises(SealError, match="up to 7 and the database up to 0"):
        await shop.publish()
    async with transaction(shop.engine) as connection:
        assert await newest_seal(connection) is None


async def test_heads_that_are_not_those_that_were_sealed_are_not_written(shop: Shop, fresh_database_url: str) -> None:
    await shop.earn(0)
    await shop.close()
    await shop.publish()
    with psycopg.connect(fresh_database_url) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE ledger.closed_head SET seq = seq + 1")
    (shop.folder.path / "seal-000000001.heads").unlink()
    with pytest.raises(SealError, match="seal 1: the heads in the database are not those that were sealed"):
        await shop.publish()
    assert not (shop.folder.path / "seal-000000001.heads").exists()


async def test_several_sealers_at_once_make_one_chain(shop: Shop) -> None:
    for _ in range(3):
        await shop.earn(0, 1, 2)
        await shop.close()
        await asyncio.gather(*(shop.publish() for _ in range(4)))
    async with transaction(shop.engine) as connection:
        found = await seals(connection)
    assert [seal.number for seal in found] == [1, 2, 3]
    assert [seal.previous for seal in found] == [NO_SEAL, found[0].digest, found[1].digest]


async def test_a_new_key_signs_from_its_day_on(shop: Shop) -> None:
    keys = []
    for _ in range(2):
        await shop.earn(0)
        await shop.close()
        await shop.publish()
        keys.append(shop.keys.current)
        SigningKeys.rotate(shop.keys_file)
    async with transaction(shop.engine) as connection:
        assert [seal.key_id for seal in await seals(connection)] == keys


async def test_after_the_loss_of_the_keys_sealing_waits_until_the_old_one_is_known(shop: Shop) -> None:
    await shop.earn(0)
    await shop.close()
    await shop.publish()
    old = shop.keys
    shop.keys_file.unlink()
    await shop.earn(0)
    await shop.close()
    with pytest.raises(SealError, match=f"seal 1: it is signed by the key {old.current}, which is not known here"):
        await shop.publish()
    SigningKeys.learn(shop.keys_file, old)
    assert (await shop.publish()).seal is not None


async def test_the_application_adds_seals_in_their_order_and_nothing_else(shop: Shop) -> None:
    await shop.earn(0)
    await shop.close()
    await shop.publish()
    async with transaction(shop.engine) as connection:
        with pytest.raises(SealOutOfOrderError, match="seal 1 cannot follow seal 1"), refusals():
            await connection.execute(
                text("SELECT ledger.add_seal(1, now(), 9, 9, now(), 0, '\\x00', '\\x00', 'key', '\\x00')")
            )
    for statement in ("UPDATE ledger.seal SET leaves = 9", "DELETE FROM ledger.seal", "TRUNCATE ledger.seal"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with transaction(shop.engine) as connection:
                await connection.execute(text(statement))


@pytest.mark.parametrize(
    "statement", ["UPDATE ledger.seal SET leaves = 9", "DELETE FROM ledger.seal", "TRUNCATE ledger.seal"]
)
async def test_even_the_owner_only_ever_adds_seals(shop: Shop, fresh_database_url: str, statement: str) -> None:
    await shop.earn(0)
    await shop.close()
    await shop.publish()
    with psycopg.connect(fresh_database_url) as owner, pytest.raises(psycopg.Error) as refused:
        owner.execute(statement)
    assert isinstance(refusal(refused.value), AppendOnlyError)


async def test_a_process_that_dies_before_the_files_are_written_loses_nothing(shop: Shop) -> None:
    await shop.earn(0)
    await shop.close()
    async with transaction(shop.engine) as connection:
        seal = await make_seal(connection, shop.keys)  # and here it is killed
    assert not shop.folder.path.exists()
    published = await shop.publish()
    assert published.seal is None
    assert shop.folder.read_seal(1) == seal
