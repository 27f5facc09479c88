"""A brand's own serials: taken whole or not at all, told by line what is wrong, and then codes like any other."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from loyalty.items.claims import Claim, RefusedTry
from loyalty.items.codes import ItemCode
from loyalty.items.exceptions import change_item
from loyalty.items.imported import IMPORTED_KID
from loyalty.items.importing import SerialFileError, import_serials
from loyalty.items.lookup import find_code, find_serial
from loyalty.items.lots import set_lot_state
from loyalty.items.ranges import CodeRange, RangePolicy, change_range_state, change_state, find_range, list_ranges
from loyalty.kit.errors import NotFoundError
from tests.db.items.conftest import GTIN, Brand

CSET_82 = """!"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"""


async def read(brand: Brand, file: str, **fields: Any) -> CodeRange:
    defaults: dict[str, Any] = {"programme_id": brand.programme.id, "gtin": GTIN, "print_order": "old codes"}
    return await import_serials(brand.connection, brand.keys, lines=io.StringIO(file, newline=""), **defaults | fields)


async def on_sale(brand: Brand, file: str, **fields: Any) -> CodeRange:
    imported = await read(brand, file, **fields)
    return await change_range_state(
        brand.connection, programme_id=brand.programme.id, range_id=imported.id, state="shipped"
    )


async def faults(brand: Brand, file: str, **fields: Any) -> dict[int, str]:
    savepoint = await brand.connection.begin_nested()
    with pytest.raises(SerialFileError) as refused:
        await read(brand, file, **fields)
    await savepoint.rollback()
    assert await brand.connection.scalar(text("SELECT count(*) FROM imported_line")) == 0
    return {each.line: each.reason for each in refused.value.lines}


async def test_an_imported_serial_is_scanned_claimed_and_recalled_like_any_other(brand: Brand) -> None:
    imported = await on_sale(brand, "serial\nAB-001\nAB-002\nAB-003\n", lot="L1")
    assert (imported.kid, imported.lo, imported.hi, imported.state) == (IMPORTED_KID, 0, 2, "shipped")
    assert (await brand.scan(serial="AB-002")).kind == "first_scan"
    assert (await brand.scan(serial="AB-002", device="phone-b")).kind == "seen_before"
    member = await brand.member()
    claimed = await brand.claim(member, serial="AB-002")
    assert isinstance(claimed, Claim)
    assert claimed.code == ItemCode(GTIN, IMPORTED_KID, 1)
    await change_item(brand.connection, programme_id=brand.programme.id, code=claimed.code, state="sold")
    await set_lot_state(brand.connection, programme_id=brand.programme.id, gtin=GTIN, code="L1", state="recalled")
    assert (await brand.scan(serial="AB-001")).kind == "recalled"
    assert (await brand.scan(serial="AB-002")).kind == "recalled"


async def test_serials_are_matched_as_they_are_written(brand: Brand) -> None:
    await on_sale(brand, "serial\nab-001\nAB-001\n")
    assert await find_code(brand.connection, brand.keys, gtin=GTIN, serial="AB-001") == ItemCode(GTIN, 0, 1)
    assert await find_code(brand.connection, brand.keys, gtin=GTIN, serial="ab-001") == ItemCode(GTIN, 0, 0)
    assert (await brand.scan(serial="aB-001")).kind == "unknown"
    assert await find_serial(brand.connection, brand.keys, ItemCode(GTIN, 0, 0)) == "ab-001"
    with pytest.raises(NotFoundError):
        await find_serial(brand.connection, brand.keys, ItemCode(GTIN, 0, 2))


async def test_every_character_of_gs1_is_taken_and_comes_back(brand: Brand) -> None:
    serials = [CSET_82[start : start + 20] for start in range(0, len(CSET_82), 20)]
    lines = "".join('"{}"\r\n'.format(serial.replace('"', '""')) for serial in serials)
    await on_sale(brand, "\ufeffSerial\r\n" + lines)
    for index, serial in enumerate(serials):
        assert await find_serial(brand.connection, brand.keys, ItemCode(GTIN, 0, index)) == serial
        assert (await brand.scan(serial=serial)).kind == "first_scan"


