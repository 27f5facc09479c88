"""The whole flow at the till as a browser without JavaScript walks it."""

from __future__ import annotations

import asyncio
import re
from html import unescape

import pytest

from ledger.reading import balance, history
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.members.card_token import issue_token
from loyalty.members.member import Member
from redemption.benefits.issuing import issue
from redemption.catalogue import save_item
from redemption.reading import redemptions_of_member
from redemption.record import Redemption
from tests.factories import make_coupon
from tests.roles import as_owner
from tests.web.house import House
from tests.web.member.conftest import Browser


async def spendable(house: House, member: Member) -> int:
    async with transaction(house.engine) as connection:
        return (await balance(connection, member_id=member.id)).spendable


async def redemptions(house: House, member: Member) -> list[Redemption]:
    async with transaction(house.engine) as connection:
        return await redemptions_of_member(connection, member_id=member.id)


def key_of(browser: Browser) -> str:
    """The key of the first form in view that has one."""
    found = re.search(r'name="key" value="([^"]+)"', browser.text)
    assert found is not None
    return found[1]


def here(browser: Browser) -> str:
    """The address of the redemption in view."""
    found = re.search(r"/till/redemptions/rdm_\w+", browser.text)
    assert found is not None
    return found[0]


async def hold(clerk: Browser, member: Member, *, points: int = 500, amount: str = "128.00") -> str:
    """From the customer's page to points on hold; answers the redemption's address."""
    page = f"/till/members/{member.public_id}"
    await clerk.get(f"{page}?amount={amount}")
    await clerk.send(f"{page}/redeem", key=key_of(clerk), amount=amount, points=str(points))
    return here(clerk)


async def test_a_clerk_redeems_points_prints_and_voids(house: House, clerk: Browser) -> None:
    member = await house.member(points=1250, name="Lin Yue")

    await clerk.get("/till")
    assert clerk.heading == "Next customer"
    await clerk.send("/till/find", who=house.phone_of(member).removeprefix("+86"))
    assert clerk.heading == "Lin Yue"
    assert "1,250 points to spend" in clerk.words
    assert "Worth ¥12.00 here" in clerk.words

    await clerk.get(f"/till/members/{member.public_id}?amount=128")
    assert 'value="1200" min="100" max="1200" step="100"' in clerk.text
    assert "−¥12.00 To pay: ¥116.00" in clerk.words
    assert "That is all the member has in whole steps of 100." in clerk.words

    await clerk.send(f"/till/members/{member.public_id}/redeem", key=key_of(clerk), amount="128", points="500")
    assert clerk.heading == "Take ¥5.00 off"
    assert "To pay: ¥123.00" in clerk.words
    assert await spendable(house, member) == 750

    address = here(clerk)
    await clerk.send(f"{address}/capture", key=key_of(clerk), receipt="R-1001")
    assert clerk.heading == "Done"
    assert "Receipt R-1001 Member 199****" in clerk.words
    assert "Served by li.na" in clerk.words
    assert "Points used −500 Points left 750" in clerk.words

    await clerk.get(f"{address}/void")
    assert clerk.heading == "Void this redemption?"
    await clerk.send(f"{address}/void", key=key_of(clerk))
    assert clerk.heading == "Voided"
    assert await spendable(house, member) == 1250
    assert [(each.state, each.clerk, each.channel_id) for each in await redemptions(house, member)] == [
        ("voided", "li.na", house.store.id)
    ]


async def test_a_form_sent_twice_at_once_does_its_work_once(house: House, clerk: Browser) -> None:
    member = await house.member(points=1000)
    page = f"/till/members/{member.public_id}"
    await clerk.get(f"{page}?amount=100")
    form = {
        "_csrf_token": re.findall(r'name="_csrf_token" value="([^"]+)"', clerk.text)[0],
        "key": key_of(clerk),
        "amount": "100",
        "points": "300",
    }

    answers = await asyncio.gather(*(clerk.client.post(f"{page}/redeem", data=form) for _ in range(4)))

    assert len({answer.headers["location"] for answer in answers}) == 1
    assert await spendable(house, member) == 700
    address = answers[0].headers["location"]
    await clerk.get(address)
    form = form | {"key": key_of(clerk), "receipt": "R-2"}
    await asyncio.gather(*(clerk.client.post(f"{address}/capture", data=form) for _ in range(4)))
    async with transaction(house.engine) as connection:
        kinds = [entry.kind for entry in await history(connection, member_ids=[member.id])]
    assert kinds == ["capture", "hold", "earn"]


