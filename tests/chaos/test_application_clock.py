"""The application's clock is a day fast or slow: points are earned, held and spent by the database's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from loyalty.kit import clock
from loyalty.kit.db import transaction
from tests.chaos.conftest import Behind

A_DAY = timedelta(days=1)
A_MINUTE = timedelta(minutes=1)


@pytest.fixture(params=[-A_DAY, A_DAY], ids=["slow", "fast"])
def wrong_clock(request: pytest.FixtureRequest) -> Iterator[timedelta]:
    """Every module of ours reads a clock that is wrong by this."""
    real = clock.utc_now
    with pytest.MonkeyPatch.context() as patch:
        for module in list(sys.modules.values()):
            if getattr(module, "utc_now", None) is real:
                patch.setattr(module, "utc_now", lambda: real() + request.param)
        yield request.param


async def ledger_clock(behind: Behind) -> datetime:
    async with transaction(behind.direct) as connection:
        now: datetime = (await connection.execute(text("SELECT ledger.clock()"))).scalar_one()
        return now


async def test_a_till_holds_captures_and_releases_by_the_databases_clock(
    behind: Behind, wrong_clock: timedelta
) -> None:
    member = await behind.register()
    body: dict[str, Any] = {"amount": 10, "source": "chaos"}
    held = await behind.api.post(f"/members/{member}/holds", {**body, "expires_in_seconds": 900})
    assert held.status_code == 201, held.text
    found = (await behind.api.get(f"/members/{member}/holds/{held.json()['hold_id']}")).json()
    ends = datetime.fromisoformat(found["expires_at"])
    assert abs(ends - await ledger_clock(behind) - timedelta(seconds=900)) < A_MINUTE, wrong_clock
    assert found["state"] == "open"
    captured = await behind.api.post(f"/members/{member}/holds/{held.json()['hold_id']}/capture", {"source": "chaos"})
    assert captured.status_code == 201, captured.text


async def test_postings_are_recorded_by_the_databases_clock(behind: Behind, wrong_clock: timedelta) -> None:
    member = await behind.register()
    body = {"amount": 10, "source": "chaos"}
    for path in ("points/earn", "points/spend"):
        answered = await behind.api.post(f"/members/{member}/{path}", body)
        assert answered.status_code == 201, answered.text
        recorded = datetime.fromisoformat(answered.json()["recorded_at"])
        assert abs(recorded - await ledger_clock(behind)) < A_MINUTE, wrong_clock
    await behind.check()
