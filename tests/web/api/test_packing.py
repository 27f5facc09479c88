"""Packing over HTTP: a line packs what it scanned, and whoever holds an item can ask for its case and pallet."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.packing.sscc import make_sscc
from loyalty.kit.db import transaction
from loyalty.kit.programme import Programme
from tests.factories import make_product
from tests.web.conftest import Api, assert_problem


@pytest.fixture
async def codes(engine: AsyncEngine, brand: Programme, brand_api: Api) -> dict[str, Any]:
    """Five codes of a product, and numbers for cases that no other test uses."""
    async with transaction(engine) as connection:
        product = await make_product(connection, brand)
    body = {"gtin": product.gtin, "count": 5, "print_order": "PO-1"}
    minted: dict[str, Any] = (await brand_api.post("/ranges", body)).json()
    made = (await brand_api.post(f"/ranges/{minted['id']}/exports", {"contents": "all"})).json()
    lines = (await brand_api.get(f"/exports/{made['id']}/file")).text.splitlines()
    first = int(product.gtin) % 10**8
    return {
        "gtin": product.gtin,
        "serials": [line.split(",")[2] for line in lines[1:]],
        "sscc": [make_sscc("6901234", first + number) for number in range(3)],
    }


def _unit(codes: dict[str, Any], case: int, *places: int, units: tuple[int, ...] = ()) -> dict[str, Any]:
    items = [{"gtin": codes["gtin"], "serials": [codes["serials"][place] for place in places]}] if places else []
    return {"sscc": codes["sscc"][case], "items": items, "units": [codes["sscc"][unit] for unit in units]}


async def test_an_item_is_packed_found_and_unpacked(brand_api: Api, codes: dict[str, Any]) -> None:
    packed = await brand_api.post("/packing", {"units": [_unit(codes, 0, 2, 0, 1)]})
    assert (packed.status_code, packed.json()) == (201, {"items": 3})
    assert (await brand_api.post("/packing", {"units": [_unit(codes, 1, units=(0,))]})).json() == {"items": 0}
    where = await brand_api.get(f"/products/{codes['gtin']}/items/{codes['serials'][1]}/packing")
    assert where.json()["units"] == codes["sscc"][:2]
    case = (await brand_api.get(f"/packing/{codes['sscc'][0]}")).json()
    assert [(each["first_index"], each["last_index"]) for each in case["intervals"]] == [(0, 2)]
    assert (case["parents"], case["items"]) == ([codes["sscc"][1]], 3)
    one = {"sscc": codes["sscc"][0], "items": _unit(codes, 0, 1)["items"]}
    assert (await brand_api.post("/packing/unpack", one)).json() == {"items": 1}
    where = await brand_api.get(f"/products/{codes['gtin']}/items/{codes['serials'][1]}/packing")
    assert where.json()["units"] == []


async def test_a_packing_that_is_refused_packs_nothing(brand_api: Api, codes: dict[str, Any]) -> None:
    await brand_api.post("/packing", {"units": [_unit(codes, 0, 0)]})
    both = {"units": [_unit(codes, 1, 1), _unit(codes, 2, 0)]}
    assert_problem(await brand_api.post("/packing", both), 409, "packed-elsewhere", "items")
    assert_problem(await brand_api.get(f"/packing/{codes['sscc'][1]}"), 404, "not-found", "sscc")
    assert (await brand_api.post("/packing", {**both, "repack": True})).json() == {"items": 2}
    strange = _unit(codes, 1, 1)
    strange["items"][0]["serials"].append("0000000000000000")
    refused = await brand_api.post("/packing", {"units": [strange]})
    assert_problem(refused, 400, "invalid-input", "units[0].items[0].serials[1]")


async def test_a_scan_file_is_packed_whole_and_a_pallet_moves_as_one(brand_api: Api, codes: dict[str, Any]) -> None:
    case, pallet, _ = codes["sscc"]
    rows = ["sscc,code", *(f"{case},(01){codes['gtin']}(21){serial}" for serial in codes["serials"][:3])]
    bad = await brand_api.post("/packing/files", {"file": "\n".join([*rows, f"{case},nothing"])})
    assert_problem(bad, 400, "invalid-packing-file", "lines[5]")
    packed = await brand_api.post("/packing/files", {"file": "\n".join([*rows, f"{pallet},{case}"])})
    assert (packed.status_code, packed.json()) == (201, {"lines": 4, "items": 3, "units": 2})
    moved = await brand_api.post(f"/packing/{pallet}/state", {"state": "shipped"})
    assert (moved.status_code, moved.json()) == (201, {"sscc": pallet, "state": "shipped", "items": 3})
    scanned = {"gtin": codes["gtin"], "serial": codes["serials"][2], "device": "a phone"}
    assert (await brand_api.post("/items/scan", scanned)).json()["kind"] == "first_scan"
    assert_problem(await brand_api.post(f"/packing/{pallet}/state", {"state": "printed"}), 409, "range-state", "state")