@pytest.mark.parametrize("spelling", ["phone", "spaced", "token", "card", "id"])
async def test_one_field_takes_everything_that_names_a_member(house: House, clerk: Browser, spelling: str) -> None:
    member = await house.member(name="Xu Rui", card=f"7788-{spelling}")
    number = house.phone_of(member)
    texts = {
        "phone": number.removeprefix("+86"),
        "spaced": f"0086 {number[3:6]} {number[6:10]} {number[10:]}",
        "token": issue_token(house.services.session_secret, member.id, utc_now()),
        "card": f"7788 {spelling.upper()}",
        "id": member.public_id,
    }
    await clerk.get("/till")

    await clerk.send("/till/find", who=texts[spelling])

    assert clerk.heading == "Xu Rui"


async def test_a_scanned_coupon_brings_its_member_and_is_used(house: House, clerk: Browser) -> None:
    member = await house.member(name="Gao Ying")
    async with transaction(house.engine) as connection:
        names = {"zh": "新人券", "en": "Welcome"}
        await make_coupon(connection, house.programme, "welcome", names, off_minor=2000, from_minor=10_000)
        coupon = await issue(
            connection,
            programme_id=house.programme.id,
            member_id=member.id,
            template_code="welcome",
            key="welcome",
            source="joined",
        )
    await clerk.get("/till")
    await clerk.send("/till/find", who=coupon.code)
    assert clerk.heading == "Gao Ying"
    assert "Enter the basket first" in clerk.words
    page = f"/till/members/{member.public_id}"
    await clerk.get(f"{page}?amount=99")
    assert "It needs a basket of ¥100.00; ¥1.00 more to go." in clerk.words
    await clerk.send(f"{page}/checkout", key=key_of(clerk), amount="99", coupon=coupon.code)
    assert "Welcome: It needs a basket of ¥100.00" in clerk.words
    await clerk.get(f"{page}?amount=150")
    assert "−¥20.00" in clerk.words

    await clerk.send(f"{page}/checkout", key=key_of(clerk), amount="150", coupon=coupon.code)

    assert clerk.heading == "Take ¥20.00 off"
    at = re.search(r"/till/checkouts/chk_\w+", clerk.text)
    assert at is not None
    await clerk.send(f"{at[0]}/use", key=key_of(clerk), receipt="R-9")
    assert "Welcome −¥20.00 To pay ¥130.00" in clerk.words
    await clerk.send("/till/receipts", receipt="R-9")
    await clerk.send(f"{at[0]}/refund", key=key_of(clerk))
    assert clerk.heading == "Given back"
    await clerk.get(f"{page}?amount=150")
    assert "−¥20.00" in clerk.words


async def test_a_gift_of_the_catalogue_is_handed_over(house: House, clerk: Browser) -> None:
    member = await house.member(points=900)
    async with transaction(house.engine) as connection:
        await save_item(
            connection,
            programme_id=house.programme.id,
            code="tin",
            name={"zh": "茶罐", "en": "Tea tin"},
            points_cost=800,
            stock=3,
        )
    page = f"/till/members/{member.public_id}"
    await clerk.get(page)
    await clerk.send(f"{page}/redeem", key=key_of(clerk), item="tin")
    assert clerk.heading == "Hand over: Tea tin"

    await clerk.send(f"{here(clerk)}/capture", key=key_of(clerk), receipt="R-10")

    assert "Points used −800 Points left 100" in clerk.words


