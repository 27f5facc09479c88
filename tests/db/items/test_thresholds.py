"""A brand's thresholds hold from its next scan and claim on."""

from __future__ import annotations

import pytest

from loyalty.items.claims import ClaimCapError
from loyalty.items.thresholds import read_thresholds, set_thresholds
from loyalty.items.verdicts import DEFAULT_SETTINGS
from loyalty.kit.errors import InvalidInputError, TooManyAttemptsError
from tests.db.items.conftest import Brand


async def test_what_a_brand_sets_holds_from_the_next_scan_and_claim_on(brand: Brand) -> None:
    programme_id = brand.programme.id
    await brand.mint(state="sold")
    ann = await brand.member()
    await brand.scan(0, device="a")
    assert (await brand.scan(0, device="b")).kind == "seen_before"
    changes = {"amber_devices": 2, "claims_per_member_day": 1, "bad_codes_per_device": 1}
    await set_thresholds(brand.connection, programme_id=programme_id, changes=changes)
    assert (await brand.scan(0, device="c")).kind == "amber"
    await brand.claim(ann, 1)
    with pytest.raises(ClaimCapError):
        async with brand.connection.begin_nested():
            await brand.claim(ann, 2)
    await brand.scan(serial="hello", device="d")
    with pytest.raises(TooManyAttemptsError):
        await brand.scan(0, device="d")
    await set_thresholds(brand.connection, programme_id=programme_id, changes=dict.fromkeys(changes))
    assert await read_thresholds(brand.connection, programme_id=programme_id) == DEFAULT_SETTINGS


@pytest.mark.parametrize(("name", "value"), [("amber_devices", 0), ("window_hours", 745), ("nonsense", 1)])
async def test_a_threshold_that_cannot_be_is_refused_by_its_name(brand: Brand, name: str, value: int) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await set_thresholds(brand.connection, programme_id=brand.programme.id, changes={name: value})
    assert refused.value.field == name
