from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.posting import earn
from ledger.seals import newest_seal
from ledger.units import Unit, define_unit
from loyalty.jobs.sealing import seal_when_due
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.settings import Settings


async def post(engine: AsyncEngine) -> None:
    programme = uuid4()
    async with transaction(engine) as connection:
        await define_unit(connection, Unit(programme_id=programme))
        await earn(connection, programme_id=programme, member_id=uuid4(), amount=1, key="k", source="test")


async def sealed(engine: AsyncEngine) -> tuple[int, datetime]:
    async with transaction(engine) as connection:
        newest = await newest_seal(connection)
    assert newest is not None
    return newest.number, newest.sealed_at


@pytest.mark.parametrize(("minutes", "early", "due"), [(60, 57, 58), (5, 2, 3), (1440, 1437, 1438)])
async def test_the_ledger_is_sealed_as_often_as_the_settings_say(
    committed_engine: AsyncEngine, tmp_path: Path, minutes: int, early: int, due: int
) -> None:
    settings = Settings(home=tmp_path, seal_minutes=minutes)
    await post(committed_engine)
    assert await seal_when_due(committed_engine, settings, now=utc_now()) is not None
    number, at = await sealed(committed_engine)
    assert number == 1
    await post(committed_engine)
    assert await seal_when_due(committed_engine, settings, now=at + timedelta(minutes=early)) is None
    assert (await sealed(committed_engine))[0] == 1
    published = await seal_when_due(committed_engine, settings, now=at + timedelta(minutes=due))
    assert published is not None
    assert published.seal is not None
    assert (await sealed(committed_engine))[0] == 2
    assert (tmp_path / "seals" / "seal-000000002.json").exists()
    assert (tmp_path / "keys" / "seals.json").exists()


async def test_a_folder_of_ones_choice(committed_engine: AsyncEngine, tmp_path: Path) -> None:
    chosen = tmp_path / "bucket" / "seals"
    settings = Settings.from_environment({"TALLYSTAR_HOME": str(tmp_path), "TALLYSTAR_SEALS": str(chosen)})
    await post(committed_engine)
    await seal_when_due(committed_engine, settings, now=utc_now())
    assert {path.suffix for path in chosen.iterdir()} == {".json", ".heads", ".pem"}
    assert not (tmp_path / "seals").exists()
