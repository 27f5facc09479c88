"""Checkouts over HTTP: quoted, locked, used, released and refunded as one, online and at a store."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.programme import Channel
from tests.web.conftest import Api, assert_problem, make_api

TEA = {"sku": "tea", "quantity": 2, "amount_minor": 6_000, "category": "tea"}
CUP = {"sku": "cup", "amount_minor": 4_000}


@pytest.fixture
async def member(brand_api: Api) -> str:
    """With 1,000 points and the brand's coupon: 10.00 off from 50.00."""
    member = await brand_api.register("+8619900000001")
    await brand_api.post(f"/members/{member}/points/earn", {"amount": 1_000, "source": "gift"})
    return member


async def _coupon(api: Api, member: str) -> str:
    given = await api.post(f"/members/{member}/benefits", {"template": "welcome", "source": "test"})
    assert given.status_code == httpx.codes.CREATED, given.text
    return str(given.json()["code"])


def _basket(member: str, **changed: Any) -> dict[str, Any]:
    return {"member_id": member, "channel": "online", "currency": "CNY", "lines": [TEA, CUP], **changed}


async def test_a_basket_is_quoted_locked_used_and_refunded_line_by_line(brand_api: Api, member: str) -> None:
    code = await _coupon(brand_api, member)
    basket = _basket(member, coupons=[code], points=900)
    quoted = (await brand_api.post("/checkouts/quote", basket, key=None)).json()
    assert (quoted["total_minor"], quoted["discount_minor"], quoted["payable_minor"]) == (10_000, 1_000, 8_100)
    assert [line["discount_minor"] for line in quoted["lines"]] == [600, 400]
    assert [line["points_minor"] for line in quoted["lines"]] == [540, 360]

    locked = await brand_api.post("/checkouts", basket, key="lock")
    assert locked.status_code == httpx.codes.CREATED, locked.text
    checkout = locked.json()
    assert (checkout["state"], checkout["quote"]) == ("locked", quoted)
    assert (await brand_api.post("/checkouts", basket, key="lock")).json() == checkout
    assert_problem(await brand_api.post("/checkouts", _basket(member), key="lock"), 422, "idempotency-key-reused")
    (held,) = (await brand_api.get(f"/members/{member}/benefits")).json()["data"]
    assert held["state"] == "locked"

    address = f"/checkouts/{checkout['id']}"
    assert (await brand_api.get(address)).json() == checkout
    used = (await brand_api.post(f"{address}/use", {"order_number": "1001"})).json()
    assert (used["state"], used["order_number"]) == ("used", "1001")
    assert (await brand_api.get(f"/members/{member}/benefits")).json()["data"] == []
    assert (await brand_api.post(f"{address}/use", {"order_number": "1001"})).json() == used
    assert_problem(await brand_api.post(f"{address}/use", {"order_number": "1002"}), 409, "checkout-state")
    assert_problem(await brand_api.post(f"{address}/release", {}), 409, "checkout-state")
    (found,) = (await brand_api.get("/checkouts", channel="online", order_number="1001")).json()["data"]
    assert found == used

    part = (await brand_api.post(f"{address}/refund", {"lines": [0]})).json()
    assert (part["state"], part["refunded_lines"]) == ("used", [0])
    assert await _spendable(brand_api, member) == 100 + 540
    assert_problem(await brand_api.post(f"{address}/refund", {"lines": [0]}), 400, "invalid-input", "lines")
    whole = (await brand_api.post(f"{address}/refund", {})).json()
    assert (whole["state"], whole["refunded_lines"]) == ("refunded", [0, 1])
    assert await _spendable(brand_api, member) == 1_000
    (back,) = (await brand_api.get(f"/members/{member}/benefits")).json()["data"]
    assert (back["code"], back["state"]) == (code, "returned")


async def _spendable(api: Api, member: str) -> int:
    return int((await api.get(f"/members/{member}/points")).json()["data"][0]["spendable"])


async def test_a_checkout_that_is_released_frees_all_and_one_coupon_serves_one(brand_api: Api, member: str) -> None:
    code = await _coupon(brand_api, member)
    basket = _basket(member, coupons=[code], points="most")
    first = (await brand_api.post("/checkouts", basket)).json()
    problem = assert_problem(await brand_api.post("/checkouts", basket), 409, "checkout-refused", "coupons")
    assert problem["refused"][0]["reason"] == "locked"
    released = (await brand_api.post(f"/checkouts/{first['id']}/release", {})).json()
    assert released["state"] == "released"
    assert await _spendable(brand_api, member) == 1_000
    assert (await brand_api.post("/checkouts", basket)).json()["state"] == "locked"


async def test_what_does_not_apply_locks_nothing_and_says_why(brand_api: Api, member: str) -> None:
    code = await _coupon(brand_api, member)
    small = _basket(member, coupons=[code], lines=[CUP])
    quoted = (await brand_api.post("/checkouts/quote", small, key=None)).json()
    assert quoted["refused"][0]["reason"] == "basket_too_small"
    assert_problem(await brand_api.post("/checkouts", small), 409, "checkout-refused", "coupons")
    assert (await brand_api.get(f"/members/{member}/benefits")).json()["data"][0]["state"] == "issued"
    unknown = _basket(member, coupons=["NOTHING"])
    assert_problem(await brand_api.post("/checkouts", unknown), 404, "unknown-benefit")
    assert_problem(await brand_api.post("/checkouts", _basket(member, lines=[])), 400, "invalid-input", "lines")
    best = (await brand_api.post("/checkouts", _basket(member, best=True))).json()
    assert [each["code"] for each in best["quote"]["coupons"]] == [code]


async def test_a_stores_key_sees_the_stores_checkouts_and_has_the_same_answer(
    brand_api: Api, brand_store: Channel, client: httpx.AsyncClient, engine: AsyncEngine, member: str
) -> None:
    code = await _coupon(brand_api, member)
    store = await make_api(client, engine, brand_api.programme, channel=brand_store)
    asked = _basket(member, coupons=[code])
    online = (await brand_api.post("/checkouts/quote", asked, key=None)).json()
    at_store = (await store.post("/checkouts/quote", asked | {"channel": None}, key=None)).json()
    assert at_store == online
    mine = (await brand_api.post("/checkouts", asked)).json()
    assert_problem(await store.get(f"/checkouts/{mine['id']}"), 404, "unknown-checkout")
