"""The daily job of the scan log: a partition for each month to come, and none for the months that are over."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.keys import MasterKeys
from loyalty.items.scan_log import AHEAD_MONTHS, keep_scan_log
from loyalty.jobs.tasks import Parts
from loyalty.jobs.worker import job_app, work_on
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.settings import Settings

PARTITIONS = text("""
    SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = CAST(:parent AS regclass)""")
LOGS = ("item_scan", "refused_scan")


def month(moment: datetime, ahead: int) -> str:
    """The month so many months later, as partitions are named by it."""
    number = moment.year * 12 + moment.month - 1 + ahead
    return f"{number // 12}_{number % 12 + 1:02d}"


async def partitions(engine: AsyncEngine, log: str) -> set[str]:
    async with engine.connect() as connection:
        names = {name.removeprefix(f"{log}_") for name in await connection.scalars(PARTITIONS, {"parent": log})}
    return names - {"default"}


async def keep(engine: AsyncEngine, home: Path, **settings: int) -> None:
    """What happens each night."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    async with job_app(url).open_async() as app:
        await app.configure_task("keep_scans").defer_async(timestamp=0)
    parts = Parts(
        engine=engine,
        keyring=Keyring.open(home / "k.json"),
        item_keys=MasterKeys.load_or_create(home / "i.json"),
        settings=Settings(home=home, **settings),  # type: ignore[arg-type]
    )
    await work_on(engine, parts, wait=False)


async def test_months_are_made_ahead_kept_and_dropped_as_the_settings_say(
    committed_engine: AsyncEngine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = utc_now()
    ahead = {month(now, number) for number in range(AHEAD_MONTHS + 1)}
    for years in (1, 3):
        async with transaction(committed_engine) as connection:
            await keep_scan_log(connection, now=now - timedelta(days=365 * years), months=None)
    old = {log: await partitions(committed_engine, log) - ahead for log in LOGS}
    assert all(names for names in old.values())

    await keep(committed_engine, tmp_path, scan_log_months=0)
    for log in LOGS:
        assert await partitions(committed_engine, log) == old[log] | ahead, "0 keeps them all"

    with caplog.at_level(logging.INFO, "loyalty"):
        await keep(committed_engine, tmp_path, scan_log_months=24)
    for log in LOGS:
        kept = {name for name in old[log] if name > month(now, -24)}
        assert kept, "last year's are within 24 months"
        assert kept < old[log], "those of three years ago are not"
        assert await partitions(committed_engine, log) == kept | ahead
    assert f"dropped item_scan_{min(old['item_scan'])}" in caplog.text

    caplog.clear()
    with caplog.at_level(logging.INFO, "loyalty"):
        await keep(committed_engine, tmp_path, scan_log_months=24)
    assert "the log of scans" not in caplog.text, "done twice, it has nothing to do and nothing to say"