async def test_a_part_is_refunded_by_receipt_number(house: House, clerk: Browser) -> None:
    member = await house.member(points=1000)
    address = await hold(clerk, member, points=600)
    await clerk.send(f"{address}/capture", key=key_of(clerk), receipt="R-77")

    await clerk.get("/till")
    await clerk.send("/till/receipts", receipt="R-77")
    assert here(clerk) == address
    await clerk.get(f"{address}/refund")
    await clerk.send(f"{address}/refund", key=key_of(clerk), points="250")

    assert "250 points of it were given back." in clerk.words
    assert await spendable(house, member) == 650
    await clerk.get(f"{address}/refund")
    await clerk.send(f"{address}/refund", key=key_of(clerk), points="351")
    assert "Only 350 points are left to give back." in clerk.words
    await clerk.send(f"{address}/refund", key=key_of(clerk), points="350")
    assert clerk.heading == "Given back"
    assert await spendable(house, member) == 1000


async def test_an_expired_hold_says_so_and_leads_back_to_the_customer(house: House, clerk: Browser) -> None:
    member = await house.member(points=1000)
    address = await hold(clerk, member)
    key = key_of(clerk)
    async with transaction(house.engine) as connection, as_owner(connection):
        await connection.exec_driver_sql(
            "UPDATE redemption SET hold_expires_at = now() - interval '1 second' WHERE member_id = %s", (member.id,)
        )
        await connection.exec_driver_sql(
            "UPDATE ledger.hold SET expires_at = now() - interval '1 second' WHERE member_id = %s", (member.id,)
        )
        await connection.exec_driver_sql(
            "UPDATE ledger.account SET next_due = now() - interval '1 second' WHERE member_id = %s", (member.id,)
        )

    answer = await clerk.send(f"{address}/capture", key=key, receipt="R-5")

    assert answer.status_code == 409
    assert clerk.heading == "Time ran out"
    assert "Begin again with this customer" in clerk.words
    assert f"/till/members/{member.public_id}?amount=128.00" in unescape(clerk.text)
    assert await spendable(house, member) == 1000


@pytest.mark.parametrize(
    ("points", "amount", "said"),
    [
        ("90", "128", "At least 100 points are redeemed at once."),
        ("150", "128", "Points are redeemed in steps of 100."),
        ("1100", "128", "The member has only 1,000 points now."),
        ("600", "10", "Points may pay at most ¥5.00 here, which is 500 points."),
        ("many", "128", "Type a whole number of points."),
        ("", "128", "Type a whole number of points."),
        ("500", "twelve", "That is not an amount."),
        ("500", "1.234", "That has too many decimals."),
        ("500", "", "Enter the basket amount."),
    ],
)
async def test_what_cannot_be_redeemed_is_refused_with_what_to_do(
    house: House, clerk: Browser, points: str, amount: str, said: str
) -> None:
    member = await house.member(points=1000)
    page = f"/till/members/{member.public_id}"
    await clerk.get(f"{page}?amount=128")

    answer = await clerk.send(f"{page}/redeem", key=key_of(clerk), amount=amount, points=points)

    assert answer.status_code in (409, 422)
    assert said in clerk.words
    assert await spendable(house, member) == 1000
    assert await redemptions(house, member) == []


async def test_a_receipt_number_is_asked_for_and_the_hold_stays(house: House, clerk: Browser) -> None:
    member = await house.member(points=1000)
    address = await hold(clerk, member)

    await clerk.send(f"{address}/capture", key=key_of(clerk), receipt="  ")

    assert clerk.error_at("receipt") == "Type the number on the receipt to finish."
    assert [each.state for each in await redemptions(house, member)] == ["held"]


async def test_the_same_words_in_chinese(house: House) -> None:
    member = await house.member(points=1250, name="林悦")
    async with house.at_work("li.na", language="zh") as clerk:
        await clerk.get("/till")
        await clerk.send("/till/find", who=house.phone_of(member))
        await clerk.get(f"/till/members/{member.public_id}?amount=10")
        assert "积分最多抵扣金额的 50%，本单为 ¥5.00。" in clerk.words
        address = await hold(clerk, member)
        assert clerk.heading == "请减免 ¥5.00"
        await clerk.send(f"{address}/capture", key=key_of(clerk), receipt="R-88")
        assert "500 积分抵 ¥5.00" in clerk.words
        assert "剩余积分 750" in clerk.words
