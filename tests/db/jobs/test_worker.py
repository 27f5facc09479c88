from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.posting import earn
from ledger.reading import history
from ledger.units import Unit, define_unit
from loyalty.items.keys import MasterKeys
from loyalty.jobs.housekeeping import forget_what_is_over
from loyalty.jobs.tasks import Parts
from loyalty.jobs.worker import job_app, work_on
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.settings import Settings


async def test_jobs_that_are_due_are_worked_off_and_forgotten(committed_engine: AsyncEngine, tmp_path: Path) -> None:
    programme, member = uuid4(), uuid4()
    async with transaction(committed_engine) as connection:
        await define_unit(connection, Unit(programme_id=programme))
        await earn(
            connection,
            programme_id=programme,
            member_id=member,
            amount=10,
            key="k",
            source="test",
            expires_at=utc_now() - timedelta(days=1),
        )
    url = committed_engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    async with job_app(url).open_async() as app:
        for task in ("settle", "close_ledger", "close_ledger_thoroughly", "review_tiers", "keep_house"):
            await app.configure_task(task).defer_async(timestamp=0)
    parts = Parts(
        engine=committed_engine,
        keyring=Keyring.open(tmp_path / "k.json"),
        item_keys=MasterKeys.load_or_create(tmp_path / "i.json"),
        settings=Settings(home=tmp_path),
    )
    await work_on(committed_engine, parts, wait=False)
    async with job_app(url).open_async() as app:
        await app.configure_task("seal_ledger").defer_async(timestamp=0)
    await work_on(committed_engine, parts, wait=False)
    assert {path.suffix for path in (tmp_path / "seals").iterdir()} == {".json", ".heads", ".pem"}
    async with transaction(committed_engine) as connection:
        entries = await history(connection, member_ids=[member])
        left = await connection.scalar(text("SELECT count(*) FROM procrastinate_jobs WHERE status <> 'todo'"))
        closed = await connection.scalar(text("SELECT sum(entries) FROM ledger.closing"))
    assert [entry.kind for entry in entries] == ["expire", "earn"]
    assert left == 0
    assert closed >= 1  # the jobs run side by side: the expiry is in this closing or the next


async def test_only_what_is_over_is_forgotten(committed_engine: AsyncEngine) -> None:
    async with transaction(committed_engine) as connection:
        for name, end in (("old", "- interval '1 minute'"), ("new", "+ interval '1 minute'")):
            await connection.execute(
                text(f"INSERT INTO throttle (subject, attempts, window_ends_at) VALUES (:name, 1, now() {end})"),
                {"name": name.encode()},
            )
    assert (await forget_what_is_over(committed_engine))["throttle"] == 1
    assert (await forget_what_is_over(committed_engine))["throttle"] == 0
