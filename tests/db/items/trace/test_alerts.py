"""Scans raise alerts, each once; somebody takes them on and closes them with a word why."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import timedelta
from hashlib import sha256

import pytest

from loyalty.items.codes import ItemCode
from loyalty.items.exceptions import clear_suspicion
from loyalty.items.exports import create_export
from loyalty.items.printers import save_printer
from loyalty.items.ranges import assign_dealer, change_range_state
from loyalty.items.trace.alerts import (
    Alert,
    AlertReopenedError,
    Place,
    alert_history,
    change_alert,
    count_open,
    list_alerts,
    watch,
)
from loyalty.items.trace.evidence import pack_evidence, read_records
from loyalty.items.trace.settings import AlertSettings, read_alert_settings, save_alert_settings
from loyalty.items.verdicts import Place as Where
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from tests.db.items.conftest import GTIN, NOON, Brand

SHANGHAI = Where(city="上海", region="CN-SH", latitude=31.23, longitude=121.47, source="device")
CHENGDU = Where(city="成都", region="CN-SC", latitude=30.57, longitude=104.07, source="device")


async def seen(brand: Brand, *, after: timedelta = timedelta(0)) -> list[Alert]:
    await watch(brand.connection, brand.keys, programme_id=brand.programme.id, now=NOON + after)
    return await list_alerts(brand.connection, programme_id=brand.programme.id, states=("open", "acknowledged"))


async def copy(brand: Brand, index: int = 0) -> None:
    await brand.scan(index, device="phone-a", place=SHANGHAI, at=NOON - timedelta(hours=2))
    await brand.scan(index, device="phone-b", place=CHENGDU, at=NOON - timedelta(hours=1, minutes=50))


async def divert(brand: Brand, indexes: range) -> None:
    for index in indexes:
        await brand.scan(index, device=f"phone-{index}", place=CHENGDU, at=NOON - timedelta(hours=1))


async def close(brand: Brand, alert: Alert, note: str = "looked at") -> Alert:
    return await change_alert(
        brand.connection,
        programme_id=brand.programme.id,
        alert_id=alert.id,
        state="closed",
        note=note,
        actor="staff:owner",
    )


async def test_a_copy_raises_one_alert_however_often_it_is_looked_for(brand: Brand) -> None:
    await brand.mint(10, state="shipped")
    await copy(brand)
    (alert,) = await seen(brand)
    assert (alert.kind, alert.state, alert.about.index, alert.times) == ("suspected_copy", "open", 0, 2)
    assert await seen(brand) == [alert]

    await brand.scan(0, device="phone-c", place=CHENGDU)
    (more,) = await seen(brand)
    assert (more.id, more.times) == (alert.id, 3)
    assert [event.kind for event in await alert_history(brand.connection, alert)] == ["raised"]


async def test_an_alert_is_closed_with_a_word_and_what_was_seen_before_raises_no_new_one(brand: Brand) -> None:
    await brand.mint(10, state="shipped")
    await copy(brand)
    (alert,) = await seen(brand)
    with pytest.raises(InvalidInputError) as refused:
        await close(brand, alert, note=" ")
    assert refused.value.field == "note"

    closed = await close(brand, alert)
    assert (closed.state, closed.note, closed.state_by) == ("closed", "looked at", "staff:owner")
    assert await seen(brand) == []
    # The same code is suspected anew after it was cleared, later than the alert was closed.
    await clear_suspicion(
        brand.connection, programme_id=brand.programme.id, code=ItemCode(GTIN, 1, 0), at=closed.state_at
    )
    later = closed.state_at - NOON + timedelta(hours=1)
    for device, place in (("phone-d", SHANGHAI), ("phone-e", CHENGDU)):
        await brand.scan(0, device=device, place=place, at=NOON + later)
    (anew,) = await seen(brand, after=later)
    assert anew.id != alert.id
    with pytest.raises(AlertReopenedError):
        await change_alert(
            brand.connection, programme_id=brand.programme.id, alert_id=alert.id, state="open", actor="staff:owner"
        )


async def test_taking_on_closing_and_opening_again_are_written_down(brand: Brand) -> None:
    await brand.mint(10, state="shipped")
    await copy(brand)
    (alert,) = await seen(brand)
    assert await count_open(brand.connection, programme_id=brand.programme.id) == 1
    how = {"programme_id": brand.programme.id, "alert_id": alert.public_id, "actor": "staff:owner"}
    for state, note in (("acknowledged", ""), ("acknowledged", ""), ("closed", "a typing error"), ("open", "no")):
        await change_alert(brand.connection, state=state, note=note, **how)  # type: ignore[arg-type]
    history = await alert_history(brand.connection, alert)
    assert [(event.kind, event.actor, event.note) for event in history] == [
        ("raised", None, ""),
        ("acknowledged", "staff:owner", ""),
        ("closed", "staff:owner", "a typing error"),
        ("reopened", "staff:owner", "no"),
    ]
    with pytest.raises(NotFoundError):
        await change_alert(brand.connection, state="closed", note="x", **how | {"programme_id": new_id()})  # type: ignore[arg-type]


async def test_diversion_is_told_by_dealer_from_five_items_on(brand: Brand) -> None:
    await brand.mint(1000, state="shipped", region="CN-SH")
    where = {"programme_id": brand.programme.id, "gtin": GTIN, "kid": 1}
    await assign_dealer(brand.connection, lo=0, hi=499, dealer="East", **where)  # type: ignore[arg-type]
    await assign_dealer(brand.connection, lo=500, hi=999, dealer="South", **where)  # type: ignore[arg-type]
    for index in range(100, 400):
        await brand.scan(index, device=f"buyer-{index}", place=SHANGHAI)
    await divert(brand, range(4))
    assert await seen(brand) == []  # four items of more than three hundred

    await divert(brand, range(4, 5))
    (alert,) = await seen(brand)
    assert (alert.kind, alert.about.dealer, alert.about.region, alert.times) == ("diverted", "East", "CN-SH", 5)
    # Two of two are all of what was seen of the other dealer's goods.
    await divert(brand, range(500, 502))
    assert {each.about.dealer for each in await seen(brand)} == {"East", "South"}


async def test_thresholds_are_the_brand_s(brand: Brand) -> None:
    await brand.mint(10, state="shipped", region="CN-SH")
    await divert(brand, range(3))
    assert await seen(brand) == []  # goods without a dealer have no share
    how = {"programme_id": brand.programme.id, "actor": "staff:owner"}
    await save_alert_settings(brand.connection, settings=AlertSettings(diverted_items=3), **how)  # type: ignore[arg-type]
    assert [alert.kind for alert in await seen(brand)] == ["diverted"]
    with pytest.raises(InvalidInputError) as refused:
        await save_alert_settings(brand.connection, settings=AlertSettings(diverted_items=0), **how)  # type: ignore[arg-type]
    assert refused.value.field == "diverted_items"
    assert (await read_alert_settings(brand.connection, programme_id=brand.programme.id)).diverted_items == 3


async def test_a_honey_code_names_the_printer_and_its_evidence_the_file(brand: Brand) -> None:
    minted = await brand.mint(20)
    printer = await save_printer(brand.connection, programme_id=brand.programme.id, name="Golden Press")
    export = await create_export(
        brand.connection,
        programme_id=brand.programme.id,
        range_id=minted.id,
        base_url="https://example.com",
        printer_id=printer.id,
        honey=2,
    )
    await change_range_state(brand.connection, programme_id=brand.programme.id, range_id=minted.id, state="shipped")
    for index in (export.honey_lo, export.honey_hi):
        assert index is not None
        assert (await brand.scan(index, device=f"phone-{index}")).kind == "unknown"
    (alert,) = await seen(brand)
    assert (alert.kind, alert.about.printer, alert.times) == ("honey_leak", "Golden Press", 2)

    records = await read_records(brand.connection, brand.keys, alert)
    assert len(records.refusals) == 2
    assert [each.id for each in records.exports] == [export.id]


async def test_wrong_codes_from_one_phone_and_one_code_on_many_phones_are_two_things(brand: Brand) -> None:
    await brand.mint(10, state="shipped")
    wrong = "9" + brand.serial(0)[1:]
    for number in range(3):
        await brand.scan(serial=wrong, device=f"phone-{number}", address=f"192.0.2.{number}")
    (alert,) = await seen(brand)
    assert (alert.kind, alert.about.serial, alert.times) == ("false_code", wrong, 3)
    for number in range(10):
        serial = f"{number}{brand.serial(0)[1:-1]}X"
        await brand.scan(serial=serial, device="phone-z", address="198.51.100.7", at=NOON - timedelta(minutes=number))
    kinds = {(each.kind, each.about.network or bool(each.about.device)) for each in await seen(brand)}
    assert kinds == {("false_code", False), ("refused_burst", True), ("refused_burst", "198.51.100.0/24")}


async def test_evidence_holds_the_scans_and_the_hash_of_each_file(brand: Brand) -> None:
    await brand.mint(10, state="shipped", lot="L1")
    await copy(brand)
    (alert,) = await seen(brand)
    records = await read_records(brand.connection, brand.keys, alert)
    packed = pack_evidence(records, taken_at=NOON, taken_by="staff:owner")
    assert packed == pack_evidence(records, taken_at=NOON, taken_by="staff:owner")
    assert packed.sha256 == sha256(packed.content).hexdigest()

    archive = zipfile.ZipFile(io.BytesIO(packed.content))
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["complete"] is True
    assert {each["name"] for each in manifest["files"]} == set(archive.namelist()) - {"manifest.json"}
    for each in manifest["files"]:
        assert sha256(archive.read(each["name"])).hexdigest() == each["sha256"]
    scans = list(csv.DictReader(io.StringIO(archive.read("scans.csv").decode("utf-8-sig"))))
    assert [(row["serial"], row["city"]) for row in scans] == [(brand.serial(0), "成都"), (brand.serial(0), "上海")]
    (leap,) = csv.DictReader(io.StringIO(archive.read("leaps.csv").decode("utf-8-sig")))
    assert int(leap["speed_kmh"]) > 9_000
    (ranged,) = csv.DictReader(io.StringIO(archive.read("ranges.csv").decode("utf-8-sig")))
    assert ranged["lot"] == "L1"


async def test_alerts_come_in_pages(brand: Brand) -> None:
    await brand.mint(10, state="shipped")
    for index in range(3):
        await copy(brand, index)
    await seen(brand)
    told: list[Alert] = []
    after = None
    while page := await list_alerts(brand.connection, programme_id=brand.programme.id, after=after, limit=2):
        told += page
        after = Place(page[-1].last_at, page[-1].id)
    assert sorted(alert.about.index or 0 for alert in told) == [0, 1, 2]
