"""The trace desk in the console: anything is found, each thing done has a reason, a recall says what it will do."""

from __future__ import annotations

import csv
import io
from urllib.parse import urlencode

import pytest

from loyalty.items.claims import claim
from loyalty.items.packing.intervals import Interval
from loyalty.items.packing.packing import Packing, pack
from loyalty.items.packing.sscc import make_sscc
from loyalty.items.ranges import CodeRange, change_range_state, mint_range
from loyalty.items.scans import scan
from loyalty.items.verdicts import Place
from loyalty.kit.db import transaction
from tests.web.console.conftest import GTIN, Life
from tests.web.house import House
from tests.web.member.conftest import Browser

CASE = make_sscc("9521234", 77)


class Goods:
    """A shipped print order of 12 items in a case, the first claimed by Lin Yue."""

    def __init__(self, house: House, order: CodeRange) -> None:
        self.house = house
        self.order = order

    def serial(self, piece: int) -> str:
        return self.house.services.item_keys.for_product(GTIN, self.order.kid).mint(self.order.lo + piece)

    def page(self, piece: int) -> str:
        return "/console/trace/item?" + urlencode({"gtin": GTIN, "serial": self.serial(piece)})


@pytest.fixture(scope="session")
async def goods(house: House, life: Life) -> Goods:
    programme_id, keys = house.programme.id, house.services.item_keys
    async with transaction(house.engine) as connection:
        minted = await mint_range(
            connection, keys, programme_id=programme_id, gtin=GTIN, count=12, print_order="PO-TRACE", lot="L-TRACE"
        )
        order = await change_range_state(connection, programme_id=programme_id, range_id=minted.id, state="shipped")
        goods = Goods(house, order)
        items = [Interval(GTIN, order.kid, order.lo, order.hi)]
        await pack(connection, programme_id=programme_id, packings=[Packing(sscc=CASE, items=items)])
        serial = goods.serial(0)
        place = Place(city="上海", region="CN-SH", latitude=31.2, longitude=121.4, source="device")
        await scan(connection, keys, programme_id=programme_id, gtin=GTIN, serial=serial, device="a", place=place)
        await claim(
            connection,
            keys,
            programme_id=programme_id,
            gtin=GTIN,
            serial=serial,
            member_id=life.member.id,
            device="a",
        )
    return goods


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_every_page_is_there_in_both_languages(house: House, goods: Goods, language: str) -> None:
    lot = urlencode({"gtin": GTIN, "lot": "L-TRACE"})
    pages = [
        "/console/trace",
        "/console/trace?q=nobody",
        goods.page(0),
        f"/console/trace/unit?sscc={CASE}",
        f"/console/trace/lot?{lot}",
        f"/console/trace/lot/recall?{lot}",
        "/console/scans",
        "/console/scans?days=365",
        "/console/scans/thresholds",
    ]
    async with house.at_work("zhao.lei", language=language) as browser:
        for path in pages:
            assert (await browser.get(path)).status_code == 200, path
        for path in ("/console/trace/unit?sscc=1", f"/console/trace/item?gtin={GTIN}&serial=X"):
            assert (await browser.get(path)).status_code == 404, path


async def test_a_clerk_sees_nothing_of_it_and_crm_changes_nothing(house: House, goods: Goods) -> None:
    async with house.at_work("li.na") as clerk:
        for path in ("/console/trace", goods.page(0), "/console/alerts", "/console/scans"):
            assert (await clerk.get(path)).status_code == 403, path
    fields = {"gtin": GTIN, "serial": goods.serial(1), "act": "recall", "reason": "x", "lot": "L-TRACE", "sscc": CASE}
    async with house.at_work("chen.min") as crm:
        await crm.get(goods.page(1))
        assert "Recall this item" not in crm.words
        for path in ("/item", "/unit", "/lot", "/lot/claimants.csv"):
            assert (await crm.send(f"/console/trace{path}", **fields)).status_code == 403, path


