"""Benefits in the console: a coupon from its sentences to a member's wallet, an issue to a list, and its history."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from loyalty.campaigns.giving import find_audience
from loyalty.kit.db import transaction
from redemption.benefits.bulk import list_issues, work_on_issue
from redemption.benefits.templates import get_template
from redemption.benefits.wallet import wallet
from tests.web.house import House
from tests.web.member.conftest import Browser

TWENTY = {
    "gives": "fixed",
    "name_zh": "满百减二十",
    "name_en": "20 off 100",
    "code": "twenty",
    "amount": "20",
    "minimum": "100",
    "place": "store",
    "valid_by": "days",
    "days": "30",
    "per_member": "1",
    "with_points": "yes",
}


def _key(browser: Browser) -> str:
    found = re.search(r'name="key" value="([^"]+)"', browser.text)
    assert found is not None
    return found[1]


def _seen(browser: Browser) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', browser.text)
    assert found is not None
    return found[1]


async def _work(house: House, code: str) -> list[Any]:
    """What a worker does, and the issues afterwards, newest first."""
    async with transaction(house.engine) as connection:
        template = await get_template(connection, programme_id=house.programme.id, code=code)
        issues = await list_issues(connection, template_id=template.id)
    for each in issues:
        await work_on_issue(house.engine, each.id, find_audience=find_audience)
    async with transaction(house.engine) as connection:
        return await list_issues(connection, template_id=template.id)


async def _held(house: House, member_id: UUID) -> list[str]:
    async with transaction(house.engine) as connection:
        return [each.template_code for each in await wallet(connection, member_id=member_id)]


async def test_a_coupon_is_written_changed_published_and_given_with_its_history(house: House, manager: Browser) -> None:
    member = await house.member(name="Gao Ying")
    await manager.get("/console/benefits/new")
    assert "More off the more is bought" in manager.words
    await manager.get("/console/benefits/new?gives=fixed")
    await manager.send("/console/benefits", **(TWENTY | {"amount": "much"}))
    assert "“Amount”: an amount is needed" in manager.words
    assert 'value="much"' in manager.text
    await manager.send("/console/benefits", **TWENTY)
    for words in ("¥20.00 off", "From a basket of ¥100.00", "In stores only", "Saved the draft", "Draft"):
        assert words in manager.words
    await manager.send("/console/benefits", **TWENTY)
    assert "There is a benefit with this code" in manager.words

    await manager.get("/console/benefits/twenty/edit")
    seen = _seen(manager)
    await manager.send("/console/benefits/twenty/edit", **(TWENTY | {"amount": "25", "seen": seen}))
    assert "¥25.00 off" in manager.words
    assert "<del>¥20.00 off</del>" in manager.text
    assert "<ins>¥25.00 off</ins>" in manager.text
    await manager.send("/console/benefits/twenty/edit", **(TWENTY | {"amount": "30", "seen": seen}))
    assert "Somebody changed it meanwhile" in manager.words
    do = "/console/benefits/twenty/do"
    await manager.send(do, step="undo")
    assert "The last saving is undone" in manager.words
    await manager.send(do, step="undo")
    assert "no earlier draft" in manager.words

    await manager.send(do, step="publish")
    await manager.send(do, step="stock", total="1")
    give = {"key": _key(manager), "whom": "member", "who": house.phone_of(member)}
    await manager.send("/console/benefits/twenty/issues", **give)
    await manager.send("/console/benefits/twenty/issues", **give)
    assert await _held(house, member.id) == ["twenty"]
    await manager.send("/console/benefits/twenty/issues", **(give | {"key": "other"}))
    assert "had as many as one may: 1" in manager.words
    await manager.send("/console/benefits/twenty/issues", **(give | {"who": "+8619900000000"}))
    assert "names no member" in manager.words
    await manager.send(do, step="stock", total="0")
    assert "More than that were given already" in manager.words

    await manager.send(do, step="price", points="500")
    await manager.send(do, step="budget", uses="10", amount="200")
    for words in ("500 points", "10 uses · ¥200.00 in all"):
        assert words in manager.words
    await manager.send(do, step="retire")
    await manager.send(do, step="publish")
    assert "Published." in manager.words
    async with transaction(house.engine) as connection:
        again = await get_template(connection, programme_id=house.programme.id, code="twenty")
    assert (again.state, again.version) == ("published", 1)
    await manager.get("/console/benefits?lang=zh")
    assert "满百减二十" in manager.words


async def test_a_benefit_is_tried_on_a_member_with_a_basket_and_taken_back(house: House, manager: Browser) -> None:
    member = await house.member(name="Lin Mei")
    tea = TWENTY | {"code": "tea", "categories": "tea, matcha", "tiers": "leaf", "name_en": "Tea"}
    await manager.send("/console/benefits", **tea)
    trial = {"who": house.phone_of(member), "channel": "store-1", "amount_1": "150", "category_1": "tea"}
    await manager.send("/console/benefits/tea/try", **trial)
    assert "Lin Mei" in manager.words
    assert "It takes ¥20.00 off. Instead of ¥150.00 they pay ¥130.00." in manager.words
    for typed, why in (
        ({"channel": "online"}, "It does not apply."),
        ({"category_1": "cups"}, "It does not apply."),
        ({"amount_1": ""}, "Type what the basket costs"),
        ({"who": "nobody"}, "names no member"),
    ):
        await manager.send("/console/benefits/tea/try", **(trial | typed))
        assert why in manager.words

    await manager.send("/console/benefits/tea/do", step="publish")
    give = {"key": _key(manager), "whom": "member", "who": member.public_id}
    await manager.send("/console/benefits/tea/issues", **give)
    await manager.send("/console/benefits/tea/try", **trial)
    assert "had as many as one may" in manager.words
    benefit = re.search(r'name="benefit" value="([^"]+)"', manager.text)
    assert benefit is not None
    back = {"member": member.public_id, "benefit": benefit[1]}
    await manager.send("/console/benefits/tea/take-back", **back)
    assert "Taken back." in manager.words
    assert await _held(house, member.id) == []
    await manager.send("/console/benefits/tea/take-back", **back)
    assert "cannot be taken back" in manager.words


async def test_a_list_is_read_line_by_line_and_its_issue_followed_and_taken_back(
    house: House, manager: Browser
) -> None:
    ann, bo = await house.member(name="Ann"), await house.member(card="6688 4242")
    await manager.send("/console/benefits", **(TWENTY | {"code": "listed", "name_en": "Listed"}))
    await manager.send("/console/benefits/listed/do", step="publish")
    send = {"key": _key(manager), "whom": "list", "name": "May"}
    address = "/console/benefits/listed/issues"
    lines = f"phone,name\n{house.phone_of(ann)},Ann\nnobody\n6688-4242\n{ann.public_id}\n\n"
    await manager.upload(address, lines, **send)
    assert "Nothing was given: 1 line names no member (2 members were found)" in manager.words
    assert "Line 3 names no member" in manager.words
    await manager.upload(address, lines, **send, skip="yes")
    await manager.upload(address, lines, **send, skip="yes")
    assert "May" in manager.words
    (issue,) = await _work(house, "listed")
    assert (issue.state, issue.issued, issue.name) == ("done", 2, "May")
    assert await _held(house, bo.id) == ["listed"]
    await manager.get(address)
    assert "2 of 2 given" in manager.text

    step = re.search(rf"{address}/(iss_\w+)/revoke", manager.text)
    assert step is not None
    await manager.send(f"{address}/{step[1]}/revoke")
    assert "being taken back" in manager.words
    (issue,) = await _work(house, "listed")
    assert (issue.state, issue.reason, issue.issued) == ("stopped", "revoked", 0)
    assert await _held(house, ann.id) == []
    await manager.get("/console/benefits/listed")
    assert "Took an issue back · May" in manager.words
    for whom in ({"whom": "tiers"}, {"whom": "nobody"}):
        await manager.send(address, key="k", **whom)
        assert "Choose whom it is given to" in manager.words
    await manager.upload(address, "\n", **(send | {"key": "k"}))
    assert "The list names no member" in manager.words


async def test_partners_codes_are_imported_before_they_are_published(manager: Browser) -> None:
    cinema = {"gives": "third_party", "code": "cinema", "name_zh": "电影票", "name_en": "Cinema", "days": "7"}
    await manager.send("/console/benefits", **cinema, provider="Cinema", valid_by="days")
    await manager.send("/console/benefits/cinema/do", step="publish")
    assert "Import the partner’s codes" in manager.words
    await manager.upload("/console/benefits/cinema/codes", "A-1\nA-2\nA-1\n")
    assert "2 codes are in. 1 line was left out:" in manager.words
    assert "Line 3 is there already" in manager.words
    await manager.send("/console/benefits/cinema/do", step="publish")
    assert "Published." in manager.words
    assert "2 of 2" in manager.words
    await manager.send("/console/benefits/cinema/do", step="stock", total="5")
    assert "Its stock are the codes" in manager.words
    await manager.send("/console/benefits/cinema/codes")
    assert "Choose a file first" in manager.words


async def test_a_budget_is_shared(manager: Browser) -> None:
    spring = {"code": "spring", "name_zh": "春季", "name_en": "Spring", "uses": "100", "amount": "1,000"}
    await manager.send("/console/benefits/budgets", **(spring | {"uses": "many"}))
    assert "a whole number is needed" in manager.words
    await manager.send("/console/benefits/budgets", **spring)
    assert "¥1,000.00 of ¥1,000.00" in manager.words
    await manager.get("/console/benefits/new?gives=every")
    assert "It counts against the shared budget" in manager.words
    for gives in ("percent", "stepped", "item_price", "buy_get", "gift_line", "shipping", "gift", "experience"):
        await manager.get(f"/console/benefits/new?gives={gives}&lang=zh")
        assert manager.heading
