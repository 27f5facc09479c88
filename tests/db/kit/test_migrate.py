from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.migrate import migrate
from loyalty.kit.programme import Programme, list_channels


def test_migrating_a_migrated_database_changes_nothing(database_url: str) -> None:
    migrate(database_url)


async def test_a_programme_has_an_online_shop_and_a_store(connection: AsyncConnection, programme: Programme) -> None:
    channels = await list_channels(connection, programme.id)
    assert [(channel.code, channel.kind) for channel in channels] == [("online", "online"), ("store-1", "store")]


async def test_a_test_of_its_own_database_commits(committed_engine: AsyncEngine) -> None:
    async with committed_engine.begin() as connection:
        assert (await connection.execute(text("SHOW synchronous_commit"))).scalar() == "on"
