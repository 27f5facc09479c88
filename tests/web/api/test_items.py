"""Products and item codes over HTTP: minted, printed, activated, scanned, claimed once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.products import Product
from loyalty.kit.db import transaction
from loyalty.kit.programme import Programme
from tests.factories import make_product
from tests.web.conftest import Api, assert_problem

SCANNER = {"device": "phone-1"}


@pytest.fixture
async def product(engine: AsyncEngine, brand: Programme) -> Product:
    async with transaction(engine) as connection:
        return await make_product(connection, brand)


@pytest.fixture
async def codes(brand_api: Api, product: Product) -> dict[str, Any]:
    """A minted range of five codes with their serials."""
    body = {"gtin": product.gtin, "count": 5, "print_order": "PO-1", "lot": "L1"}
    minted: dict[str, Any] = (await brand_api.post("/ranges", body)).json()
    made = (await brand_api.post(f"/ranges/{minted['id']}/exports", {"contents": "all", "case_size": 2})).json()
    lines = (await brand_api.get(f"/exports/{made['id']}/file")).text.splitlines()
    return {**minted, "lines": lines, "serials": [line.split(",")[2] for line in lines[1:]]}


async def _activate(api: Api, codes: dict[str, Any]) -> None:
    assert (await api.post(f"/ranges/{codes['id']}/state", {"state": "activated"})).status_code == 201


def _item(codes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"gtin": codes["gtin"], "serial": codes["serials"][0], **SCANNER, **more}


async def test_a_product_is_saved_read_and_listed(brand_api: Api, product: Product) -> None:
    body = {"names": {"zh": "精华", "en": "Serum"}, "points_on_claim": 80}
    saved = (await brand_api.put(f"/products/{product.gtin}", body)).json()
    assert (saved["names"]["en"], saved["points_on_claim"]) == ("Serum", 80)
    assert (await brand_api.get(f"/products/{product.gtin}")).json() == saved
    assert (await brand_api.get("/products")).json()["data"] == [saved]
    wrong = product.gtin[:-1] + str((int(product.gtin[-1]) + 1) % 10)
    assert_problem(await brand_api.put(f"/products/{wrong}", body), 400, "invalid-input", "gtin")


async def test_codes_go_to_the_press_and_to_the_label_printer(brand_api: Api, codes: dict[str, Any]) -> None:
    assert (codes["count"], codes["state"], len(set(codes["serials"]))) == (5, "issued", 5)
    rows = [line.split(",") for line in codes["lines"]]
    assert rows[0] == ["seq", "url", "serial", "pin", "case", "lot"]
    assert [(row[0], row[4], row[5]) for row in rows[1:]] == [
        ("1", "1", "L1"),
        ("2", "1", "L1"),
        ("3", "2", "L1"),
        ("4", "2", "L1"),
        ("5", "3", "L1"),
    ]
    assert all(len(row[3]) == 6 and row[1].endswith(f"/01/{codes['gtin']}/21/{row[2]}") for row in rows[1:])
    sheet = await brand_api.get(f"/ranges/{codes['id']}/labels.pdf", first=2, count=3)
    assert (sheet.headers["content-type"], sheet.content[:5]) == ("application/pdf", b"%PDF-")
    assert_problem(await brand_api.get(f"/ranges/{codes['id']}/labels.pdf", first=6), 400, "invalid-input", "first")


async def test_an_item_is_genuine_once_activated_and_claimed_by_one_member_alone(
    brand_api: Api, codes: dict[str, Any]
) -> None:
    member, other = await brand_api.register("+8619900000001"), await brand_api.register("+8619900000002")
    assert (await brand_api.post("/items/scan", _item(codes), key=None)).json()["kind"] == "not_activated"
    await _activate(brand_api, codes)
    verdict = (await brand_api.post("/items/scan", _item(codes), key=None)).json()
    assert (verdict["kind"], verdict["claimable"], verdict["points"]) == ("first_scan", True, 50)
    answers = await asyncio.gather(*(brand_api.post("/items/claim", _item(codes, member_id=member)) for _ in range(10)))
    assert {(answered.status_code, answered.json()["claimed"]) for answered in answers} == {(201, True)}
    balance = (await brand_api.get(f"/members/{member}/points")).json()["data"][0]
    assert balance["spendable"] == 50
    assert_problem(await brand_api.post("/items/claim", _item(codes, member_id=other)), 409, "already-claimed")
    steps = (await brand_api.get(f"/items/{codes['gtin']}/{codes['serials'][0]}/timeline")).json()["data"]
    assert [step["kind"] for step in steps] == ["first_scanned"]


async def test_a_wrong_code_is_a_verdict_and_earns_nothing(brand_api: Api, codes: dict[str, Any]) -> None:
    member = await brand_api.register("+8619900000001")
    forged = _item(codes, serial="0" * 16)
    verdict = (await brand_api.post("/items/scan", forged, key=None)).json()
    assert (verdict["kind"], verdict["product"], verdict["claimable"]) == ("unknown", None, False)
    refused = (await brand_api.post("/items/claim", {**forged, "member_id": member})).json()
    assert (refused["claimed"], refused["refusal"]) == (False, "unknown")
    assert (await brand_api.get(f"/members/{member}/points")).json()["data"] == []
    timeline = await brand_api.get(f"/items/{codes['gtin']}/{'0' * 16}/timeline")
    assert_problem(timeline, 404, "not-found", "serial")


async def test_a_part_of_a_range_goes_its_own_way(brand_api: Api, codes: dict[str, Any]) -> None:
    lo, hi = codes["lo"] + 1, codes["lo"] + 2
    body = {"state": "activated", "lo": lo, "hi": hi, "place": {"zh": "上海", "en": "Shanghai"}}
    changed = (await brand_api.post(f"/ranges/{codes['id']}/state", body)).json()["data"]
    assert [(each["lo"], each["hi"], each["state"]) for each in changed] == [(lo, hi, "activated")]
    listed = (await brand_api.get("/ranges", gtin=codes["gtin"])).json()["data"]
    assert sorted((each["lo"], each["state"]) for each in listed) == [
        (codes["lo"], "issued"),
        (lo, "activated"),
        (hi + 1, "issued"),
    ]
    back = {"state": "printed", "lo": lo, "hi": hi}
    assert_problem(await brand_api.post(f"/ranges/{codes['id']}/state", back), 409, "range-state", "state")
    half = {"state": "activated", "lo": lo}
    assert_problem(await brand_api.post(f"/ranges/{codes['id']}/state", half), 400, "invalid-input", "hi")
