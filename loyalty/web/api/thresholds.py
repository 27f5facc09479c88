"""From when on scans and claims are told apart, refused or frozen: a brand's thresholds."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Router, get, patch
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET, Struct, UnsetType

from loyalty.items.thresholds import own_thresholds, read_thresholds, set_thresholds
from loyalty.items.verdicts import Count, Hours, ItemSettings, Minutes
from loyalty.web.api.operations import Require, body_problems, problems
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services


class ScanThresholds(Struct, frozen=True, kw_only=True):
    """What holds from the next scan on. `own` names what the brand has set; the rest follows our defaults."""

    thresholds: ItemSettings
    own: list[str]


class ScanThresholdChanges(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Set what is named; null takes back what was set."""

    window_hours: Hours | UnsetType | None = UNSET
    amber_devices: Count | UnsetType | None = UNSET
    copy_cities: Count | UnsetType | None = UNSET
    copy_speed_kmh: Count | UnsetType | None = UNSET
    copy_distance_km: Count | UnsetType | None = UNSET
    trust_network_places: bool | UnsetType | None = UNSET
    bad_codes_per_device: Count | UnsetType | None = UNSET
    bad_codes_per_address: Count | UnsetType | None = UNSET
    bad_codes_minutes: Minutes | UnsetType | None = UNSET
    claims_per_member_day: Count | UnsetType | None = UNSET
    claims_per_device_day: Count | UnsetType | None = UNSET
    claim_expired: bool | UnsetType | None = UNSET
    pin_tries: Count | UnsetType | None = UNSET


@get(
    "/scan-thresholds",
    operation_id="getScanThresholds",
    summary="Thresholds of scans and claims",
    guards=[Require("items:read")],
    responses=problems(),
)
async def get_thresholds(services: NamedDependency[Services], caller: NamedDependency[Caller]) -> ScanThresholds:
    """From when on scans and claims are told apart, refused or frozen."""
    async with services.transaction() as connection:
        held = await read_thresholds(connection, programme_id=caller.programme_id)
        own = await own_thresholds(connection, programme_id=caller.programme_id)
    return ScanThresholds(thresholds=held, own=sorted(own))


@patch(
    "/scan-thresholds",
    operation_id="changeScanThresholds",
    summary="Change thresholds of scans and claims",
    guards=[Require("items:write")],
    responses=body_problems(),
)
async def change_thresholds(
    services: NamedDependency[Services], caller: NamedDependency[Caller], data: JSONBody[ScanThresholdChanges]
) -> ScanThresholds:
    """Set some thresholds, or take back what was set. They hold from the next scan on, in every process."""
    given = msgspec.structs.asdict(data)
    changes = {name: value for name, value in given.items() if value is not UNSET}
    async with services.transaction() as connection:
        held = await set_thresholds(connection, programme_id=caller.programme_id, changes=changes)
        own = await own_thresholds(connection, programme_id=caller.programme_id)
    return ScanThresholds(thresholds=held, own=sorted(own))


router: Final = Router(path="/", tags=["Trace"], route_handlers=[get_thresholds, change_thresholds])
