"""Exports: made once, encrypted for their printer, handed out once to one holder, and gone on with where they broke."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pyrage
import pytest
from sqlalchemy import text

from loyalty.items import handing_out
from loyalty.items.exports import (
    CodesHandedOutError,
    Export,
    ExportStateError,
    create_export,
    create_pins_export,
    get_export,
    list_exports,
    record_labels,
    withdraw_export,
)
from loyalty.items.handing_out import (
    Download,
    NoSuchBytesError,
    Stream,
    begin_download,
    end_download,
    entity_tag,
    file_size,
    list_downloads,
)
from loyalty.items.leaks import list_leaks
from loyalty.items.printers import Printer, get_printer_by_name, list_printers, retire_printer, save_printer
from loyalty.items.ranges import CodeRange, RangeStateError, change_state, list_ranges
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from tests.db.items.conftest import GTIN, NOON, Brand

IDENTITY = pyrage.x25519.Identity.generate()
BASE = "https://t.example"


async def export(brand: Brand, minted: CodeRange, **fields: Any) -> Export:
    values: dict[str, Any] = {"programme_id": brand.programme.id, "range_id": minted.id, "base_url": BASE}
    return await create_export(brand.connection, **values | fields)


async def printer(brand: Brand, name: str = "Golden Press", *, encrypted: bool = True) -> Printer:
    recipient = str(IDENTITY.to_public()) if encrypted else None
    return await save_printer(brand.connection, programme_id=brand.programme.id, name=name, recipient=recipient)


async def begin(brand: Brand, made: Export, *, actor: str = "zhao", first_byte: int = 0) -> Download:
    return await begin_download(
        brand.connection,
        brand.keys,
        programme_id=brand.programme.id,
        export_id=made.id,
        actor=actor,
        address="203.0.113.7",
        first_byte=first_byte,
    )


async def fetch(brand: Brand, made: Export, *, workers: int = 0, **fields: Any) -> bytes:
    download = await begin(brand, made, **fields)
    stream = Stream(brand.keys, made, first_byte=download.first_byte, workers=workers)
    content = b"".join(bytes(piece) for piece in stream)
    await end_download(brand.connection, download, stream)
    return content


async def fetch_some(brand: Brand, made: Export, pieces: int) -> bytes:
    """The first pieces of a download that then breaks off."""
    download, stream = await begin(brand, made), Stream(brand.keys, made)
    taken = [bytes(piece) for _, piece in zip(range(pieces), stream, strict=False)]
    await end_download(brand.connection, download, stream)
    return b"".join(taken)


def lines(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


async def again(brand: Brand, made: Export) -> Export:
    return await get_export(brand.connection, programme_id=brand.programme.id, export_id=made.id)


async def test_a_file_is_handed_out_once_and_its_hash_is_kept(brand: Brand) -> None:
    made = await export(brand, await brand.mint(50, lot="L1"), case_size=24, actor="zhao")
    assert (made.state, made.lines, made.file_name) == ("ready", 50, f"{made.public_id}.csv")
    content = await fetch(brand, made)
    assert [line["serial"] for line in lines(content)] == [brand.serial(index) for index in range(50)]
    assert {line["pin"] for line in lines(content)} == {""}
    assert {line["lot"] for line in lines(content)} == {"L1"}
    spent = await again(brand, made)
    assert (spent.state, spent.size, spent.sha256) == ("completed", len(content), sha256(content).digest())
    assert file_size(brand.keys, made) == len(content)
    with pytest.raises(ExportStateError, match="handed out already"):
        await begin(brand, made)
    (record,) = await list_downloads(brand.connection, export_ids=[made.id])
    assert (record.actor, record.address, record.sent_bytes, record.completed) == (
        "zhao",
        "203.0.113.7",
        len(content),
        True,
    )
    assert record.sha256 == sha256(content).digest()


@pytest.mark.parametrize(("encrypted", "packed"), [(False, False), (True, False), (False, True), (True, True)])
async def test_what_the_printer_opens_is_the_file_however_it_was_wrapped(
    brand: Brand, encrypted: bool, packed: bool
) -> None:
    minted = await brand.mint(200)
    made = await export(brand, minted, packed=packed, printer_id=(await printer(brand, encrypted=encrypted)).id)
    assert made.file_name.endswith(f".csv{'.gz' if packed else ''}{'.age' if encrypted else ''}")
    content = await fetch(brand, made)
    opened = pyrage.decrypt(content, [IDENTITY]) if encrypted else content
    plain = gzip.decompress(opened) if packed else opened
    assert [line["serial"] for line in lines(plain)] == [brand.serial(index) for index in range(200)]
    assert file_size(brand.keys, made) == (None if packed else len(content))


@pytest.mark.parametrize(("encrypted", "packed"), [(False, False), (True, False), (True, True)])
async def test_a_download_that_broke_off_goes_on_and_ends_in_the_same_file(
    brand: Brand, encrypted: bool, packed: bool
) -> None:
    minted = await brand.mint(100_000)
    made = await export(brand, minted, packed=packed, printer_id=(await printer(brand, encrypted=encrypted)).id)
    first = await fetch_some(brand, made, 3 if encrypted else 1 + (not packed))
    assert (await again(brand, made)).state == "begun"
    rest = await fetch(brand, made, first_byte=len(first) - 17)
    whole = first[:-17] + rest
    spent = await again(brand, made)
    assert (spent.state, spent.size, spent.sha256) == ("completed", len(whole), sha256(whole).digest())
    opened = pyrage.decrypt(whole, [IDENTITY]) if encrypted else whole
    plain = gzip.decompress(opened) if packed else opened
    assert len(lines(plain)) == 100_000
    records = await list_downloads(brand.connection, export_ids=[made.id])
    assert [(each.first_byte, each.sent_bytes, each.completed) for each in records] == [
        (len(first) - 17, len(rest), True),
        (0, len(first), False),
    ]


async def test_nobody_else_goes_on_with_it_and_nobody_skips_what_was_not_sent(brand: Brand) -> None:
    made = await export(brand, await brand.mint(100_000))
    sent = await fetch_some(brand, made, 3)
    with pytest.raises(ExportStateError, match="somebody else began"):
        await begin(brand, made, actor="li")
    with pytest.raises(NoSuchBytesError):
        await begin(brand, made, first_byte=len(sent) + 1)
    with pytest.raises(NoSuchBytesError):
        await begin(brand, made, first_byte=10**12)
    assert len(await fetch(brand, made)) > len(sent)


async def test_after_a_server_died_in_the_middle_the_download_goes_on_from_wherever_it_was(brand: Brand) -> None:
    made = await export(brand, await brand.mint(50_000))
    await begin(brand, made)  # and nothing ever ended it
    whole = b"".join(bytes(piece) for piece in Stream(brand.keys, made))
    assert await fetch(brand, made, first_byte=1_000_000) == whole[1_000_000:]


async def test_several_processes_hand_out_the_same_bytes(brand: Brand) -> None:
    made = await export(brand, await brand.mint(200_000), printer_id=(await printer(brand)).id)
    one = b"".join(bytes(piece) for piece in Stream(brand.keys, made))
    assert await fetch(brand, made, workers=2) == one


async def test_two_exports_of_the_same_codes_share_no_secret(brand: Brand) -> None:
    minted, golden = await brand.mint(50), await printer(brand)
    one = await export(brand, minted, printer_id=golden.id)
    two = await export(brand, minted, printer_id=golden.id, again=True)
    contents = [b"".join(bytes(piece) for piece in Stream(brand.keys, made)) for made in (one, two)]
    assert contents[0] != contents[1]
    assert contents[0][:200] != contents[1][:200]
    assert entity_tag(one) != entity_tag(two)
    assert pyrage.decrypt(contents[0], [IDENTITY]) == pyrage.decrypt(contents[1], [IDENTITY])


async def test_the_bytes_of_an_export_are_settled_for_ever(brand: Brand) -> None:
    """If this fails, `_FORMAT` of handing_out has to count up: one secret must never encrypt two contents."""
    assert handing_out._FORMAT == 1
    made = await export(brand, await brand.mint(3, lot="L1"), contents="all", case_size=2)
    content = b"".join(bytes(piece) for piece in Stream(brand.keys, made))
    assert sha256(content).hexdigest() == "9f4883f86d0da50c5e1349cdd22f12e8173136db7569e2e181beed60ba76771e"


async def test_codes_in_one_file_do_not_go_into_another_unless_somebody_says_so(brand: Brand) -> None:
    minted = await brand.mint(50)
    first = await export(brand, minted)
    with pytest.raises(CodesHandedOutError, match=first.public_id):
        await export(brand, minted, contents="all")
    await withdraw_export(brand.connection, programme_id=brand.programme.id, export_id=first.id)
    second = await export(brand, minted)
    with pytest.raises(ExportStateError, match="was withdrawn"):
        await begin(brand, first)
    await fetch(brand, second)
    with pytest.raises(ExportStateError, match="handed out already"):
        await withdraw_export(brand.connection, programme_id=brand.programme.id, export_id=second.id)
    listed = await list_exports(brand.connection, programme_id=brand.programme.id, range_ids=[minted.id])
    assert [made.id for made in listed] == [second.id, first.id]


async def test_pins_go_to_another_printer_line_by_line(brand: Brand) -> None:
    minted, golden, silver = await brand.mint(60), await printer(brand), await printer(brand, "Silver Press")
    serials = await export(brand, minted, printer_id=golden.id, honey=5, case_size=10)
    where: dict[str, Any] = {"programme_id": brand.programme.id, "export_id": serials.id}
    with pytest.raises(InvalidInputError, match="PINs go to another one"):
        await create_pins_export(brand.connection, **where, printer_id=golden.id)
    pins = await create_pins_export(brand.connection, **where, printer_id=silver.id)
    named, secret = [lines(pyrage.decrypt(await fetch(brand, made), [IDENTITY])) for made in (serials, pins)]
    assert [line["seq"] for line in named] == [line["seq"] for line in secret]
    keys = brand.keys.for_product(GTIN, 1)
    for one, other in zip(named, secret, strict=True):
        code = keys.verify(one["serial"])
        assert code is not None
        assert (other["serial"], other["url"], one["pin"]) == ("", "", "")
        assert keys.verify_pin(code.index, other["pin"])
    with pytest.raises(CodesHandedOutError):
        await create_pins_export(brand.connection, **where)
    with pytest.raises(InvalidInputError, match="say of which"):
        await export(brand, minted, contents="pins", again=True)
    with pytest.raises(InvalidInputError, match="without PINs"):
        await create_pins_export(brand.connection, programme_id=brand.programme.id, export_id=pins.id)


async def test_honey_stands_at_places_nobody_foresees_and_is_never_sold(brand: Brand) -> None:
    minted = await brand.mint(100)
    made = await export(brand, minted, honey=10)
    assert made.lines == 110
    content = lines(await fetch(brand, made))
    indexes = brand.keys.for_product(GTIN, 1).verify_many([line["serial"] for line in content]).tolist()
    honey = [index for index in indexes if index > minted.hi]
    assert [index for index in indexes if index <= minted.hi] == list(range(100))
    assert honey == list(range(made.honey_lo or 0, (made.honey_hi or 0) + 1))
    other = await export(brand, minted, honey=10, again=True)
    assert made.layout.honey_lines != other.layout.honey_lines
    assert (other.honey_lo or 0) > (made.honey_hi or 0)
    where: dict[str, Any] = {"programme_id": brand.programme.id, "gtin": GTIN, "kid": 1}
    for lo, hi in ((100, 109), (0, 109), (105, 105)):
        with pytest.raises(RangeStateError, match="out to catch a leak"):
            await change_state(brand.connection, **where, lo=lo, hi=hi, state="activated")
    assert [found.id for found in await list_ranges(brand.connection, programme_id=brand.programme.id)] == [minted.id]
    assert (await brand.mint(5)).lo == (other.honey_hi or 0) + 1


async def test_a_scan_of_honey_names_the_printer_who_leaked(brand: Brand) -> None:
    minted, golden, silver = await brand.mint(20), await printer(brand), await printer(brand, "Silver Press")
    first = await export(brand, minted, printer_id=golden.id, honey=3)
    second = await export(brand, minted, printer_id=silver.id, honey=3, again=True)
    assert second.honey_lo is not None
    for device, days in (("phone-x", 2), ("phone-y", 1)):
        verdict = await brand.scan(
            second.honey_lo + 1, device=device, at=NOON - timedelta(days=days), address="198.51.100.9"
        )
        assert (verdict.kind, verdict.reason) == ("unknown", "honey")
    (leak,) = await list_leaks(brand.connection, brand.keys, programme_id=brand.programme.id)
    assert [(source.export.id, source.printer and source.printer.name) for source in leak.sources] == [
        (second.id, "Silver Press")
    ]
    assert (leak.serial, leak.times, leak.devices) == (brand.serial(second.honey_lo + 1), 2, 2)
    assert leak.networks == ["198.51.100.0/24"]
    assert leak.last_at == NOON - timedelta(days=1)
    assert first.id != second.id
    later = await list_leaks(brand.connection, brand.keys, programme_id=brand.programme.id, since=NOON)
    assert later == []


async def test_labels_are_written_down_as_handed_out(brand: Brand) -> None:
    minted = await brand.mint(20)
    made = await record_labels(brand.connection, minted, lo=0, hi=11, base_url=BASE, actor="zhao")
    assert (made.state, made.contents, made.lines, made.created_by) == ("completed", "labels", 12, "zhao")
    assert made.handed_out_at is not None
    with pytest.raises(CodesHandedOutError):
        await export(brand, minted)


async def test_the_database_grows_by_rows_of_the_order_of_ranges(brand: Brand) -> None:
    async def counts() -> dict[str, int]:
        return {
            table: (await brand.connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
            for table in ("code_range", "item", "code_export", "code_download", "imported_code", "range_event")
        }

    before = await counts()  # tests that commit leave rows in the worker's database
    minted = await brand.mint(1_000_000)
    await fetch(brand, await export(brand, minted, honey=100))
    assert {table: count - before[table] for table, count in (await counts()).items()} == {
        "code_range": 2,
        "item": 0,
        "code_export": 1,
        "code_download": 1,
        "imported_code": 0,
        "range_event": 1,
    }


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"honey": -1}, "honey"),
        ({"honey": 1001}, "honey"),
        ({"case_size": 0}, "case_size"),
        ({"base_url": 'a"'}, "base_url"),
    ],
)
async def test_an_export_that_cannot_be_is_refused_by_its_field(
    brand: Brand, fields: dict[str, Any], field: str
) -> None:
    minted = await brand.mint(5)
    with pytest.raises(InvalidInputError) as refused:
        await export(brand, minted, **fields)
    assert refused.value.field == field


async def test_printers_are_kept_by_name_and_a_retired_one_is_handed_nothing(brand: Brand) -> None:
    golden = await printer(brand)
    changed = await printer(brand, encrypted=False)
    assert (changed.id, changed.recipient) == (golden.id, None)
    await printer(brand, "Silver Press")
    retired = await retire_printer(brand.connection, programme_id=brand.programme.id, printer_id=golden.id)
    listed = await list_printers(brand.connection, programme_id=brand.programme.id)
    assert [each.name for each in listed] == ["Silver Press", "Golden Press"]
    minted = await brand.mint(5)
    with pytest.raises(InvalidInputError, match="nothing more"):
        await export(brand, minted, printer_id=retired.id)
    assert (await printer(brand)).retired_at is None
    found = await get_printer_by_name(brand.connection, programme_id=brand.programme.id, name="Golden Press ")
    assert found.id == golden.id
    for wrong in ({"name": " "}, {"recipient": "age1nonsense"}, {"note": "x" * 3000}):
        values: dict[str, Any] = {"programme_id": brand.programme.id, "name": "P"}
        with pytest.raises(InvalidInputError):
            await save_printer(brand.connection, **values | wrong)
    with pytest.raises(NotFoundError):
        await export(brand, minted, printer_id=new_id())


async def test_another_programmes_exports_do_not_exist(brand: Brand) -> None:
    made = await export(brand, await brand.mint(5))
    with pytest.raises(NotFoundError):
        await get_export(brand.connection, programme_id=new_id(), export_id=made.id)
    with pytest.raises((NotFoundError, ConflictError)):
        await begin_download(brand.connection, brand.keys, programme_id=new_id(), export_id=made.id, actor="eve")
