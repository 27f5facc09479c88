"""Thresholds of scans and claims over the API: what is set, and what follows the defaults."""

from __future__ import annotations

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.verdicts import DEFAULT_SETTINGS, ItemSettings
from loyalty.web.api.thresholds import ScanThresholdChanges
from tests.web.conftest import Api, assert_problem, make_api

USUAL = msgspec.to_builtins(DEFAULT_SETTINGS)


async def test_what_is_set_holds_and_null_takes_it_back(api: Api) -> None:
    assert (await api.get("/scan-thresholds")).json() == {"thresholds": USUAL, "own": []}
    changed = await api.patch("/scan-thresholds", {"amber_devices": 5, "claim_expired": True})
    assert changed.json() == {
        "thresholds": USUAL | {"amber_devices": 5, "claim_expired": True},
        "own": ["amber_devices", "claim_expired"],
    }
    await api.patch("/scan-thresholds", {"claim_expired": None})
    assert (await api.get("/scan-thresholds")).json() == {
        "thresholds": USUAL | {"amber_devices": 5},
        "own": ["amber_devices"],
    }


async def test_what_cannot_be_is_refused_by_its_name_and_nothing_is_set(api: Api) -> None:
    for name, value in (("window_hours", 745), ("pin_tries", 0), ("claim_expired", 1), ("nonsense", 1)):
        refused = await api.patch("/scan-thresholds", {"copy_cities": 2, name: value})
        assert_problem(refused, 400, "invalid-input", name)
    assert (await api.get("/scan-thresholds")).json()["own"] == []


async def test_reading_and_changing_are_two_scopes(api: Api, engine: AsyncEngine) -> None:
    reader = await make_api(api.client, engine, api.programme, scopes=("items:read",))
    assert (await reader.get("/scan-thresholds")).status_code == 200
    assert_problem(await reader.patch("/scan-thresholds", {"pin_tries": 3}), 403, "not-permitted")


def test_every_threshold_can_be_changed() -> None:
    assert ScanThresholdChanges.__struct_fields__ == ItemSettings.__struct_fields__