async def test_ranges_of_imported_serials_split_and_follow_each_other(brand: Brand) -> None:
    first = await read(brand, "serial\na\nb\nc\nd\n")
    second = await read(brand, "serial\ne\n")
    assert (first.lo, first.hi, second.lo) == (0, 3, 4)
    where: dict[str, Any] = {"programme_id": brand.programme.id, "gtin": GTIN, "kid": 0}
    await change_state(brand.connection, **where, lo=1, hi=2, state="activated")
    assert [(await brand.scan(serial=serial)).kind for serial in "abcd"] == [
        "not_activated",
        "first_scan",
        "first_scan",
        "not_activated",
    ]
    # Codes of our own keys have indexes of their own.
    assert (await brand.mint(3)).lo == 0


async def test_pins_that_come_along_are_asked_for_and_kept_as_digests(brand: Brand) -> None:
    await on_sale(brand, "pin,serial\nABC234,s1\nXYZ789,s2\n", policy=RangePolicy(pin_required=True))
    member = await brand.member()
    wrong = await brand.claim(member, serial="s1", pin="XYZ789")
    assert isinstance(wrong, RefusedTry)
    assert isinstance(await brand.claim(member, serial="s1", pin="abc-234"), Claim)
    query = text("SELECT pin_digest FROM imported_code WHERE gtin = :gtin")
    kept = (await brand.connection.execute(query, {"gtin": GTIN})).scalars().all()
    assert {len(digest) for digest in kept} == {16}


async def test_every_line_at_fault_is_told_with_its_reason_and_nothing_is_kept(brand: Brand) -> None:
    told = await faults(brand, "serial\nok\ntoo-long-for-a-gs1-serial\nwith blank\n\nz\u00fcrich\na,b\n")
    assert told == {
        3: "the serial has 25 characters; GS1 allows 20",
        4: "' ' is not a character that GS1 allows in a serial",
        6: "'\u00fc' is not a character that GS1 allows in a serial",
        7: "has 2 fields, not 1",
    }
    assert await list_ranges(brand.connection, programme_id=brand.programme.id) == []
    assert await find_range(brand.connection, gtin=GTIN, kid=0, index=0) is None


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("", {1: "has to name the columns: serial, and pin where there are PINs"}),
        ("AB-001\nAB-002\n", {1: "has to name the columns: serial, and pin where there are PINs"}),
        ("serial,colour\na,red\n", {1: "has to name the columns: serial, and pin where there are PINs"}),
        ("serial\n", {1: "there are no serials in this file"}),
        ("serial\na\nb\na\nc\nb\n", {4: "is the same as line 2", 6: "is the same as line 3"}),
        ('serial\n"a\n', {2: "is not CSV: unexpected end of data"}),
        ("serial,pin\na,12\n", {2: "a PIN has 4 to 20 characters without blanks, such as 6 letters and digits"}),
    ],
)
async def test_a_file_that_cannot_be_taken_says_why(brand: Brand, file: str, told: dict[int, str]) -> None:
    assert await faults(brand, file) == told


async def test_serials_that_are_known_or_are_codes_of_ours_are_refused(brand: Brand) -> None:
    await read(brand, "serial\na\n")
    assert await faults(brand, "serial\nb\na\n") == {3: "was imported before"}
    ours = brand.serial(5).lower()
    assert await faults(brand, f"serial\nb\n{ours}\n") == {3: "is a code that one of your own keys made"}


async def test_pins_that_are_required_have_to_be_there(brand: Brand) -> None:
    policy = RangePolicy(pin_required=True)
    assert list(await faults(brand, "serial\na\n", policy=policy)) == [1]
    assert await faults(brand, "serial,pin\na,1234\nb,\n", policy=policy) == {3: "has no PIN"}


async def test_a_long_file_is_told_its_first_twenty_faults_and_streamed(brand: Brand) -> None:
    taken = 0

    def lines() -> Iterator[str]:
        nonlocal taken
        yield "serial\n"
        for number in range(100_000):
            taken += 1
            yield "a b\n" if number >= 30_000 else f"S{number}\n"

    with pytest.raises(SerialFileError) as refused:
        await import_serials(
            brand.connection,
            brand.keys,
            programme_id=brand.programme.id,
            gtin=GTIN,
            lines=lines(),
            print_order="long",
        )
    assert [each.line for each in refused.value.lines] == list(range(30_002, 30_022))
    assert taken < 30_100
