"""Orders, tiers, redemptions and reports over HTTP, in one brand whose books must balance."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.programme import Channel
from loyalty.web.api.people import member_uuid
from tests.roles import as_owner
from tests.web.conftest import Api, assert_problem, make_api

PHONE = "+8619900000001"


def _order(number: str = "5001", **changed: Any) -> dict[str, Any]:
    """Goods for 300.00, earning 300."""
    return {
        "channel": "online",
        "external_id": number,
        "placed_at": "2026-01-02T10:00:00+08:00",
        "currency": "CNY",
        "identities": [{"kind": "phone", "value": PHONE}],
        "lines": [
            {"line_id": "1", "sku": "CREAM", "quantity": 2, "amount_minor": 20000},
            {"line_id": "2", "sku": "SOAP", "quantity": 1, "amount_minor": 10000},
        ],
        **changed,
    }


def _refund(number: str, **changed: Any) -> dict[str, Any]:
    return {
        "channel": "online",
        "external_id": number,
        "order_external_id": "5001",
        "refunded_at": "2026-01-05T10:00:00+08:00",
        "currency": "CNY",
        **changed,
    }


@pytest.fixture
async def member(brand_api: Api) -> str:
    return await brand_api.register(PHONE)


async def _spendable(api: Api, member: str) -> int:
    balances = (await api.get(f"/members/{member}/points")).json()["data"]
    return int(balances[0]["spendable"]) - int(balances[0]["debt"]) if balances else 0


async def test_an_order_earns_once_however_often_and_under_whatever_key_it_comes(brand_api: Api, member: str) -> None:
    key = uuid4().hex
    answers = await asyncio.gather(*(brand_api.post("/orders", _order(), key=key) for _ in range(20)))
    assert len({answered.content for answered in answers}) == 1
    told = (await brand_api.post("/orders", _order())).json()
    assert (told["state"], told["member_id"], told["earned"]) == ("booked", member, {"points": 300})
    assert await _spendable(brand_api, member) == 300


async def test_an_order_that_changes_under_its_number_is_refused(brand_api: Api, member: str) -> None:
    await brand_api.post("/orders", _order())
    assert_problem(await brand_api.post("/orders", _order(discount_minor=5)), 422, "idempotency-key-reused")
    assert await _spendable(brand_api, member) == 300


async def test_refunds_by_line_and_by_amount_take_back_exactly_what_was_earned(brand_api: Api, member: str) -> None:
    line = [{"line_id": "2", "quantity": 1, "amount_minor": 10000}]
    early = (await brand_api.post("/refunds", _refund("R-1", lines=line))).json()
    assert early["state"] == "waiting"
    order = (await brand_api.post("/orders", _order())).json()
    assert [each["taken_back"] for each in order["refunds"]] == [{"points": 100}]
    rest = (await brand_api.post("/refunds", _refund("R-2", amount_minor=20000))).json()
    assert rest["taken_back"] == {"points": 200}
    assert_problem(await brand_api.post("/refunds", _refund("R-3", amount_minor=1)), 409, "refund-exceeds-order")
    assert await _spendable(brand_api, member) == 0


async def test_a_cancelled_order_is_taken_back_whole(brand_api: Api, member: str) -> None:
    order = (await brand_api.post("/orders", _order())).json()
    cancellation = {
        "channel": "online",
        "external_id": "C-1",
        "order_external_id": "5001",
        "cancelled_at": "2026-01-03T10:00:00+08:00",
        "currency": "CNY",
    }
    told = (await brand_api.post("/cancellations", cancellation)).json()
    assert (told["kind"], told["order_id"], told["taken_back"]) == ("cancellation", order["id"], {"points": 300})
    booked = (await brand_api.get(f"/orders/{order['id']}")).json()
    assert (booked["refunded_minor"], len(booked["lines"]), len(booked["refunds"])) == (30000, 2, 1)
    assert (await brand_api.get("/orders", external_id="5001", channel="online")).json() == booked
    (purchase,) = (await brand_api.get(f"/members/{member}/orders")).json()["data"]
    assert (purchase["id"], purchase["taken_back"]) == (order["id"], {"points": 300})


@pytest.mark.parametrize(
    ("changed", "status", "kind", "field"),
    [
        ({"currency": "USD"}, 400, "invalid-input", "currency"),
        ({"currency": "yuan"}, 400, "invalid-input", "currency"),
        ({"channel": "nowhere"}, 404, "not-found", "channel"),
        ({"placed_at": "2099-01-01T00:00:00Z"}, 400, "invalid-input", "placed_at"),
        ({"lines": []}, 400, "invalid-input", "lines"),
        ({"discount_minor": 30001}, 400, "invalid-input", "discount_minor"),
        ({"total_minor": 5}, 400, "invalid-input", "total_minor"),
        ({"identities": [{"kind": "phone", "value": "+8619900000009"}]}, 404, "not-found", "identities"),
        ({"member_id": "mem_01KA0B1C2D3E4F5G6H7J8K9M0N"}, 404, "not-found", "member_id"),
        (
            {"lines": [{"line_id": "1", "sku": "A", "quantity": -1, "amount_minor": 5}]},
            400,
            "invalid-input",
            "lines[0].quantity",
        ),
        (
            {"lines": [{"line_id": "1", "sku": "A", "quantity": 1, "amount_minor": 1.5}]},
            400,
            "invalid-input",
            "lines[0].amount_minor",
        ),
    ],
    ids=str,
)
async def test_a_bad_order_is_refused_by_its_field_and_leaves_nothing(
    brand_api: Api, member: str, changed: dict[str, Any], status: int, kind: str, field: str
) -> None:
    assert_problem(await brand_api.post("/orders", _order(**changed)), status, kind, field)
    assert (await brand_api.get(f"/members/{member}/orders")).json()["data"] == []
    assert (await brand_api.post("/orders", _order())).status_code == 201


async def test_an_order_that_reaches_a_threshold_raises_the_tier_at_once(brand_api: Api, member: str) -> None:
    assert (await brand_api.get(f"/members/{member}/tier")).json()["tier"]["code"] == "silver"
    large = [{"line_id": "1", "sku": "SET", "quantity": 1, "amount_minor": 120000}]
    await brand_api.post("/orders", _order(lines=large))
    standing = (await brand_api.get(f"/members/{member}/tier")).json()
    assert (standing["tier"]["code"], standing["progress_bp"], standing["next_tier"]) == ("gold", 10000, None)
    (change,) = (await brand_api.get(f"/members/{member}/tier/history")).json()["data"]
    assert (change["kind"], change["to_tier"], change["cause"]) == ("upgrade", "gold", "order:online/5001")


async def test_points_taken_back_no_longer_count_towards_the_tier(brand_api: Api, member: str) -> None:
    earned = (await brand_api.post(f"/members/{member}/points/earn", {"amount": 900, "source": "game:1"})).json()
    body = {"sequence": earned["sequence"], "amount": 400, "source": "game:1/undone"}
    taken = (await brand_api.post(f"/members/{member}/points/reverse", body)).json()
    assert taken["balance"]["spendable"] == 500
    (asked,) = (await brand_api.get(f"/members/{member}/tier")).json()["next_asks"]
    assert (asked["metric"], asked["value"], asked["at_least"]) == ("points", 500, 1000)
    too_much = body | {"amount": 501}
    assert_problem(await brand_api.post(f"/members/{member}/points/reverse", too_much), 409, "more-than-left", "amount")


@pytest.fixture
async def rich_member(brand_api: Api, member: str) -> str:
    """A member with 1,000 points."""
    await brand_api.post(f"/members/{member}/points/earn", {"amount": 1000, "source": "test"})
    return member


def _begin(member: str, **changed: Any) -> dict[str, Any]:
    return {
        "member_id": member,
        "channel": "store-1",
        "points": 500,
        "basket_minor": 20000,
        "currency": "CNY",
        **changed,
    }


async def test_a_redemption_is_held_captured_and_refunded_in_parts(brand_api: Api, rich_member: str) -> None:
    quote = {"member_id": rich_member, "basket_minor": 20000, "currency": "CNY"}
    assert (await brand_api.post("/redemptions/quote", quote, key=None)).json()["max_points"] == 1000
    key = uuid4().hex
    begun = await brand_api.post("/redemptions", _begin(rich_member), key=key)
    held = begun.json()
    assert (held["state"], held["amount_minor"], await _spendable(brand_api, rich_member)) == ("held", 500, 500)
    path = f"/redemptions/{held['id']}"
    taken = (await brand_api.post(f"{path}/capture", {"receipt_number": "R-1"})).json()
    assert (taken["state"], taken["receipt_number"]) == ("captured", "R-1")
    again = await brand_api.post("/redemptions", _begin(rich_member), key=key)
    assert (again.content, again.headers["idempotent-replayed"]) == (begun.content, "true")
    (found,) = (await brand_api.get("/redemptions", receipt_number="R-1", channel="store-1")).json()["data"]
    assert found["id"] == held["id"]
    await brand_api.post(f"{path}/refund", {"points": 200})
    whole = (await brand_api.post(f"{path}/refund", {})).json()
    assert (whole["state"], whole["refunded_points"], await _spendable(brand_api, rich_member)) == (
        "refunded",
        500,
        1000,
    )


async def test_a_voided_redemption_gives_everything_back(brand_api: Api, rich_member: str) -> None:
    held = (await brand_api.post("/redemptions", _begin(rich_member))).json()
    assert (await brand_api.post(f"/redemptions/{held['id']}/void", {})).json()["state"] == "voided"
    assert await _spendable(brand_api, rich_member) == 1000
    assert_problem(
        await brand_api.post(f"/redemptions/{held['id']}/capture", {"receipt_number": "R-2"}), 409, "already-voided"
    )


@pytest.mark.parametrize(
    ("changed", "status", "kind"),
    [
        ({"points": 5000, "basket_minor": 10**6}, 409, "not-enough-points"),
        ({"points": 150}, 409, "not-a-multiple-of-step"),
        ({"points": 500, "basket_minor": 900}, 409, "above-share-of-basket"),
        ({"currency": "USD"}, 409, "wrong-currency"),
        ({"points": None, "catalogue_item": "nothing"}, 404, "not-found"),
        ({"points": None, "coupon": "NOTHING"}, 404, "unknown-benefit"),
        ({"points": None}, 400, "invalid-input"),
        ({"catalogue_item": "gift-box"}, 400, "invalid-input"),
    ],
    ids=str,
)
async def test_what_cannot_be_redeemed_is_refused_and_holds_nothing(
    brand_api: Api, rich_member: str, changed: dict[str, Any], status: int, kind: str
) -> None:
    assert_problem(await brand_api.post("/redemptions", _begin(rich_member, **changed)), status, kind)
    assert await _spendable(brand_api, rich_member) == 1000


async def test_an_expired_hold_cannot_be_captured(brand_api: Api, rich_member: str, engine: AsyncEngine) -> None:
    body = {"amount": 400, "source": "till:R-9", "expires_in_seconds": 60}
    held = (await brand_api.post(f"/members/{rich_member}/holds", body)).json()
    async with transaction(engine) as connection, as_owner(connection):
        await connection.execute(
            text("UPDATE ledger.hold SET expires_at = now() - interval '1 second' WHERE member_id = :member"),
            {"member": member_uuid(rich_member)},
        )
        await connection.execute(
            text("UPDATE ledger.account SET next_due = now() - interval '1 second' WHERE member_id = :member"),
            {"member": member_uuid(rich_member)},
        )
    captured = await brand_api.post(f"/members/{rich_member}/holds/{held['hold_id']}/capture", {"source": "till:R-9"})
    assert_problem(captured, 409, "hold-expired", "hold")
    assert await _spendable(brand_api, rich_member) == 1000


async def test_a_catalogue_item_and_a_coupon_are_redeemed_at_the_servers_price(
    brand_api: Api, rich_member: str
) -> None:
    (gift,) = (await brand_api.get("/catalogue")).json()["data"]
    assert (gift["code"], gift["points_cost"]) == ("gift-box", 300)
    body = {"member_id": rich_member, "channel": "store-1", "catalogue_item": "gift-box"}
    held = (await brand_api.post("/redemptions", body)).json()
    assert (held["points"], held["name"]["en"], await _spendable(brand_api, rich_member)) == (300, "Gift box", 700)
    issued = (
        await brand_api.post(f"/members/{rich_member}/benefits", {"template": "welcome", "source": "campaign:1"})
    ).json()
    assert (await brand_api.get(f"/members/{rich_member}/benefits")).json()["data"] == [issued]
    used = _begin(rich_member, points=None, coupon=issued["code"])
    assert (await brand_api.post("/redemptions", used)).json()["amount_minor"] == 1000
    assert len((await brand_api.get(f"/members/{rich_member}/redemptions")).json()["data"]) == 2


async def test_a_till_touches_only_its_own_redemptions(
    client: httpx.AsyncClient, engine: AsyncEngine, brand_api: Api, brand_store: Channel, rich_member: str
) -> None:
    till = await make_api(client, engine, brand_api.programme, channel=brand_store)
    elsewhere = (await brand_api.post("/redemptions", _begin(rich_member, channel="online"))).json()
    assert_problem(await till.get(f"/redemptions/{elsewhere['id']}"), 404, "unknown-redemption")
    assert_problem(await till.post(f"/redemptions/{elsewhere['id']}/void", {}), 404, "unknown-redemption")
    own = (await till.post("/redemptions", _begin(rich_member, channel=None))).json()
    assert (await till.post(f"/redemptions/{own['id']}/void", {})).status_code == 201


async def test_the_books_balance(brand_api: Api, rich_member: str) -> None:
    await brand_api.post("/orders", _order())
    await brand_api.post(f"/members/{rich_member}/points/spend", {"amount": 450, "source": "game:2"})
    trial = (await brand_api.get("/reports/trial-balance")).json()
    assert trial["sum"] == 0
    assert {line["account"]: line["balance"] for line in trial["data"]} == {
        "issued": -1300,
        "member": 850,
        "redeemed": 450,
    }
    (owed,) = (await brand_api.get("/reports/liability")).json()["data"]
    assert (owed["members"], owed["spendable"], owed["owed_to_members"]) == (1, 850, 850)
    months = (await brand_api.get("/reports/monthly-flow", months=24)).json()["data"]
    assert (sum(month["earned"] for month in months), sum(month["redeemed"] for month in months)) == (1300, 450)


async def test_the_books_are_told_as_of_any_moment(brand_api: Api, rich_member: str) -> None:
    before = utc_now()
    await brand_api.post(f"/members/{rich_member}/points/spend", {"amount": 450, "source": "game:3"})
    for known in ("then", "now"):
        asked = {"moment": before.isoformat(), "known": known}
        (owed,) = (await brand_api.get("/reports/liability", **asked)).json()["data"]
        assert owed["spendable"] == 1000
        trial = (await brand_api.get("/reports/trial-balance", **asked)).json()
        assert {line["account"]: line["balance"] for line in trial["data"]} == {"issued": -1000, "member": 1000}
        expiry = (await brand_api.get("/reports/expiry", **asked)).json()["data"]
        assert sum(line["amount"] for line in expiry) == 1000
        months = (await brand_api.get("/reports/monthly-flow", **asked)).json()["data"]
        assert [month["redeemed"] for month in months] == [0]
    assert_problem(await brand_api.get("/reports/expiry", moment="2026-01-01T00:00:00"), 400, "invalid-input")


async def test_deferred_revenue_is_told_with_what_it_rests_on(brand_api: Api, rich_member: str) -> None:
    assert rich_member
    await brand_api.post("/orders", _order())
    told = (await brand_api.get("/reports/deferred-revenue")).json()
    (currency,) = told["currencies"]
    months = told["months"]
    assert currency["currency"] == "CNY"
    assert currency["closing_minor"] == sum(month["closing_minor"] for month in months) > 0
    assert {month["expected_at_sale_bp"] for month in months} == {10_000}
    assert_problem(await brand_api.get("/reports/deferred-revenue", unit="stars"), 404, "not-found")
    assert_problem(await brand_api.get("/reports/deferred-revenue", last="1960-01-01"), 400, "invalid-input")


async def test_any_key_may_ask_what_it_may_do(brand_api: Api) -> None:
    told = (await brand_api.get("/programme")).json()
    assert [channel["code"] for channel in told["channels"]] == ["online", "store-1"]
    assert (told["key"]["channel"], "points:write" in told["key"]["scopes"]) == (None, True)
