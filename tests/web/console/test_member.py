"""One member's page, and what staff may do there."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from ledger.reading import balance, history
from loyalty.channels.orders import Order, OrderLine, accept_order
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.members.member import Member
from loyalty.members.merge import merge
from loyalty.web.security.staff_actions import list_actions
from tests.web.console.conftest import Life
from tests.web.house import PASSWORD, House
from tests.web.member.conftest import Browser


def key_of(browser: Browser) -> str:
    found = re.search(r'name="key" value="([^"]+)"', browser.text)
    assert found is not None
    return found[1]


async def spendable(house: House, member: Member) -> int:
    async with transaction(house.engine) as connection:
        return (await balance(connection, member_id=member.id)).spendable


async def test_a_member_page_tells_the_whole_story(manager: Browser, life: Life) -> None:
    await manager.get(f"/console/members/{life.member.public_id}")

    assert manager.heading == "Lin Yue"
    for told in (
        "To spend 597",  # 1,794 earned, half taken back, 300 redeemed
        "Earned Order Huaihai Road, no. R-500 earn rules, version 1 +1,794",
        "Taken back Refund Huaihai Road, no. RF-500 earn rules, version 1 −897",
        "Hold taken Redemption Huaihai Road, no. R-501",
        "issued → member",
        "R-500 Huaihai Road ¥598.00 −¥299.00 +897",
        "money off Huaihai Road R-501 li.na 300 ¥3.00 Taken",
        "never 597 1,794 Order Huaihai Road, no. R-500 now",
        "Terms agreed text 2026-01",
        "up from Leaf",
        "Phone 199****",
        "Card ****0001",
    ):
        assert told in manager.words


async def test_the_same_page_in_chinese(house: House, life: Life) -> None:
    async with house.at_work("chen.min", language="zh") as browser:
        await browser.get(f"/console/members/{life.member.public_id}")
        for told in (
            "可用 597",
            "获得积分 订单 Huaihai Road，编号 R-500 积分规则第 1 版 +1,794",
            "发放 → 会员",
            "会员条款 同意",
        ):
            assert told in browser.words


async def test_personal_data_is_masked_until_somebody_looks_and_that_is_recorded(
    house: House, manager: Browser, life: Life
) -> None:
    address = f"/console/members/{life.member.public_id}"
    await manager.get(address)
    assert life.phone not in manager.text
    assert "66880001" not in manager.text

    await manager.send(f"{address}/reveal")

    assert life.phone in manager.text
    assert "66880001" in manager.text
    assert "Personal data was seen by Chen Min" in manager.words
    async with transaction(house.engine) as connection:
        done = await list_actions(connection, programme_id=house.programme.id, subject_id=life.member.id)
    assert [(each.name, each.action) for each in done] == [("Chen Min", "reveal-member")]
    await manager.get(address)
    assert life.phone not in manager.text


async def test_an_order_shows_lines_rules_and_refunds(manager: Browser, life: Life) -> None:
    await manager.get(f"/console/members/{life.member.public_id}")
    order = re.search(r"/console/orders/ord_\w+", manager.text)
    assert order is not None

    await manager.get(order[0])

    assert manager.heading == "Order R-500"
    assert "Longjing 50 g TEA-50 2 ¥598.00 ¥598.00 1,794" in manager.words
    assert "base +1,196" in manager.words
    assert "weekend +598" in manager.words
    assert re.search(r"RF-500 −¥299.00 .*897 taken back", manager.words)


async def test_the_ledger_is_paged_and_says_where_entries_end(
    house: House, manager: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loyalty.web.console.dossier.PAGE", 4)
    member = await house.member()
    for number in range(10):
        await house.earn(member, 10, source=f"order:store-1/P-{number}")
    seen: list[str] = []
    address: str | None = f"/console/members/{member.public_id}/ledger"

    while address:
        await manager.get(address)
        seen += re.findall(r"no\. (P-\d)", manager.words)
        older = re.search(r'href="([^"]+)" rel="next"', manager.text)
        address = older[1].replace("&amp;", "&") if older else None

    assert seen == [f"P-{number}" for number in reversed(range(10))]


async def test_all_orders_are_there_in_pages(house: House, manager: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loyalty.web.console.dossier.PAGE", 2)
    member = await house.member()
    lines = (OrderLine(line_id="1", sku="TEA", quantity=1, amount_minor=100),)
    async with transaction(house.engine) as connection:
        for number in range(5):
            order = Order(
                external_id=f"Z-{number}",
                placed_at=utc_now() - timedelta(days=9 - number),
                currency="CNY",
                lines=lines,
                member_id=member.id,
            )
            await accept_order(connection, house.services.keyring, channel=house.other_store, order=order)
    seen: list[str] = []
    address: str | None = f"/console/members/{member.public_id}/orders"

    while address:
        await manager.get(address)
        seen += re.findall(r">(Z-\d)<", manager.text)
        older = re.search(r'href="([^"]+)" rel="next"', manager.text)
        address = older[1].replace("&amp;", "&") if older else None

    assert seen == ["Z-4", "Z-3", "Z-2", "Z-1", "Z-0"]


async def test_points_are_corrected_by_hand_with_a_reason_once(house: House, manager: Browser) -> None:
    member = await house.member(points=100)
    address = f"/console/members/{member.public_id}"
    await manager.get(address)
    key = key_of(manager)

    for _ in range(2):  # sent twice
        await manager.send(f"{address}/adjust", key=key, amount="500", unit="points", reason="Lost parcel")

    assert "The correction is in the books." in manager.words
    assert await spendable(house, member) == 600
    assert "Given by hand “Lost parcel”, chen.min." in manager.words
    await manager.send(f"{address}/adjust", key=key_of(manager), amount="−50", unit="points", reason="Typing error")
    assert await spendable(house, member) == 550


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"amount": "many", "reason": "x"}, "Type a whole number of points"),
        ({"amount": "0", "reason": "x"}, "Type a whole number of points"),
        ({"amount": "5", "reason": ""}, "Give the reason"),
        ({"amount": "-101", "reason": "x"}, "The member has only 100 points"),
        ({"amount": "1001", "reason": "x"}, "Above 1,000 points a second person has to approve"),
        (
            {"amount": "1001", "reason": "x", "approver": "zhao.lei", "password": "not the password"},
            "The second person’s user name or password is wrong.",
        ),
        (
            {"amount": "1001", "reason": "x", "approver": "chen.min", "password": PASSWORD},
            "Somebody else of CRM or administration has to approve.",
        ),
        (
            {"amount": "1001", "reason": "x", "approver": "li.na", "password": PASSWORD},
            "Somebody else of CRM or administration has to approve.",
        ),
    ],
)
async def test_a_correction_that_cannot_be_says_why_and_changes_nothing(
    house: House, manager: Browser, fields: dict[str, str], said: str
) -> None:
    member = await house.member(points=100)
    address = f"/console/members/{member.public_id}"
    await manager.get(address)

    answer = await manager.send(f"{address}/adjust", key=key_of(manager), unit="points", **fields)

    assert answer.status_code in (409, 422)
    assert said in manager.words
    assert await spendable(house, member) == 100


async def test_a_second_person_approves_a_large_correction(house: House, manager: Browser) -> None:
    member = await house.member()
    address = f"/console/members/{member.public_id}"
    await manager.get(address)

    await manager.send(
        f"{address}/adjust",
        key=key_of(manager),
        amount="5,000",
        unit="points",
        reason="Anniversary",
        approver="zhao.lei",
        password=PASSWORD,
    )

    assert await spendable(house, member) == 5000
    async with transaction(house.engine) as connection:
        entry = (await history(connection, member_ids=[member.id]))[0]
    assert (entry.actor, entry.approved_by) == ("chen.min", "zhao.lei")


async def test_a_merge_is_shown_with_both_histories_and_undone(house: House, manager: Browser) -> None:
    survivor, absorbed = await house.member(points=100, name="Anna"), await house.member(points=40)
    async with transaction(house.engine) as connection:
        await merge(
            connection,
            house.services.keyring,
            programme_id=house.programme.id,
            survivor_id=survivor.id,
            absorbed_id=absorbed.id,
            reason="same person",
            actor="chen.min",
            key=f"merge-{survivor.id}",
        )

    answer = await manager.get(f"/console/members/{absorbed.public_id}")
    assert answer.url.path == f"/console/members/{survivor.public_id}"
    assert "To spend 140" in manager.words
    assert f"as …{absorbed.public_id[-6:]}" in manager.words
    undo = re.search(r"/console/merges/mrg_\w+/undo\?member=mem_\w+", manager.text)
    assert undo is not None
    await manager.get(undo[0])
    assert manager.heading == "Make two members again?"
    await manager.send(undo[0].partition("?")[0], reason="")
    assert manager.error_at("reason") == "Say why; the trail keeps it."
    await manager.send(undo[0].partition("?")[0], reason="Two sisters, one phone")

    assert "They are two members again." in manager.words
    assert "Undone: “Two sisters, one phone”, chen.min" in manager.words
    assert (await spendable(house, survivor), await spendable(house, absorbed)) == (100, 40)


async def test_an_unknown_member_is_not_found(manager: Browser) -> None:
    answer = await manager.get("/console/members/mem_00000000000000000000000000")
    assert answer.status_code == 404
