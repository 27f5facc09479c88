"""A scan is judged and written down in one transaction; one of many at once is the first."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.codes import ItemCode
from loyalty.items.exceptions import clear_suspicion, set_item_state
from loyalty.items.ranges import change_state
from loyalty.items.scans import scan
from loyalty.items.verdicts import ItemSettings, Place, Verdict
from loyalty.kit.db import transaction
from loyalty.kit.errors import InvalidInputError, NotFoundError, TooManyAttemptsError
from loyalty.kit.ids import new_id
from tests.db.items.conftest import GTIN, NOON, Brand, make_brand
from tests.factories import make_programme

SHANGHAI = Place(city="上海", region="CN-31", latitude=31.2304, longitude=121.4737, source="device")
BEIJING = Place(city="北京", region="CN-11", latitude=39.9042, longitude=116.4074, source="device")


async def logged(brand: Brand, table: str = "item_scan") -> list[dict[str, Any]]:
    query = text(f"SELECT * FROM {table} WHERE programme_id = :programme ORDER BY at, id")
    rows = await brand.connection.execute(query, {"programme": brand.programme.id})
    return [dict(row) for row in rows.mappings()]


async def test_an_item_has_no_row_until_it_is_scanned(brand: Brand) -> None:
    await brand.mint(100, state="activated")
    assert await logged(brand, "item_scan") == []
    verdict = await brand.scan(7, place=SHANGHAI, address="203.0.113.77")
    assert (verdict.kind, verdict.claimable, verdict.points) == ("first_scan", True, 50)
    assert verdict.item is not None
    assert (verdict.item.product, verdict.item.range.print_order) == (brand.product, "spring")
    (entry,) = await logged(brand)
    assert (entry["index"], entry["verdict"], entry["city"]) == (7, "first_scan", "上海")


async def test_what_is_kept_of_a_scan_names_nobody(brand: Brand) -> None:
    await brand.mint(state="activated")
    await brand.scan(place=SHANGHAI, address="203.0.113.77", device="the-phone-of-somebody")
    (entry,) = await logged(brand)
    assert entry["address_prefix"] == "203.0.113.0/24"
    assert (entry["latitude"], entry["longitude"]) == (31.23, 121.47)
    assert len(entry["device"]) == 16
    assert b"somebody" not in entry["device"]


async def test_a_serial_is_read_as_it_is_typed(brand: Brand) -> None:
    await brand.mint(state="activated")
    verdict = await brand.scan(serial=brand.serial(0).lower().replace("0", "o"))
    assert (verdict.kind, verdict.serial) == ("first_scan", brand.serial(0))
    assert (await brand.scan(gtin=GTIN[1:])).kind == "seen_by_you"


async def test_a_codes_life_as_its_scanners_see_it(brand: Brand) -> None:
    await brand.mint(state="activated")
    ann = await brand.member()

    async def at(minutes: int, device: str, **fields: Any) -> Verdict:
        return await brand.scan(device=device, at=NOON + timedelta(minutes=minutes), **fields)

    first = await at(0, "a")
    again = await at(5, "a")
    other = await at(10, "b", member_id=ann)
    other_phone = await at(15, "b2", member_id=ann)
    third = await at(20, "c")
    assert [v.kind for v in (first, again, other, other_phone, third)] == [
        "first_scan",
        "seen_by_you",
        "seen_before",
        "seen_by_you",
        "amber",
    ]
    assert [v.scan_count for v in (first, again, other, other_phone, third)] == [1, 2, 3, 4, 5]
    assert (again.yours_since, other_phone.yours_since) == (NOON, NOON + timedelta(minutes=10))
    assert other.first_scanned_at == NOON
    assert [entry["verdict"] for entry in await logged(brand)] == [
        "first_scan",
        "seen_by_you",
        "seen_before",
        "seen_by_you",
        "amber",
    ]


async def test_a_scan_before_activation_is_logged_and_is_nobodys_first(brand: Brand) -> None:
    await brand.mint(10)
    assert (await brand.scan(device="warehouse", at=NOON - timedelta(days=1))).kind == "not_activated"
    await change_state(
        brand.connection, programme_id=brand.programme.id, gtin=GTIN, kid=1, lo=0, hi=9, state="activated"
    )
    verdict = await brand.scan(device="shopper")
    assert (verdict.kind, verdict.scan_count) == ("first_scan", 1)
    assert [entry["verdict"] for entry in await logged(brand)] == ["not_activated", "first_scan"]
    assert (await brand.scan(device="warehouse", at=NOON + timedelta(hours=1))).kind == "seen_before"


async def test_a_recall_takes_effect_on_the_next_scan_and_touches_no_item(brand: Brand) -> None:
    await brand.mint(1_000_000, state="sold")
    await brand.scan(500_000)
    before = await logged(brand)
    await change_state(
        brand.connection, programme_id=brand.programme.id, gtin=GTIN, kid=1, lo=0, hi=999_999, state="recalled"
    )
    assert await logged(brand) == before
    verdict = await brand.scan(500_000, at=NOON + timedelta(hours=1))
    assert (verdict.kind, verdict.claim_blocker) == ("recalled", "recalled")
    items = await brand.connection.execute(text("SELECT count(*) FROM item WHERE gtin = :gtin"), {"gtin": GTIN})
    assert items.scalar_one() == 1


async def test_an_expired_item_says_so(brand: Brand) -> None:
    await brand.mint(state="sold", expires_on=date(2026, 3, 1))
    assert (await brand.scan()).kind == "expired"


async def test_a_suspected_copy_stays_frozen_until_the_brand_clears_it(brand: Brand) -> None:
    await brand.mint(state="sold")
    await brand.scan(device="a", place=SHANGHAI)
    copy = await brand.scan(device="b", place=BEIJING, at=NOON + timedelta(minutes=10))
    assert (copy.kind, copy.claim_blocker) == ("suspected_copy", "suspected_copy")
    later = await brand.scan(device="c", at=NOON + timedelta(days=30))
    assert later.kind == "suspected_copy"
    owner = await brand.scan(device="a", at=NOON + timedelta(days=31))
    assert (owner.kind, owner.claim_blocker) == ("seen_by_you", "suspected_copy")
    await clear_suspicion(
        brand.connection,
        programme_id=brand.programme.id,
        code=ItemCode(GTIN, 1, 0),
        at=NOON + timedelta(days=32),
    )
    assert (await brand.scan(device="c", at=NOON + timedelta(days=33))).claimable


async def test_a_scan_outside_the_region_is_noted_for_the_brand_alone(brand: Brand) -> None:
    await brand.mint(state="sold", region="CN-31")
    verdict = await brand.scan(place=BEIJING)
    assert (verdict.kind, verdict.diverted) == ("first_scan", True)
    assert [entry["diverted"] for entry in await logged(brand)] == [True]


async def test_codes_that_are_not_ours_are_an_answer_with_a_reason_for_the_brand(brand: Brand) -> None:
    await brand.mint(10, state="activated")
    true_serial = brand.serial(0)
    await set_item_state(brand.connection, programme_id=brand.programme.id, code=ItemCode(GTIN, 1, 9), state="honey")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"gtin": "06901234567893"}, "bad_gtin"),
        ({"serial": "hello"}, "bad_serial"),
        ({"serial": "9" + true_serial[1:]}, "unknown_key"),
        ({"serial": true_serial[:-1] + ("0" if true_serial[-1] != "0" else "1")}, "bad_tag"),
        ({"gtin": "00000096385074", "serial": brand.keys.for_product("00000096385074", 1).mint(0)}, "unknown_product"),
        ({"serial": brand.serial(10)}, "not_minted"),
        ({"serial": brand.serial(9)}, "honey"),
    ]
    for fields, reason in cases:
        verdict = await brand.scan(**fields, device=reason)
        assert (verdict.kind, verdict.reason, verdict.claim_blocker) == ("unknown", reason, "unknown")
        assert verdict.item is None
    assert [entry["reason"] for entry in await logged(brand, "refused_scan")] == [reason for _, reason in cases]
    assert await logged(brand) == []


async def test_a_product_of_another_programme_is_not_ours(brand: Brand) -> None:
    await brand.mint(state="activated")
    other = await make_programme(brand.connection)
    assert (await brand.scan(programme_id=other.id)).reason == "unknown_product"


async def test_a_device_that_tries_wrong_codes_is_turned_away_for_a_while(brand: Brand) -> None:
    await brand.mint(state="activated")
    settings = ItemSettings(bad_codes_per_device=3, bad_codes_minutes=60)
    for minute in range(3):
        wrong = await brand.scan(serial="hello", settings=settings, at=NOON + timedelta(minutes=minute))
        assert wrong.kind == "unknown"
    with pytest.raises(TooManyAttemptsError) as refused:
        await brand.scan(settings=settings, at=NOON + timedelta(minutes=5))
    assert refused.value.members == {"retry_after_seconds": 3600}
    assert len(await logged(brand, "refused_scan")) == 3
    assert (await brand.scan(settings=settings, at=NOON + timedelta(minutes=5), device="another")).kind == "first_scan"
    assert (await brand.scan(settings=settings, at=NOON + timedelta(minutes=61))).kind == "seen_before"


async def test_a_network_that_tries_wrong_codes_still_reads_true_ones(brand: Brand) -> None:
    await brand.mint(state="activated")
    settings = ItemSettings(bad_codes_per_address=3)
    for number in range(3):
        await brand.scan(serial="hello", device=f"d{number}", address=f"2001:db8:1:{number}::1", settings=settings)
    with pytest.raises(TooManyAttemptsError):
        await brand.scan(serial="hello", device="d9", address="2001:db8:1::9", settings=settings)
    assert (await brand.scan(device="d9", address="2001:db8:1::9", settings=settings)).kind == "first_scan"
    assert (await brand.scan(serial="hello", device="d9", address="2001:db8:2::9", settings=settings)).kind == "unknown"


async def test_one_item_may_have_a_state_of_its_own_and_give_it_back(brand: Brand) -> None:
    await brand.mint(10, state="sold")
    code = ItemCode(GTIN, 1, 3)
    await set_item_state(brand.connection, programme_id=brand.programme.id, code=code, state="retired")
    assert (await brand.scan(3)).claim_blocker == "retired"
    assert (await brand.scan(4)).kind == "first_scan"
    await set_item_state(brand.connection, programme_id=brand.programme.id, code=code, state=None)
    assert (await brand.scan(3)).kind == "first_scan"
    with pytest.raises(NotFoundError):
        await set_item_state(
            brand.connection, programme_id=brand.programme.id, code=ItemCode(GTIN, 1, 10), state="retired"
        )
    with pytest.raises(NotFoundError):
        await set_item_state(brand.connection, programme_id=new_id(), code=code, state="retired")


async def test_a_scanner_without_a_device_is_refused(brand: Brand) -> None:
    for device in ("", "d" * 501):
        with pytest.raises(InvalidInputError) as refused:
            await brand.scan(device=device)
        assert refused.value.field == "device"


async def test_of_many_scans_at_once_exactly_one_is_the_first(committed_engine: AsyncEngine) -> None:
    async with transaction(committed_engine) as connection:
        brand = await make_brand(connection)
        await brand.mint(state="sold")

    async def look(number: int) -> Verdict:
        async with transaction(committed_engine) as connection:
            return await scan(
                connection,
                brand.keys,
                programme_id=brand.programme.id,
                gtin=GTIN,
                serial=brand.serial(0),
                device=f"phone-{number}",
                at=NOON,
            )

    verdicts = await asyncio.gather(*(look(number) for number in range(24)))
    assert [v.kind for v in verdicts].count("first_scan") == 1
    assert sorted(v.scan_count for v in verdicts) == list(range(1, 25))
    assert {v.kind for v in verdicts} == {"first_scan", "seen_before", "amber"}
