"""What the trace desk knows of an item: found by anything, its state with the reason, its whole story."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from loyalty.items.codes import ItemCode
from loyalty.items.exceptions import change_item
from loyalty.items.importing import import_serials
from loyalty.items.lots import set_lot_state
from loyalty.items.packing.intervals import Interval
from loyalty.items.packing.packing import Packing, pack
from loyalty.items.packing.sscc import make_sscc
from loyalty.items.trace.claimants import claimants_of, count_items, intervals_of_lot, read_contacts
from loyalty.items.trace.life import Dossier, NotAnItem, read_dossier
from loyalty.items.trace.searching import find_anything
from loyalty.kit.ids import new_id
from loyalty.members.consent import MARKETING_SMS, Consent, record_consent
from tests.db.items.conftest import GTIN, NOON, Brand

CASE = make_sscc("9521234", 1)
PALLET = make_sscc("9521234", 2)


async def dossier(brand: Brand, index: int = 0) -> Dossier:
    read = await read_dossier(
        brand.connection,
        brand.keys,
        programme_id=brand.programme.id,
        gtin=GTIN,
        serial=brand.serial(index),
        now=NOON,
    )
    assert isinstance(read, Dossier)
    return read


async def found(brand: Brand, typed: str) -> list[tuple[str, str]]:
    listed = await find_anything(brand.connection, brand.keys, programme_id=brand.programme.id, typed=typed)
    return [(each.kind, each.serial or each.sscc or each.lot or each.name or each.gtin) for each in listed]


async def test_anything_that_names_an_item_finds_it(brand: Brand) -> None:
    await brand.mint(5, lot="L1")
    serial = brand.serial(0)
    item = [("item", serial)]
    for typed in (
        f"https://example.com/01/{GTIN}/21/{serial}",
        f"https://example.com/some/where/01/{GTIN}/22/2A/10/L1/21/{serial}?17=271231&x=y",
        f"example.com/01/{GTIN}/21/{serial}",
        f"/01/{GTIN}/21/{serial}",
        f"https://example.com/01/{GTIN[1:]}/21/{serial}",  # a GTIN of 13 digits, as shops print them
        f"(01){GTIN}(21){serial}",
        f"(01) {GTIN} (10) L1 (21) {serial}",
        f"01{GTIN}21{serial}",
        f"]C101{GTIN}10L1\x1d21{serial}",
        f"{GTIN[1:]}  {serial}",
        f"{GTIN},{serial}",
        f"urn:epc:id:sgtin:6901234.056789.{serial}",
        serial,
    ):
        assert await found(brand, typed) == item, typed
    assert await found(brand, serial.lower()) == [("item", serial.lower())]


async def test_units_lots_orders_and_products_are_found_too(brand: Brand) -> None:
    minted = await brand.mint(5, lot="L1")
    await import_serials(
        brand.connection,
        brand.keys,
        programme_id=brand.programme.id,
        gtin=GTIN,
        lines=["serial\n", "old-1\n"],
        print_order="old",
    )
    assert await found(brand, CASE) == await found(brand, f"(00){CASE}") == await found(brand, f"00{CASE}")
    assert await found(brand, f"https://example.com/00/{CASE}") == [("unit", CASE)]
    assert await found(brand, "L1") == await found(brand, f"(01){GTIN}(10)L1") == [("lot", "L1")]
    assert await found(brand, f"{GTIN} L1") == [("lot", "L1")]
    assert await found(brand, "SPRING") == await found(brand, minted.public_id) == [("order", "spring")]
    assert await found(brand, "old-1") == [("item", "old-1")]
    assert await found(brand, GTIN) == await found(brand, GTIN[1:]) == [("product", GTIN)]
    for nothing in ("", "nobody knows", "\0", "https://example.com/", "(01)", "rng_x"):
        assert await found(brand, nothing) == [], nothing


async def test_the_reason_of_a_state_is_the_word_that_counts(brand: Brand) -> None:
    await brand.mint(10, lot="L1", state="shipped")

    async def reasons(index: int = 0) -> list[tuple[str, str | None, bool, bool]]:
        read = await dossier(brand, index)
        assert [each.state for each in read.said if each.decides] == [read.item.state]
        return [(each.of, each.state, each.decides, each.excepted) for each in read.said]

    ranged: Any = ("range", "shipped", True, False)
    nothing: Any = [("lot", None, False, False), ("key", None, False, False)]
    assert await reasons() == [("item", None, False, False), ranged, *nothing]
    assert (await dossier(brand)).verdict.kind == "first_scan"

    await set_lot_state(
        brand.connection, programme_id=brand.programme.id, gtin=GTIN, code="L1", state="recalled", actor="owner"
    )
    assert (await reasons())[2] == ("lot", "recalled", True, False)
    assert (await dossier(brand)).verdict.kind == "recalled"

    code = ItemCode(GTIN, 1, 1)
    await change_item(brand.connection, programme_id=brand.programme.id, code=code, state="sold", exempt=True)
    told = await reasons(1)
    assert told[0] == ("item", "sold", True, False)
    assert told[2] == ("lot", "recalled", False, True)


async def test_an_item_s_story_is_told_in_one_line_of_time_and_looking_is_no_scan(brand: Brand) -> None:
    await brand.mint(48, lot="L1", state="shipped")
    programme_id = brand.programme.id
    case = Packing(sscc=CASE, items=[Interval(GTIN, 1, 0, 23)])
    at = NOON - timedelta(days=8)
    await pack(brand.connection, programme_id=programme_id, packings=[case], at=at)
    await pack(brand.connection, programme_id=programme_id, packings=[Packing(sscc=PALLET, units=[CASE])], at=at)
    member_id = await brand.member()
    await brand.scan(3, at=NOON - timedelta(hours=2))
    await brand.claim(member_id, 3, at=NOON - timedelta(hours=1))

    read = await dossier(brand, 3)

    assert [(step.source, step.what) for step in read.steps] == [
        ("range", "minted"),
        ("range", "shipped"),
        ("packing", "packed"),
        ("packing", "packed"),
        ("scan", "first_scan"),
        ("claim", "claimed"),
    ]
    assert read.units == [CASE, PALLET]
    assert read.item.claim is not None
    assert read.item.claim.member_id == member_id
    assert read.verdict.kind == "seen_before"
    assert (await dossier(brand, 3)).item.record.scan_count == 1


async def test_a_code_that_is_not_ours_says_why(brand: Brand) -> None:
    await brand.mint(5)
    for serial, reason in ((brand.serial(9), "not_minted"), ("0" * 16, "unknown_key"), ("x", "bad_serial")):
        read = await read_dossier(
            brand.connection, brand.keys, programme_id=brand.programme.id, gtin=GTIN, serial=serial
        )
        assert isinstance(read, NotAnItem)
        assert read.reason == reason


async def test_who_claimed_from_a_lot_is_listed_with_what_they_agreed_to(brand: Brand) -> None:
    await brand.mint(10, lot="L1", state="shipped")
    await brand.mint(10, lot="L2", state="shipped")
    keen, quiet, other = [await brand.member() for _ in range(3)]
    agreed = Consent(purpose=MARKETING_SMS, granted=True, text_version="1", given_at=NOON, source="item-page")
    await record_consent(brand.connection, member_id=keen, consent=agreed)
    for index, member_id in ((0, keen), (1, keen), (2, quiet), (12, other)):
        await brand.scan(index)
        await brand.claim(member_id, index, at=NOON - timedelta(minutes=index))
    intervals = await intervals_of_lot(brand.connection, programme_id=brand.programme.id, gtin=GTIN, lot="L1")

    claimants = await claimants_of(brand.connection, programme_id=brand.programme.id, intervals=intervals)

    assert {each.member_id: each.items for each in claimants} == {keen: 2, quiet: 1}
    contacts = await read_contacts(brand.connection, brand.keyring, claimants)
    assert {each.claimant.member_id: each.marketing_sms for each in contacts} == {keen: True, quiet: False}
    counts = await count_items(brand.connection, intervals)
    assert (counts.scanned, counts.claimed) == (3, 3)
    assert await claimants_of(brand.connection, programme_id=new_id(), intervals=intervals) == []


@pytest.mark.parametrize("limit", [0, 1])
async def test_a_list_ends_where_it_is_told_to(brand: Brand, limit: int) -> None:
    await brand.mint(10, lot="L1", state="shipped")
    for index in range(2):
        await brand.claim(await brand.member(), index)
    listed = await claimants_of(
        brand.connection, programme_id=brand.programme.id, intervals=[Interval(GTIN, 1, 0, 9)], limit=limit
    )
    assert len(listed) == limit