async def test_one_box_leads_to_what_was_meant(manager: Browser, goods: Goods) -> None:
    serial = goods.serial(0)
    for typed in (f"https://elsewhere.example/01/{GTIN}/21/{serial}?x=1", f"(01){GTIN}(21){serial}", serial.lower()):
        await manager.get("/console/trace?" + urlencode({"q": typed}))
        assert f"Longjing tea Shipped {serial}" in manager.words, typed
    assert "Genuine code, scanned before" in manager.words
    assert "Its part of the print order Shipped this counts" in manager.words
    assert "Lin Yue" in manager.words
    assert CASE in manager.words
    assert 'class="chart__spot' in manager.text
    await manager.get("/console/trace?q=" + CASE)
    assert "Items in it 12" in manager.words
    await manager.get("/console/trace?q=L-TRACE")
    assert "Codes 12" in manager.words


async def test_what_is_done_with_an_item_needs_a_reason_and_is_written_down(admin: Browser, goods: Goods) -> None:
    fields = {"gtin": GTIN, "serial": goods.serial(2)}
    await admin.get(goods.page(2))
    refused = await admin.send("/console/trace/item", act="recall", reason=" ", **fields)
    assert refused.status_code == 422
    assert "Give a reason" in admin.words

    await admin.send("/console/trace/item", act="recall", reason="broken seal", **fields)
    assert "This item is recalled." in admin.words
    assert "The item itself Recalled this counts" in admin.words
    await admin.send("/console/trace/item", act="release", reason="it was another one", **fields)
    assert "The item is found good." in admin.words
    assert "Longjing tea Shipped" in admin.words
    assert "Recalled the item Zhao Lei" in admin.words
    assert "it was another one" in admin.words


async def test_a_lot_is_recalled_after_saying_what_will_happen(admin: Browser, goods: Goods) -> None:
    where = {"gtin": GTIN, "lot": "L-TRACE"}
    await admin.get("/console/trace/lot/recall?" + urlencode(where))
    assert "its 12 codes say that the items are recalled" in admin.words
    assert "1 person has claimed one" in admin.words
    assert (await admin.send("/console/trace/lot", act="recall", reason="", **where)).status_code == 422
    await admin.send("/console/trace/lot", act="recall", reason="mould", **where)
    assert "The lot is recalled, from the next scan on." in admin.words
    await admin.get(goods.page(3))
    assert "Its lot Recalled this counts" in admin.words

    taken = await admin.send("/console/trace/lot/claimants.csv", only="", **where)
    (row,) = csv.DictReader(io.StringIO(taken.content.decode("utf-8-sig")))
    assert (row["name"], row["items"], row["agreed_to_sms"]) == ("Lin Yue", "1", "no")
    assert row["phone"].startswith("+86")
    await admin.get("/console/trace/lot?" + urlencode(where))
    agreed = await admin.send("/console/trace/lot/claimants.csv", only="agreed", **where)
    assert list(csv.DictReader(io.StringIO(agreed.content.decode("utf-8-sig")))) == []
    await admin.get("/console/trace/lot?" + urlencode(where))
    assert "Took the list of who claimed Zhao Lei" in admin.words
    await admin.send("/console/trace/lot", act="release", reason="tested", **where)
    assert "The recall is lifted." in admin.words


async def test_a_case_is_sold_to_a_dealer_and_called_back(admin: Browser, goods: Goods) -> None:
    await admin.get(f"/console/trace/unit?sscc={CASE}")
    await admin.send("/console/trace/unit", sscc=CASE, act="dealer", dealer="Xiling", region="cn-sc")
    assert "Xiling" in admin.words
    assert "Sichuan" in admin.words
    await admin.send("/console/trace/unit", sscc=CASE, act="recall", reason="wet")
    assert "All in it is recalled." in admin.words
    await admin.get(goods.page(5))
    assert "Its part of the print order Recalled this counts" in admin.words
